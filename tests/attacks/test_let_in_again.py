"""An owner who took their canister too early lets the operator in again: from then on it is judged as any other."""

from __future__ import annotations

import pytest

from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import CreationFailedError
from support.creation_contents import pattern, read_back
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile, check_retry, check_victim, doctored
from support.killing import killed_at


async def let_in_again(world: World) -> tuple[Hostile, dict[str, bytes]]:
    """The operator, who was let in again before there was a verification; and what the owner has."""
    data = pattern(5_000, "something")
    contents = {await world.as_owner.add_memory_to_capsule(inline(data), note("mine")): data}
    creation = await killed_at(world, "after the import was final")
    assert creation.canister_id is not None
    owner = Hostile(world, world.owner, creation.canister_id)
    await owner.set_controllers(world.owner_id)
    await owner.set_controllers(world.operator_id, world.owner_id)
    return Hostile(world, world.operator, creation.canister_id), contents


async def test_a_doctored_build_is_found_though_the_owner_had_the_canister_before(creation_world: World) -> None:
    hostile, contents = await let_in_again(creation_world)
    await hostile.deploy(doctored(), "upgrade")
    await hostile.deploy(personal_wasm().wasm, "upgrade")
    with pytest.raises(CreationFailedError, match=r"change 5 of 6, code_deployment \(upgrade .*no approved") as failed:
        await creation_world.orchestrator().run(creation_world.owner_id)
    assert failed.value.kind == CreationErrorKind.HistoryFailed
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


async def test_a_creation_is_not_completed_with_the_operator_in_the_canister(creation_world: World) -> None:
    hostile, contents = await let_in_again(creation_world)
    lease = await hostile.lease()
    assert (await creation_world.as_operator.verify_creation(lease)).matches
    with pytest.raises(CreationRefused, match="The controllers must be set to exactly the owner"):
        await creation_world.as_operator.complete_creation(lease)
    outcome = await creation_world.orchestrator().run(creation_world.owner_id)
    assert (outcome.creation.status, outcome.creation.canister_id) == (CreationStatus.Completed, hostile.canister)
    assert set((await creation_world.owner.canister_info(hostile.canister)).controllers) == {creation_world.owner_id}
    assert await read_back(creation_world.personal(hostile.canister)) == contents
