"""Who controls an owner's canister, and a move to another key in which no cut leaves the canister to nobody."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.control import MOST_CONTROLLERS, Controllers
from canister_factory.owner.errors import ControlError
from canister_factory.owner.handing_on import HandingOn
from support.creation_world import World, inline, note
from support.killing import DyingAgent, Killed
from support.wallet_canister import personal_canister_of

STEPS = {"old": ["update_settings", "offer_ownership"], "new": ["accept_ownership", "remove_owner", "update_settings"]}
CUTS = [(key, step, executed) for key, steps in STEPS.items() for step in steps for executed in (False, True)]


@pytest.fixture
async def canister_id(world: World) -> Principal:
    return await personal_canister_of(world.owner_id, world.operator)


async def dying(world: World, agent: Agent, method: str, *, executed: bool) -> DyingAgent:
    made = await world.stack.enter_async_context(DyingAgent(agent.identity, world.network))
    made.dies_of, made.executed = method, executed
    return made


async def moved(old: Agent, new: Agent, canister_id: Principal) -> tuple[Principal, ...]:
    """As `move-to --new-identity --remove-old` does it."""
    await HandingOn(old, canister_id).offer(new.principal)
    taking = HandingOn(new, canister_id)
    await taking.accept()
    return await taking.dismiss(old.principal)


async def test_controllers_are_added_and_removed_and_read_back_certified(world: World, canister_id: Principal) -> None:
    controllers, friend = Controllers(world.owner, canister_id), Identity.generate().sender()
    assert await controllers.present() == (world.owner_id,)
    for _ in range(2):
        assert set(await controllers.change(add=[friend])) == {world.owner_id, friend}
    owner = (await PersonalClient(world.owner, canister_id).get_personal_info()).owner
    assert owner == world.owner_id, "the capsule's owner is another thing"
    for _ in range(2):
        assert await controllers.change(remove=[friend]) == (world.owner_id,)


async def test_what_cannot_be_changed_is_refused_and_nothing_is_changed(world: World, canister_id: Principal) -> None:
    with pytest.raises(ControlError, match=f"don't control {canister_id}; its controllers are {world.owner_id}"):
        await Controllers(world.operator, canister_id).change(add=[world.operator_id])
    many = [Identity.generate().sender() for _ in range(MOST_CONTROLLERS)]
    with pytest.raises(ControlError, match="would have 11 controllers"):
        await Controllers(world.owner, canister_id).change(add=many)
    with pytest.raises(ControlError, match="there is no canister"):
        await Controllers(world.owner, Principal(b"\x00\x00\x00\x00\x00\x0f\xff\xff\x01\x01")).present()
    assert await Controllers(world.owner, canister_id).present() == (world.owner_id,)


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_a_change_that_was_killed_is_made_by_the_same_call(
    world: World, canister_id: Principal, executed: bool
) -> None:
    friend = Identity.generate().sender()
    agent = await dying(world, world.owner, "update_settings", executed=executed)
    with pytest.raises(Killed):
        await Controllers(agent, canister_id).change(add=[friend])
    assert set(await Controllers(world.owner, canister_id).change(add=[friend])) == {world.owner_id, friend}


async def test_another_key_gets_all_of_it_and_the_old_one_goes(world: World, canister_id: Principal) -> None:
    new = world.agent()
    memory = await PersonalClient(world.owner, canister_id).add_memory_to_capsule(inline(b"mine"), note("mine"))
    assert await moved(world.owner, new, canister_id) == (new.principal,)
    assert (await PersonalClient(new, canister_id).get_memory_from_capsule(memory)).data.data == b"mine"
    with pytest.raises(CapsuleRefused, match="memory"):
        await PersonalClient(world.owner, canister_id).get_memory_from_capsule(memory)
    assert (await ManagementCanister(new).canister_status(canister_id)).settings.controllers == [new.principal]


@pytest.mark.parametrize(("key", "step", "executed"), CUTS)
async def test_a_move_that_was_killed_anywhere_leaves_a_key_with_everything_and_goes_on(
    world: World, canister_id: Principal, key: str, step: str, executed: bool
) -> None:
    old, new = world.owner, world.agent()
    cut = await dying(world, old if key == "old" else new, step, executed=executed)
    with pytest.raises(Killed):
        await moved(cut if key == "old" else old, new if key == "old" else cut, canister_id)

    controllers = await Controllers(old, canister_id).present()
    owner = (await PersonalClient(old, canister_id).get_personal_info()).owner
    assert owner in controllers, "who owns the capsule controls the canister"
    await PersonalClient(old if owner == old.principal else new, canister_id).register()

    if old.principal in controllers:
        assert await moved(old, new, canister_id) == (new.principal,)
    else:
        assert (key, step, executed) == ("new", "update_settings", True)
        assert await HandingOn(new, canister_id).dismiss(old.principal) == (new.principal,)
    assert (await PersonalClient(new, canister_id).get_personal_info()).owner == new.principal


async def test_a_wrong_move_is_refused_before_anything_is_changed(world: World, canister_id: Principal) -> None:
    new = world.agent()
    with pytest.raises(ControlError, match="is you"):
        await HandingOn(world.owner, canister_id).offer(world.owner_id)
    with pytest.raises(ControlError, match=r"you, .*, don't control"):
        await HandingOn(new, canister_id).offer(world.operator_id)
    with pytest.raises(ControlError, match="don't control"):
        await HandingOn(new, canister_id).accept()
    await Controllers(world.owner, canister_id).change(add=[new.principal])
    with pytest.raises(ControlError, match="isn't offered to you"):
        await HandingOn(new, canister_id).accept()
    with pytest.raises(ControlError, match="belongs to"):
        await HandingOn(new, canister_id).offer(world.operator_id)
    with pytest.raises(ControlError, match="belongs to"):  # a controller alone doesn't make itself the owner
        await HandingOn(new, canister_id).offer(new.principal)
    with pytest.raises(ControlError, match="nothing was taken from"):
        await HandingOn(new, canister_id).dismiss(world.owner_id)
    assert (await PersonalClient(new, canister_id).get_personal_info()).owner == world.owner_id
