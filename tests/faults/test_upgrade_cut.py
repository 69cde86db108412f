"""Each request of an upgrade is cut, or its process killed at it; the same command again ends it, and nothing is lost.

A seeded sample of the requests; with --sweep each request, in each way.
"""

from __future__ import annotations

import random

import pytest

from canister_factory.contract.artifacts import WasmModule
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.upgrade_record import UNTIL, VARIABLE
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import RunState
from support.broken_way import (
    CUTS,
    KILLS,
    Break,
    at,
    first,
    killed_after_execution,
    killed_and_delivered,
    killed_and_delivered_late,
    killed_meanwhile,
)
from support.creation_ends import faults_at_the_end
from support.fault_world import ONE_MESSAGE, FaultWorld, Stage
from support.mainnet import Conditions
from support.upgrade_world import OLD, backend_upgrading, good, misreading, owned

SAMPLE = 2
MODULES = {"good": good(), "unsound": misreading()}


async def requests_of(world: FaultWorld, module: WasmModule) -> list[str]:
    mine = await owned(world)
    return (await mine.life(module)).way.names


async def cut(world: FaultWorld, kind: str, number: int, breaks: Break) -> list[str]:
    """What is wrong at the end of an upgrade one of whose requests was broken."""
    module = MODULES[kind]
    mine = await owned(world)
    life = await mine.life(module, at(number, breaks))
    ended = await mine.go_on(module)
    await world.at_rest()
    wrong = [] if life.way.broken else ["it was never sent"]
    if kind == "good":
        return wrong + await mine.faults(module.module_hash)
    if not isinstance(ended, UpgradeError):
        wrong.append(f"an unsound module was taken: {ended}")
    return wrong + await mine.faults(OLD)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("breaks", [*CUTS, *KILLS, killed_and_delivered_late], ids=lambda breaks: breaks.__name__)
def test_whatever_happens_to_a_request_the_canister_ends_old_or_new_with_everything(
    faults: Stage, kind: str, breaks: Break, sweep: bool
) -> None:
    module = MODULES[kind]
    numbered = list(enumerate(faults.play(lambda world: requests_of(world, module)), 1))
    chosen = numbered if sweep else sorted(random.Random(f"{kind} {breaks.__name__}").sample(numbered, SAMPLE))

    wrong = []
    for number, name in chosen:
        found = faults.play(lambda world, number=number: cut(world, kind, number, breaks))  # type: ignore[misc]
        wrong += [f"request {number}, {name}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("breaks", [killed_meanwhile, killed_and_delivered_late], ids=lambda breaks: breaks.__name__)
def test_an_installation_of_a_killed_run_does_not_come_after_the_next_run_has_ended(
    faults: Stage, breaks: Break
) -> None:
    names = faults.play(lambda world: requests_of(world, MODULES["unsound"]))
    number = names.index("call install_code") + 1
    assert faults.play(lambda world: cut(world, "unsound", number, breaks)) == []


@pytest.mark.parametrize("late_s", [4, 8, 12, 16, 20, 25])
def test_the_first_message_of_a_killed_run_does_not_end_the_maintenance_of_the_next_one(
    faults: Stage, late_s: float
) -> None:
    module = MODULES["unsound"]
    judged = {"query get_manifest", "query audit_contents", "call load_canister_snapshot"}

    async def scenario(world: FaultWorld) -> tuple[list[set[str]], list[str]]:
        mine = await owned(world)
        killed = await mine.life(module, first("call update_settings", killed_and_delivered(late_s)))
        assert killed.way.is_dead
        on_record: list[set[str]] = []

        def watch(number: int, name: str) -> None:
            canister = world.subnet.canisters[mine.canister_id.bytes]
            if name in judged and canister.module.hash == module.module_hash:
                on_record.append({each.name for each in canister.settings.environment_variables})

        for _ in range(3):
            ended = (await mine.life(module, watch)).error
            assert isinstance(ended, UpgradeError)
            if not ended.retry_helps:
                break
        await world.at_rest()
        return on_record, await mine.faults(OLD)

    on_record, wrong = faults.play(scenario)
    assert on_record, "the module was judged"
    assert [names for names in on_record if VARIABLE not in names] == []
    assert wrong == []


@pytest.mark.parametrize("breaks", [killed_and_delivered_late, killed_after_execution], ids=lambda each: each.__name__)
@pytest.mark.parametrize("method", ["update_settings", "stop_canister", "take_canister_snapshot", "install_code"])
def test_a_backend_whose_upgrade_was_killed_gets_the_new_module_and_its_creations_go_on(
    faults: Stage, method: str, breaks: Break
) -> None:
    module = good("backend")

    async def scenario(world: FaultWorld) -> list[str]:
        person = await world.person(ONE_MESSAGE)
        way = world.broken_way(lambda _, name: breaks if name == f"call {method}" else None, Conditions())
        agent = world.agent(world.admin.identity, way)  # type: ignore[arg-type]
        life = await world.until_death(way, backend_upgrading(world, module, agent).run())
        assert life.way.is_dead
        assert (await backend_upgrading(world, module).run()).after == module.module_hash
        await world.at_rest()
        management = ManagementCanister(world.admin)
        status = await management.canister_status(world.backend_id)
        assert (status.module_hash, status.status) == (module.module_hash, RunState.running)
        left = {each.name for each in status.settings.environment_variables or ()}
        assert left <= {UNTIL}, "a time that came late begins nothing"
        assert await management.list_canister_snapshots(world.backend_id) == []
        await world.go_on(person)
        return await faults_at_the_end(world, person)

    assert faults.play(scenario) == []
