"""How many passes a copy takes, and which one is under the write lock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from canister_factory.factory.copying import Copied, Copying
from canister_factory.factory.errors import SourceMovedError
from canister_factory.factory.events import PassDone, Transferred
from support.backend_script import Clock, run_on
from support.copy_script import CapsuleToCopy


async def copy(capsule: Any, **config: Any) -> tuple[Copied, list[tuple[int, int, bool]]]:
    """The copy's result; number, bytes moved, and whether locked of each pass."""
    events: list[Any] = []
    agent = SimpleNamespace(transport=SimpleNamespace(throttled=0))

    async def report(transferred: Transferred) -> None:
        assert transferred.bytes_done <= transferred.bytes_total

    copied = await Copying(run_on(agent, Clock(), emit=events.append, **config), capsule, capsule, report).copy()
    return copied, [(e.number, e.bytes_moved, e.locked) for e in events if isinstance(e, PassDone)]


async def test_when_little_is_left_the_next_pass_is_the_locked_one() -> None:
    capsule = CapsuleToCopy(writes=2)
    copied, passes = await copy(capsule)
    assert passes == [(1, 8, False), (2, 0, True)]
    assert copied.entries == capsule.arrived == capsule.held
    assert (copied.memories, copied.bytes_moved, copied.manifest.revision) == (5, 8, 2)


async def test_while_much_is_left_the_free_passes_are_used_up() -> None:
    copied, passes = await copy(CapsuleToCopy(writes=100), free_passes=3, lock_below_bytes=0)
    assert passes == [(1, 8, False), (2, 8, False), (3, 8, False), (4, 0, True)]
    assert copied.bytes_moved == 24


async def test_a_pass_that_moved_just_the_limit_is_followed_by_the_locked_one() -> None:
    _, passes = await copy(CapsuleToCopy(writes=100), lock_below_bytes=8)
    assert passes == [(1, 8, False), (2, 0, True)]


async def test_a_pass_that_failed_for_a_write_in_between_is_made_up_by_the_next() -> None:
    capsule = CapsuleToCopy(writes=3)
    capsule.failures = [SourceMovedError("moved")]
    copied, passes = await copy(capsule)
    assert passes == [(2, 12, False), (3, 0, True)]
    assert copied.entries == capsule.held


async def test_a_pass_that_failed_without_a_write_ends_the_copy() -> None:
    capsule = CapsuleToCopy(writes=1)
    capsule.failures = [SourceMovedError("the capsule moved")]
    with pytest.raises(SourceMovedError, match="the capsule moved"):
        await copy(capsule)


async def test_when_an_earlier_call_ended_the_import_the_manifest_counts_the_memories() -> None:
    capsule = CapsuleToCopy(writes=2)
    capsule.finalized = None
    copied, _ = await copy(capsule)
    assert copied.memories == 2


async def test_reports_are_made_at_the_end_of_a_pass_and_when_their_time_has_come() -> None:
    clock, capsule, reports, events = Clock(), CapsuleToCopy(writes=0), list[int](), list[Any]()
    for _ in range(3):
        capsule.write()
    capsule.on_chunks = lambda: setattr(clock, "now", clock.now + 2)
    agent = SimpleNamespace(transport=SimpleNamespace(throttled=0))
    run = run_on(
        agent, clock, emit=events.append, progress_seconds=4, max_message_chunks=1, start_window=1, max_window=1
    )

    async def report(transferred: Transferred) -> None:
        reports.append(transferred.bytes_done)

    both: Any = capsule
    copied = await Copying(run, both, both, report).copy()
    assert [event.bytes_done for event in events if isinstance(event, Transferred)] == [4, 8, 12, 12, 12]
    assert reports == [8, 12, 12], "after four seconds, and at the end of both passes"
    assert copied.seconds == 6
