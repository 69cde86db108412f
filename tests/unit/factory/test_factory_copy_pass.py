"""One copying pass: what is sent, in what portions, and what slows it down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from canister_factory.factory.copy_pass import CopyPass, Moved
from canister_factory.factory.difference import difference
from canister_factory.factory.events import Transferred
from canister_factory.factory.manifest import Entry, ItemKey, Kind
from canister_factory.factory.target import Pending
from support.backend_script import Clock, run_on
from support.copy_script import SHA256, CapsuleToCopy


class Watched:
    """A pass over a capsule of so many memories; keeps its progress, and its window."""

    def __init__(self, memories: int, **config: Any) -> None:
        self.capsule = CapsuleToCopy(writes=0)
        self.capsule.begun = True
        for _ in range(memories):
            self.capsule.write()
        self.transport = SimpleNamespace(throttled=7, pacer=SimpleNamespace(waiting=0))
        self.run = run_on(SimpleNamespace(transport=self.transport), Clock(), **config)
        self.progress: list[Transferred] = []

    async def copy(self, *, is_current: bool = False) -> Moved:
        async def still() -> bool:
            return is_current

        both: Any = self.capsule
        self.copy_pass = CopyPass(self.run, both, both, self.progress.append)
        held, begun = self.capsule.held, self.capsule.begun_memories
        return await self.copy_pass.copy(held, difference(held, self.capsule.arrived, begun), begun, still)


async def test_chunks_travel_as_many_at_once_as_a_message_may_have_and_memories_are_committed() -> None:
    watched = Watched(5, max_message_chunks=2, items_per_message=4)
    assert await watched.copy() == Moved(bytes=20, items=0, removed=0)
    assert [len(chunks) for chunks in watched.capsule.sent] == [2, 2, 1]
    assert [len(memories) for memories in watched.capsule.commits] == [4, 1]
    assert watched.capsule.arrived == watched.capsule.held


async def test_a_message_has_no_more_bytes_than_it_may() -> None:
    watched = Watched(260, max_message_bytes=1_000, max_message_chunks=2_000)
    await watched.copy()
    assert [4 * len(chunks) for chunks in watched.capsule.sent] == [1_000, 40]


async def test_a_chunk_that_the_target_has_is_not_sent_again() -> None:
    watched = Watched(2)
    watched.capsule.begun_memories = {"m0": Pending(True, {0: SHA256})}
    assert (await watched.copy()).bytes == 4
    assert watched.capsule.sent == [[("m1", 0)]]
    assert watched.capsule.arrived == watched.capsule.held
    assert watched.progress[-1] == Transferred(8, 8, 2, 2, watched.run.window.size)


async def test_the_record_of_a_begun_memory_comes_before_all_chunks_since_it_may_drop_those_that_are_there() -> None:
    watched = Watched(2, max_message_chunks=1)
    watched.capsule.begun_memories = {"m0": Pending(True, {0: SHA256})}
    order: list[str] = []

    async def put(items: list[Any]) -> None:
        for _ in range(50):
            await asyncio.sleep(0)  # chunks could overtake it
        order.append("records")
        watched.capsule.begun_memories = {"m0": Pending(True, {})}

    watched.capsule.put = put  # type: ignore[method-assign]
    watched.capsule.on_chunks = lambda: order.append("chunk")
    await watched.copy()
    assert order[0] == "records"
    assert sorted(map(tuple, watched.capsule.sent)) == [(("m0", 0),), (("m1", 0),)]
    assert watched.capsule.arrived == watched.capsule.held


async def test_a_message_that_the_network_throttled_halves_the_window_once() -> None:
    watched = Watched(2, max_message_chunks=1, start_window=1, max_window=8)
    watched.run.window.size = 8
    watched.capsule.on_chunks = lambda: setattr(watched.transport, "throttled", 8)
    await watched.copy()
    assert watched.progress[0].window == watched.progress[-1].window == 4


async def test_without_throttling_the_window_stays() -> None:
    watched = Watched(2, max_message_chunks=1)
    await watched.copy()
    assert {transferred.window for transferred in watched.progress} == {10}


async def test_messages_that_only_wait_for_their_turn_are_taken_out_of_the_window_one_by_one() -> None:
    watched = Watched(5, max_message_chunks=1, start_window=1, max_window=8)
    watched.run.window.size = 6
    watched.transport.pacer.waiting = 3
    await watched.copy()
    assert [transferred.window for transferred in watched.progress] == [
        5,
        4,
        3,
        2,
        1,
        2,
    ]  # the last is told when all have arrived


async def test_a_message_that_is_the_next_to_be_sent_stays_in_the_window() -> None:
    watched = Watched(5, max_message_chunks=1)
    watched.transport.pacer.waiting = 2
    await watched.copy()
    assert {transferred.window for transferred in watched.progress} == {10}


async def test_chunks_travel_beside_records_and_memories_are_committed_when_both_are_there() -> None:
    watched = Watched(3, max_message_chunks=1, items_per_message=1)
    all_sent = asyncio.Event()
    commits_before: list[int] = []

    def on_chunks() -> None:
        if len(watched.capsule.sent) == 3:
            all_sent.set()

    async def put(items: list[Any]) -> None:
        await all_sent.wait()
        commits_before.append(len(watched.capsule.commits))

    watched.capsule.on_chunks = on_chunks
    watched.capsule.put = put  # type: ignore[method-assign]
    await watched.copy()
    assert commits_before == [0] * 3
    assert sorted(map(tuple, watched.capsule.commits)) == [("m0",), ("m1",), ("m2",)]


async def test_many_records_travel_in_several_messages_at_once_after_the_capsule_and_before_galleries() -> None:
    watched = Watched(0, items_per_message=2)
    kinds = {Kind.CAPSULE: 1, Kind.MEMORY: 9, Kind.GALLERY: 2}
    for kind, count in kinds.items():
        for number in range(count):
            key = ItemKey(kind, f"{kind.name} {number}")
            watched.capsule.held[key] = Entry(key, b"r" * 32, None, 0, 0, 0)
    order: list[Kind] = []
    at_once: list[int] = []

    async def items(keys: Sequence[ItemKey]) -> AsyncIterator[list[Any]]:
        for key in keys:
            order.append(key.kind)
            yield []

    async def put(items: list[Any]) -> None:
        at_once.append(1)
        await asyncio.sleep(0)
        at_once.pop()
        most.append(len(at_once) + 1)

    most: list[int] = []
    watched.capsule.items = items  # type: ignore[method-assign]
    watched.capsule.put = put  # type: ignore[method-assign]
    await watched.copy()
    assert order == [kind for kind, count in kinds.items() for _ in range(count)]
    assert max(most) == 4
    assert most[0] == 1


async def test_the_last_message_ends_the_import_if_nobody_wrote_meanwhile() -> None:
    watched = Watched(5, max_message_chunks=1, items_per_message=2)
    await watched.copy(is_current=True)
    assert [len(memories) for memories in watched.capsule.commits] == [2, 2]
    assert (watched.copy_pass.ended, watched.capsule.final) == (True, True)
    assert watched.capsule.arrived == watched.capsule.held


async def test_the_import_is_not_ended_when_the_owner_wrote_meanwhile() -> None:
    watched = Watched(5, max_message_chunks=1, items_per_message=2)
    await watched.copy(is_current=False)
    assert [len(memories) for memories in watched.capsule.commits] == [2, 2, 1]
    assert (watched.copy_pass.ended, watched.capsule.final) == (False, False)
