"""A backend's upgrade: the same way as a personal canister's, and open creations survive it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from canister_factory.contract.artifacts import backend_wasm
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError, VerifyError
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import BackendHealth
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import RunState
from support.creation_ends import faults_at_the_end
from support.fault_world import ONE_MESSAGE, FaultWorld, Stage, stage
from support.upgrade_world import backend_upgrading, good, trapping


@pytest.fixture(scope="module")
def made() -> Iterator[Stage]:
    pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
    with stage() as world:
        yield world


def test_open_creations_survive_a_good_upgrade_and_one_that_was_taken_back(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> list[str]:
        people = [await world.person(ONE_MESSAGE) for _ in range(2)]
        management = ManagementCanister(world.admin)
        with pytest.raises(UpgradeError, match="was taken back"):
            await backend_upgrading(world, trapping("backend")).run()
        status = await management.canister_status(world.backend_id)
        assert (status.module_hash, status.status) == (backend_wasm().module_hash, RunState.running)
        await world.go_on(people[0])

        upgraded = await backend_upgrading(world, good("backend")).run()
        assert (upgraded.before, upgraded.after) == (backend_wasm().module_hash, good("backend").module_hash)
        await world.go_on(people[1])
        status = await management.canister_status(world.backend_id)
        assert status.settings.environment_variables == []
        assert await management.list_canister_snapshots(world.backend_id) == []
        return [fault for person in people for fault in await faults_at_the_end(world, person)]

    assert made.play(scenario) == []


def test_a_backend_that_has_less_than_before_is_unsound(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        await world.person(ONE_MESSAGE)
        health = BackendHealth(world.admin, world.backend_id, Retry(FactoryConfig()))
        before = await health.before()
        assert before.startswith("audited ")
        await health.check(before, None)
        audit, people, *rest = before.split(" ")
        more = " ".join([audit, str(int(people) + 1), *rest])
        with pytest.raises(VerifyError, match=r"had [\d,]+ people, and has"):
            await health.check(more, None)

    made.play(scenario)
