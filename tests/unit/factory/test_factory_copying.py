"""How many passes a copy takes, which one ends the import, and which ones are under the write lock."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from canister_factory.factory.copying import Copied, Copying, ReadAhead, read_ahead
from canister_factory.factory.errors import SourceMovedError
from canister_factory.factory.events import PassDone, Transferred
from canister_factory.factory.source import Listing
from canister_factory.ic.errors import IngressTooLargeError
from support.backend_script import Clock, run_on
from support.copy_script import CapsuleToCopy


def run_with(events: list[Any], clock: Clock | None = None, **config: Any) -> Any:
    transport = SimpleNamespace(throttled=0, pacer=SimpleNamespace(waiting=0), many_expected=0)

    def expect_many() -> None:
        transport.many_expected += 1

    transport.expect_many = expect_many
    agent = SimpleNamespace(transport=transport)
    return run_on(agent, clock or Clock(), emit=events.append, **config)


async def let_all_wait() -> None:
    """Everything goes on as far as it comes by itself."""
    for _ in range(50):
        await asyncio.sleep(0)


def passes(events: list[Any]) -> list[tuple[int, int, bool]]:
    """Number, bytes moved, and whether locked of each pass."""
    return [(e.number, e.bytes_moved, e.locked) for e in events if isinstance(e, PassDone)]


async def copy(capsule: Any, *, lock: bool = False, **config: Any) -> tuple[Copied, list[tuple[int, int, bool]]]:
    events: list[Any] = []

    def report(transferred: Transferred) -> None:
        assert transferred.bytes_done <= transferred.bytes_total

    copied = await Copying(run_with(events, **config), capsule, capsule, report).copy(lock=lock)
    assert copied.listing.entries == capsule.arrived == capsule.held
    assert capsule.final
    return copied, passes(events)


async def copied_new(capsule: Any, run: Any, ahead: ReadAhead | Exception) -> Copied:
    """The copy to a target that gets ready when everything is waiting for it."""
    copying, reading = Copying(run, capsule, capsule, lambda transferred: None), asyncio.Future[ReadAhead]()
    if isinstance(ahead, Exception):
        reading.set_exception(ahead)
    else:
        reading.set_result(ahead)
    copied = asyncio.create_task(copying.copy_new(reading))
    await let_all_wait()
    assert (capsule.sent, capsule.arrived, copied.done()) == ([], {}, False)
    copying.target_is_ready()
    return await copied


async def test_what_fits_a_message_is_one_pass_without_a_lock() -> None:
    capsule = CapsuleToCopy(writes=1)
    copied, made = await copy(capsule)
    assert made == [(1, 4, False)]
    assert (copied.listing.revision, copied.bytes_moved, capsule.locked) == (1, 4, False)


async def test_what_is_larger_is_one_pass_too_if_nobody_writes_meanwhile() -> None:
    capsule = CapsuleToCopy(writes=0)
    capsule.write()
    capsule.write()
    copied, made = await copy(capsule, max_message_chunks=1)
    assert made == [(1, 8, False)]
    assert (copied.bytes_moved, capsule.locked, capsule.final) == (8, False, True)


async def test_what_was_written_during_a_pass_takes_another_one() -> None:
    capsule = CapsuleToCopy(writes=0)
    capsule.write()
    capsule.write()
    to_come = [True]
    capsule.on_chunks = lambda: capsule.write() if to_come and to_come.pop() else None
    copied, made = await copy(capsule, max_message_chunks=1)
    assert made == [(1, 8, False), (2, 4, False)]
    assert (copied.bytes_moved, capsule.locked, capsule.final) == (12, False, True)


async def test_an_owner_who_writes_as_fast_as_the_copy_is_made_is_locked_out_for_the_last_passes() -> None:
    capsule = CapsuleToCopy(writes=100)
    for _ in range(3):
        capsule.write()
    listing = capsule.listing

    async def two_more() -> Any:
        if not capsule.locked:
            capsule.write()
        return await listing()

    capsule.listing = two_more  # type: ignore[method-assign]
    capsule.on_chunks = lambda: None if capsule.locked else capsule.write()
    copied, made = await copy(capsule, max_message_chunks=1, free_passes=2)
    assert made == [(1, 20, False), (2, 28, False), (3, 28, True)]
    assert (copied.bytes_moved, capsule.final) == (76, True)


async def test_under_the_lock_nothing_is_copied_freely() -> None:
    capsule = CapsuleToCopy(writes=100)
    capsule.write()
    capsule.write()
    _, made = await copy(capsule, lock=True, max_message_chunks=1)
    assert made == [(1, 8, True)]


async def test_a_pass_that_failed_for_a_write_in_between_is_made_up_by_the_next() -> None:
    capsule = CapsuleToCopy(writes=3)
    capsule.failures = [SourceMovedError("moved")]
    _, made = await copy(capsule)
    assert made == [(1, 8, False)]


async def test_a_pass_that_failed_without_a_write_ends_the_copy() -> None:
    capsule = CapsuleToCopy(writes=0)
    capsule.failures = [SourceMovedError("the capsule moved")]
    with pytest.raises(SourceMovedError, match="the capsule moved"):
        await copy(capsule)


async def test_records_that_are_too_large_for_a_message_go_one_after_the_other() -> None:
    capsule = CapsuleToCopy(writes=1)
    batch, refused = capsule.batch, [IngressTooLargeError("the call", 3, 2)]

    async def refuse_once(sent: Any) -> None:
        if refused:
            raise refused.pop()
        await batch(sent)

    capsule.batch = refuse_once  # type: ignore[assignment, method-assign]
    _, made = await copy(capsule)
    assert made == [(1, 4, False)]
    assert (capsule.arrived, capsule.final) == (capsule.held, True)


async def test_a_small_capsule_is_read_ahead_and_sent_as_it_was_read() -> None:
    capsule, events = CapsuleToCopy(writes=1), list[Any]()
    both: Any = capsule
    run = run_with(events)
    copied = await copied_new(capsule, run, await read_ahead(both, run))
    assert (copied.listing.revision, passes(events)) == (1, [(1, 4, False)])
    assert capsule.arrived == capsule.held
    assert run.agent.transport.many_expected == 0


async def larger_ahead(capsule: Any, events: list[Any]) -> tuple[Any, ReadAhead]:
    """A run, and what it reads ahead of a capsule with one memory more than fits a message."""
    capsule.write()
    run = run_with(events, max_message_chunks=1)
    return run, await read_ahead(capsule, run)


async def test_of_a_larger_capsule_the_entries_are_read_ahead_and_nobody_is_asked_for_them_again() -> None:
    capsule, events = CapsuleToCopy(writes=1), list[Any]()
    run, ahead = await larger_ahead(capsule, events)
    assert ahead == ReadAhead(Listing(2, capsule.held), None)
    assert run.agent.transport.many_expected == 1, "while the target is being made"
    asked = list[str]()
    for name in ("listing", "entries", "pending", "latest"):
        setattr(capsule, name, lambda name=name: asked.append(name))
    copied = await copied_new(capsule, run, ahead)
    assert (asked, passes(events)) == ([], [(1, 8, False)])
    assert copied.listing.entries == capsule.arrived == capsule.held


async def test_what_was_written_after_it_was_read_ahead_is_the_next_pass() -> None:
    capsule, events = CapsuleToCopy(writes=1), list[Any]()
    run, ahead = await larger_ahead(capsule, events)
    capsule.write()
    copied = await copied_new(capsule, run, ahead)
    assert passes(events) == [(1, 8, False), (2, 4, False)]
    assert copied.listing.entries == capsule.arrived == capsule.held


async def test_a_write_while_it_was_read_ahead_is_no_failure_of_the_copy() -> None:
    capsule, events = CapsuleToCopy(writes=1), list[Any]()
    copied = await copied_new(capsule, run_with(events), SourceMovedError("the capsule moved"))
    assert (copied.listing.entries, passes(events)) == (capsule.held, [(1, 4, False)])


async def test_a_copy_takes_no_longer_than_since_its_target_is_ready() -> None:
    capsule, clock = CapsuleToCopy(writes=1), Clock()
    capsule.write()
    run = run_with([], clock, max_message_chunks=1)
    both: Any = capsule
    copying = Copying(run, both, both, lambda transferred: None)
    copied = asyncio.create_task(copying.copy_new(asyncio.ensure_future(read_ahead(both, run))))
    await let_all_wait()
    clock.now += 6
    capsule.on_chunks = lambda: setattr(clock, "now", clock.now + 2)
    copying.target_is_ready()
    assert (await copied).seconds == 4


async def test_progress_is_told_after_each_message_and_at_the_end_of_a_pass() -> None:
    clock, capsule, reports, events = Clock(), CapsuleToCopy(writes=0), list[int](), list[Any]()
    for _ in range(3):
        capsule.write()
    capsule.on_chunks = lambda: setattr(clock, "now", clock.now + 2)
    run = run_with(events, clock, max_message_chunks=1, start_window=1, max_window=1)
    both: Any = capsule
    copied = await Copying(run, both, both, lambda transferred: reports.append(transferred.bytes_done)).copy(lock=False)
    assert [event.bytes_done for event in events if isinstance(event, Transferred)] == [4, 8, 12, 12]
    assert reports == [4, 8, 12, 12]
    assert copied.seconds == 6
