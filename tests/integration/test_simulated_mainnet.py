"""The simulated mainnet does what it says: latencies, room in blocks, caps and faults, by a time that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import combinations, pairwise

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from support import virtual_time
from support.http_load import COUNTER
from support.mainnet import Conditions, Faults, Mainnet
from support.mainnet_pace import Gateway, Room
from support.mainnet_record import Exchange, admitted_rate, longest_chain
from support.mainnet_world import mainnet, mainnet_world
from support.virtual_time import VirtualTimeLoop


def with_a_counter(conditions: Conditions, work: Callable[[Agent, Principal], Awaitable[object]]) -> Mainnet:
    """The way on which `work` was done by an agent, with a canister that counts."""

    async def main(loop: VirtualTimeLoop) -> Mainnet:
        async with mainnet(loop) as world:
            identity = Identity.generate()
            management = ManagementCanister(world.agent(identity))
            canister = await management.provisional_create_canister_with_cycles(10**15)
            await management.install(canister, bytes(wasmtime.wat2wasm(COUNTER)), b"")
            way = world.way(conditions)
            async with world.agent(identity, way) as agent:
                await work(agent, canister)
            return way

    return virtual_time.run(main)


def counting(count: int, argument: bytes = b"") -> Callable[[Agent, Principal], Awaitable[object]]:
    """Calls the counter so often at once."""

    async def work(agent: Agent, canister: Principal) -> None:
        await asyncio.gather(*(agent.update(canister, "add", argument) for _ in range(count)))

    return work


async def _read(agent: Agent, canister: Principal) -> int:
    return int.from_bytes(await agent.query(canister, "read", b""), "little")


def test_an_update_takes_1_8_s_and_a_query_0_2_s() -> None:
    async def work(agent: Agent, canister: Principal) -> None:
        await agent.update(canister, "add", b"")
        await agent.query(canister, "read", b"")

    way = with_a_counter(Conditions(), work)
    times = [(each.kind, round((each.answered_s or 0) - each.sent_s, 6)) for each in way.record.exchanges]
    assert times == [("call", 1.8), ("query", 0.2), ("read_state", 0.2)]  # the last for the keys of the nodes


def test_updates_that_are_sent_together_are_answered_together() -> None:
    way = with_a_counter(Conditions(), counting(20))
    assert way.record.exchanges[-1].answered_s == pytest.approx(1.8, abs=0.01)
    assert len(longest_chain(way.record.updates)) == 1


def test_messages_wait_for_room_in_blocks() -> None:
    way = with_a_counter(Conditions(block_bytes=1_000_000), counting(5, bytes(500_000)))
    answered = sorted(each.answered_s or 0.0 for each in way.record.updates)
    assert [round(later - earlier, 2) for earlier, later in pairwise(answered)] == [0.5] * 4
    assert admitted_rate(way.record.updates) == pytest.approx(1_000_000)


def test_a_gateway_refuses_what_is_above_its_cap_and_says_when_to_come_again() -> None:
    way = with_a_counter(Conditions(requests_per_s=5, burst_s=1.0), counting(20))
    refused = [each for each in way.record.exchanges if each.outcome == "429"]
    assert len(refused) >= 15  # all that were sent together above the cap
    assert len(way.record.updates) == 20
    admitted = sorted(each.admitted_s or 0.0 for each in way.record.updates)
    for first, sixth in zip(admitted, admitted[10:], strict=False):
        assert sixth - first >= 1.0  # a second's worth at once, and another one in the second after it


def test_a_fault_is_what_it_says_and_the_call_is_executed_once() -> None:
    counts: dict[str, int] = {}
    for name in ("unavailable", "lost", "cut", "late"):

        async def work(agent: Agent, canister: Principal, name: str = name) -> None:
            await agent.update(canister, "add", b"")
            counts[name] = await _read(agent, canister)

        way = with_a_counter(Conditions(faults=Faults(seed=3, **{name: 0.4})), work)
        outcomes = {"unavailable": "503", "late": "200"}
        assert outcomes.get(name, name) in [each.outcome for each in way.record.exchanges]
    assert counts == dict.fromkeys(("unavailable", "lost", "cut", "late"), 1)


def test_the_same_seed_gives_the_same_course() -> None:
    def course(seed: int) -> list[str]:
        faults = Faults(seed=seed, unavailable=0.2, lost=0.2, cut=0.2)
        return list(map(str, with_a_counter(Conditions(faults=faults), counting(10)).record.exchanges))

    assert course(1) == course(1)
    assert course(1) != course(2)


def test_a_call_that_a_canister_waits_for_takes_a_block_more() -> None:
    async def main(loop: VirtualTimeLoop) -> set[tuple[int, float]]:
        async with mainnet_world(loop) as world, world.owner() as owner:
            made = await world.create(owner, Conditions(blocks_per_inner_call=1.0))
            return {
                (each.inner, round(each.answered_s - each.sent_s, 3)) for each in made.record.updates if each.answered_s
            }

    taken = virtual_time.run(main)
    assert {1, 0} <= {inner for inner, _ in taken}  # the backend asks the management canister for a canister
    assert [seconds - inner for inner, seconds in taken] == pytest.approx([1.8] * len(taken), abs=0.1)


def test_time_that_is_made_up_ends_where_nothing_will_happen() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer will bring"):
        virtual_time.run(main)


intervals = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=7)


@given(intervals)
def test_a_chain_is_the_longest_that_there_is(pairs: list[tuple[int, int]]) -> None:
    exchanges = [Exchange("call", "", 0, float(sent), answered_s=float(sent + took)) for sent, took in pairs]

    def is_chain(some: tuple[Exchange, ...]) -> bool:
        ordered = sorted(some, key=lambda each: each.sent_s)
        return all(later.sent_s >= (earlier.answered_s or 0) for earlier, later in pairwise(ordered))

    longest = max(
        (count for count in range(len(exchanges) + 1) if any(map(is_chain, combinations(exchanges, count)))), default=0
    )
    assert len(longest_chain(exchanges)) == longest


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 900)), min_size=1, max_size=60))
def test_a_gateway_never_lets_more_through_than_its_cap(arrivals: list[tuple[float, int]]) -> None:
    gateway, now_s, passed = Gateway(None, 1_000.0, 1.0), 0.0, []
    for pause_s, size in arrivals:
        now_s += pause_s
        if gateway.retry_after_s(size, now_s) is None:
            passed.append((now_s, size))
    for index, (begun_s, _) in enumerate(passed):
        total = 0
        for at_s, size in passed[index:]:
            total += size
            assert total <= 1_000 * (at_s - begun_s) + 1_000 + 1e-6


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5_000)), min_size=2, max_size=60))
def test_blocks_never_take_more_than_they_have_room_for(arrivals: list[tuple[float, int]]) -> None:
    room, now_s = Room(1_000.0), 0.0
    admitted: list[tuple[float, int]] = []
    for pause_s, size in arrivals:
        now_s += pause_s
        at_s = room.take(size, now_s)
        assert at_s >= now_s
        admitted.append((at_s, size))
    for (earlier_s, size), (later_s, _) in pairwise(admitted):
        assert later_s - earlier_s >= size / 1_000 - 1e-9
