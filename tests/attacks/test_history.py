"""Whoever controls a canister before its owner alone does can do anything to it, but not without being found out."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import ClaimRequest, CreationErrorKind, LeaseRef
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.errors import CreationFailedError
from canister_factory.ic.management import ManagementCanister
from support.creation_contents import pattern, read_back
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile, check_retry, check_victim, doctored
from support.killing import killed_at


async def something(world: World) -> dict[str, bytes]:
    """What the owner has; how much it is doesn't matter here."""
    data = pattern(5_000, "something")
    return {await world.as_owner.add_memory_to_capsule(inline(data), note("mine")): data}


async def hostile_operator(world: World, place: str) -> tuple[Hostile, dict[str, bytes]]:
    """The operator, whose honest orchestrator came to `place`; and what the owner has."""
    contents = await something(world)
    creation = await killed_at(world, place)
    assert creation.canister_id is not None
    return Hostile(world, world.operator, creation.canister_id), contents


async def test_a_doctored_build_in_between_is_found_though_the_memory_and_the_build_are_right_again(
    creation_world: World,
) -> None:
    hostile, contents = await hostile_operator(creation_world, "after the import was final")
    await hostile.deploy(doctored(), "upgrade")  # here something is planted
    await hostile.deploy(personal_wasm().wasm, "upgrade")
    with pytest.raises(CreationFailedError, match=r"change 3 of 4, code_deployment \(upgrade .*no approved") as failed:
        await creation_world.orchestrator().run(creation_world.owner_id)
    assert failed.value.kind == CreationErrorKind.HistoryFailed
    assert str(creation_world.operator_id) in failed.value.message
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


async def test_what_was_verified_is_what_is_handed_over(creation_world: World) -> None:
    hostile, contents = await hostile_operator(creation_world, "after the verification")
    await hostile.deploy(personal_wasm().wasm, "reinstall")  # the right build, without a memory
    await hostile.hand_over()
    lease = await hostile.lease()
    with pytest.raises(CreationRefused, match=r"change 3 of 4, code_deployment \(reinstall .*between") as refused:
        await creation_world.as_operator.complete_creation(lease)
    assert refused.value.error.kind == CreationErrorKind.HistoryFailed
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


async def test_a_third_controller_is_found_after_it_is_gone(creation_world: World) -> None:
    hostile, contents = await hostile_operator(creation_world, "after the installation")
    accomplice = creation_world.agent()
    stranger = Principal(accomplice.identity.sender().bytes)
    await hostile.set_controllers(creation_world.operator_id, creation_world.owner_id, stranger)
    snapshot = await ManagementCanister(accomplice).take_canister_snapshot(hostile.canister)  # what it came for
    assert snapshot.total_size > 0
    await hostile.set_controllers(creation_world.operator_id, creation_world.owner_id)
    with pytest.raises(CreationFailedError, match=f"change 3 of 4, controllers_change .* lets {stranger} control it"):
        await creation_world.orchestrator().run(creation_world.owner_id)
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


async def test_a_doctored_snapshot_is_found_though_code_and_manifest_are_right(creation_world: World) -> None:
    contents = await something(creation_world)
    (data,) = contents.values()
    creation = await killed_at(creation_world, "after the import was final")
    assert creation.canister_id is not None
    hostile = Hostile(creation_world, creation_world.operator, creation.canister_id)
    assert await hostile.doctor_memory(data[:64], bytes(64)) == 1
    with pytest.raises(CapsuleRefused, match="the SHA-256 of the stored chunk 0"):
        await read_back(PersonalClient(creation_world.owner, hostile.canister))
    with pytest.raises(CreationFailedError, match=r"change 3 of 4, code_uninstall .*nothing that a creation does"):
        await creation_world.orchestrator().run(creation_world.owner_id)
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


@pytest.mark.parametrize("place", ["after the import was final", "after the verification"])
async def test_a_change_is_not_forgotten_by_pushing_it_out_of_what_is_told(creation_world: World, place: str) -> None:
    hostile, contents = await hostile_operator(creation_world, place)
    await hostile.deploy(doctored(), "upgrade")
    await hostile.deploy(personal_wasm().wasm, "upgrade")
    for _ in range(20):
        await hostile.set_controllers(creation_world.operator_id, creation_world.owner_id)
    if place == "after the verification":
        await hostile.hand_over()
    lease = await hostile.lease()
    operator = creation_world.as_operator
    end = operator.complete_creation if place == "after the verification" else operator.verify_creation
    if place != "after the verification":
        await operator.begin_export(lease, True)
    with pytest.raises(CreationRefused, match=r"the network tells only the last 20 of its 2\d changes") as refused:
        await end(lease)
    assert refused.value.error.kind == CreationErrorKind.HistoryFailed
    await check_victim(creation_world, hostile.canister, contents)
    await check_retry(creation_world, hostile.canister, contents)


# --- three of our own ------------------------------------------------------------------------------------------------


async def test_an_owner_who_keeps_canisters_back_gets_no_more_of_them_than_three(creation_world: World) -> None:
    """The owner controls each canister, with its cycles, from the beginning: they take it, and ask for another."""
    contents = await something(creation_world)
    paid = (await creation_world.need()).first
    friend = Principal(creation_world.agent().identity.sender().bytes)
    for taken in range(1, 4):
        creation = await killed_at(creation_world, "after the import was final")
        assert creation.canister_id is not None
        greedy = Hostile(creation_world, creation_world.owner, creation.canister_id)
        await greedy.set_controllers(creation_world.owner_id, friend)
        with pytest.raises(CreationFailedError, match="which is no operator"):
            await creation_world.orchestrator().run(creation_world.owner_id)
        creation = await check_victim(creation_world, greedy.canister, contents)
        assert len(creation.lost_canisters) == taken
    with pytest.raises(CreationRefused, match="an admin has to clear the creation") as refused:
        await creation_world.as_owner.create_personal_canister(None)
    assert not refused.value.retry_helps
    assert paid * 3 <= (await creation_world.as_admin.get_reserve_status()).total_consumed < paid * 4


async def test_a_verification_that_fails_after_an_exchange_does_not_move_the_pin(creation_world: World) -> None:
    """Verify, empty the canister, verify again while it can't answer, hand over."""
    hostile, contents = await hostile_operator(creation_world, "after the verification")
    await hostile.deploy(personal_wasm().wasm, "reinstall")
    await hostile.management.stop_canister(hostile.canister)
    lease = await hostile.lease()
    await creation_world.as_operator.begin_export(lease, True)
    with pytest.raises(CreationRefused, match="gave no manifest"):
        await creation_world.as_operator.verify_creation(lease)
    await hostile.management.start_canister(hostile.canister)
    await hostile.hand_over()
    with pytest.raises(CreationRefused, match="between the verification and the handoff"):
        await creation_world.as_operator.complete_creation(lease)
    await check_victim(creation_world, hostile.canister, contents)


async def test_an_operator_that_was_removed_can_not_lend_the_canister_to_its_friends(creation_world: World) -> None:
    """A former operator still controls the canister, but isn't to change who does."""
    hostile, contents = await hostile_operator(creation_world, "after the import was final")
    await creation_world.as_operator.release_lease(await hostile.lease())
    successor = creation_world.agent()
    as_successor = BackendClient(successor, creation_world.backend_id)
    await creation_world.as_admin.add_operator(Principal(successor.identity.sender().bytes))
    await creation_world.as_admin.remove_operator(creation_world.operator_id)
    await hostile.set_controllers(creation_world.operator_id, creation_world.owner_id)
    await creation_world.as_owner.create_personal_canister(None)  # the successor takes the place of who is no operator
    claim = ClaimRequest(owner=creation_world.owner_id, worker="successor")
    lease = LeaseRef(owner=creation_world.owner_id, lease=(await as_successor.claim_creation(claim)).lease)
    await as_successor.begin_export(lease, True)
    with pytest.raises(CreationRefused, match=f"lets {creation_world.operator_id} control it, which is no operator"):
        await as_successor.verify_creation(lease)
    await check_victim(creation_world, hostile.canister, contents)
