"""Clean-up gives a canister's cycles back to the reserve, once, wherever it is killed; books and balance agree."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory import cycles_return
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.creation_contents import fill
from support.creation_world import World
from support.killing import DyingAgent, Killed, killed_at
from support.wallet_canister import Wallet

STEPS = [
    *("update_settings", "uninstall_code", "start_canister", "install_code", "send_cycles"),
    *("stop_canister", "delete_canister"),
]
KEPT = 100 * 10**9
"""Cycles at most that getting the others takes: what the network holds back for one execution and one response."""
RUNNING = 10**9
"""Cycles at most that the backend itself uses meanwhile."""


@dataclass(frozen=True)
class Books:
    """What the backend has, and what it says of it; cycles."""

    balance: int
    consumed: int
    topped_up: int
    in_flight: int
    of_creation: int
    of_canister: int
    on_log: int


async def books(world: World, canister: Principal) -> Books:
    reserve = await world.as_admin.get_reserve_status()
    entry = await world.as_admin.get_registry_entry(canister)
    log = (await world.as_admin.list_consumption(NumberedPageRequest())).items
    assert entry is not None
    return Books(
        balance=reserve.balance,
        consumed=reserve.total_consumed,
        topped_up=reserve.total_topped_up,
        in_flight=reserve.in_flight,
        of_creation=(await world.creation()).cycles_consumed,
        of_canister=entry.cycles_consumed,
        on_log=sum(each.attached - each.refunded for each in log if each.canister_id == canister),
    )


async def failed_in_the_copy(world: World) -> Principal:
    """The canister of a creation that failed when it had been installed."""
    await fill(world.as_owner)
    killed = await killed_at(world, "after the installation")
    await world.as_admin.abort_creation(world.owner_id, "a test")
    assert killed.canister_id is not None
    return killed.canister_id


def canister_of(world: World, canister: Principal, agent: Agent | None = None) -> PersonalCanister:
    return PersonalCanister(agent or world.operator, canister, world.owner_id, Retry(FactoryConfig(backoff_seconds=0)))


async def check(world: World, canister: Principal, before: Books, had: int) -> None:
    """All but the price came back, once, and every book says the same; the canister is gone."""
    after = await books(world, canister)
    returned = before.consumed - after.consumed
    assert had - KEPT < returned < had
    assert before.of_creation - after.of_creation == returned
    assert before.of_canister - after.of_canister == returned
    assert before.on_log - after.on_log == returned
    assert 0 <= returned - (after.balance - before.balance) < RUNNING
    assert after.in_flight == before.in_flight
    assert before.topped_up - RUNNING < after.topped_up <= before.topped_up, "what comes back is no gift"
    with pytest.raises(CanisterNotFoundError):
        await world.operator.canister_info(canister)


async def test_all_but_the_price_of_getting_it_goes_back_and_the_books_agree(world: World) -> None:
    canister = await failed_in_the_copy(world)
    had = (await ManagementCanister(world.operator).canister_status(canister)).cycles
    before = await books(world, canister)
    returned = await canister_of(world, canister).clean_up(world.backend_id)
    assert returned == before.consumed - (await books(world, canister)).consumed
    await check(world, canister, before, had)


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 1 + len(STEPS)), ids=STEPS)
async def test_a_clean_up_that_was_killed_anywhere_ends_right_when_it_is_begun_again(
    world: World, number: int, executed: bool
) -> None:
    canister = await failed_in_the_copy(world)
    had = (await ManagementCanister(world.operator).canister_status(canister)).cycles
    before = await books(world, canister)
    dying = await world.stack.enter_async_context(DyingAgent(world.operator.identity, world.network))
    dying.dies_at, dying.executed = number, executed
    with pytest.raises(Killed):
        await canister_of(world, canister, dying).clean_up(world.backend_id)
    assert dying.sent == STEPS[:number]
    if (number, executed) == (len(STEPS), True):
        with pytest.raises(CanisterNotFoundError):
            await canister_of(world, canister).clean_up(world.backend_id)
    else:
        await canister_of(world, canister).clean_up(world.backend_id)
    await check(world, canister, before, had)


async def test_an_owner_who_binds_the_cycles_or_stops_the_canister_keeps_nothing_of_them(world: World) -> None:
    canister = await failed_in_the_copy(world)
    as_owner = ManagementCanister(world.owner)
    await as_owner.stop_canister(canister)
    await as_owner.update_settings(canister, CanisterSettings(memory_allocation=10**8))
    had = (await ManagementCanister(world.operator).canister_status(canister)).cycles
    await as_owner.update_settings(canister, CanisterSettings(freezing_threshold=2**40))
    before = await books(world, canister)
    await canister_of(world, canister).clean_up(world.backend_id)
    await check(world, canister, before, had)


async def test_while_the_backend_takes_no_cycles_nothing_is_deleted_and_nothing_is_lost(world: World) -> None:
    canister = await failed_in_the_copy(world)
    had = (await ManagementCanister(world.operator).canister_status(canister)).cycles
    before = await books(world, canister)
    await ManagementCanister(world.admin).stop_canister(world.backend_id)
    with pytest.raises(RejectedError, match="stopped"):
        await canister_of(world, canister).clean_up(world.backend_id)
    await ManagementCanister(world.admin).start_canister(world.backend_id)
    await canister_of(world, canister).clean_up(world.backend_id)
    await check(world, canister, before, had)


async def test_a_canister_that_has_too_little_for_the_module_is_deleted_all_the_same(world: World) -> None:
    canister = await failed_in_the_copy(world)
    had = (await ManagementCanister(world.operator).canister_status(canister)).cycles
    before = await books(world, canister)
    dying = await world.stack.enter_async_context(DyingAgent(world.operator.identity, world.network))
    dying.dies_at, dying.executed = 1 + STEPS.index("send_cycles"), True
    with pytest.raises(Killed):
        await canister_of(world, canister, dying).clean_up(world.backend_id)
    await ManagementCanister(world.owner).uninstall_code(canister)
    assert await canister_of(world, canister).clean_up(world.backend_id) == 0
    await check(world, canister, before, had)


async def test_nobody_but_a_controller_has_the_cycles_sent_away(world: World) -> None:
    canister = await failed_in_the_copy(world)
    dying = await world.stack.enter_async_context(DyingAgent(world.operator.identity, world.network))
    dying.dies_at, dying.executed = 1 + STEPS.index("install_code"), True
    with pytest.raises(Killed):
        await canister_of(world, canister, dying).clean_up(world.backend_id)
    with pytest.raises(RejectedError, match="for controllers only"):
        await world.agent().update(canister, cycles_return.METHOD, cycles_return.to_backend(world.backend_id))


async def test_only_a_canister_that_was_created_here_returns_cycles(world: World) -> None:
    wallet = await Wallet.make(world.operator)
    with pytest.raises(CreationRefused, match="not a canister that was created here"):
        await BackendClient(wallet, world.backend_id).return_cycles()
