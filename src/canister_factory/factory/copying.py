"""The copy of a capsule: passes until nothing was written meanwhile; the last message also ends the import.

The owner may write all the while. What they write during a pass is the next pass's work, and passes get shorter; only
when they don't, or when the owner wrote between the copy and its verification, the last one is under the write lock.

Owns how many passes there are, and which one is the last. Does not own: one pass (`copy_pass`), the last message
(`bundle`), whether there is anything to copy, and how often progress is reported (`stages`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from canister_factory.contract.import_models import ImportBatch
from canister_factory.factory.bundle import bundle, fits
from canister_factory.factory.copy_pass import CopyPass, Moved
from canister_factory.factory.difference import Difference, difference
from canister_factory.factory.errors import ExportError
from canister_factory.factory.events import PassDone, Transferred
from canister_factory.factory.manifest import Entry, ItemKey
from canister_factory.factory.run import Run
from canister_factory.factory.source import LeasedSource, Listing
from canister_factory.factory.target import Pending, Target
from canister_factory.ic.errors import IngressTooLargeError
from canister_factory.ic.task_group import task_group

Report = Callable[[Transferred], None]


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What was read of a capsule while the target was being made: all of it in `batch`, if it fits one message."""

    listing: Listing
    batch: ImportBatch | None


@dataclass(frozen=True, slots=True)
class Copied:
    """What the target holds: the source's entries at one revision. `bytes_moved` and `seconds` over all passes;
    `skipped`: it was there already.
    """

    listing: Listing
    bytes_moved: int = 0
    seconds: float = 0.0
    skipped: bool = False


async def read_ahead(source: LeasedSource, run: Run) -> ReadAhead:
    """Reads for a target that has nothing yet: a capsule that fits a message, of a larger one the entries.

    Raises:
        ExportError: the source's data can't be read, aren't what its manifest says, or changed meanwhile.
    """
    listing = await source.listing()
    todo = difference(listing.entries, {}, {})
    if fits(todo, run.config):
        return ReadAhead(listing, await bundle(source, todo, {}, run.window.size))
    run.agent.transport.expect_many()
    return ReadAhead(listing, None)


class Copying:
    """Copies from a source into a target, again and again if need be; the counts go on from one to the next."""

    def __init__(self, run: Run, source: LeasedSource, target: Target, report: Report) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._report = report
        self._number = 0
        self._bytes_moved = 0
        self._seconds = 0.0
        self._ready_at = 0.0

    def __repr__(self) -> str:
        return f"Copying({self._source} to {self._target}, {self._bytes_moved} bytes moved)"

    def copy_new(self, reading: Awaitable[ReadAhead]) -> Coroutine[Any, Any, Copied]:
        """As `copy`, without a lock, to a target that has nothing yet, or is still being made: what is put waits until
        `target_is_ready`, and what was read ahead isn't asked for again.

        Raises:
            ExportError: the source's data can't be read, or aren't what its manifest says.
            CapsuleRefused: the target refused what was sent.
            CreationRefused: the backend refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        self._target.is_ready.clear()  # now, not when the copy has its first turn
        return self._copy_new(reading)

    async def _copy_new(self, reading: Awaitable[ReadAhead]) -> Copied:
        try:
            ahead = await reading
        except ExportError:  # the copy meets the same again, or it was a write
            await self._target.is_ready.wait()
            return await self.copy(lock=False)
        listing = ahead.listing
        if ahead.batch is not None:
            with suppress(IngressTooLargeError):  # its records are large; they go one after the other
                todo = difference(listing.entries, {}, {})
                await self._send(todo, listing, ahead.batch, self._run.clock(), locked=False)
                return self._copied(listing)
        return await self._copy_freely(listing) or await self._copy_locked()

    def target_is_ready(self) -> None:
        """What `copy_new` has read may be put."""
        self._ready_at = self._run.clock()
        self._target.is_ready.set()

    async def copy(self, *, lock: bool) -> Copied:
        """Copies until both sides are equal, and makes the import final; with `lock`, under the write lock.

        Raises:
            ExportError: the source's data can't be read, or aren't what its manifest says.
            CapsuleRefused: the target refused what was sent.
            CreationRefused: the backend refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        if lock or await self._target.latest() is not None:
            await self._target.begin()  # otherwise the first message begins the session
        return (None if lock else await self._copy_freely()) or await self._copy_locked()

    async def _copy_freely(self, new: Listing | None = None) -> Copied | None:
        """Passes while the owner may write; `None` when they wrote during all of them. `new`: what the first one is of,
        if the target has nothing yet.
        """
        for _ in range(self._run.config.free_passes):
            before = await self._source.revision() if new is None else new.revision
            try:
                copied = await self._pass(locked=False, new=new)
            except Exception:
                # Whatever went wrong may be due to a write in between; if there was none, it isn't.
                if await self._source.revision() == before:
                    raise
                copied = None
            if copied is not None:
                return copied
            new = None
        return None

    async def _copy_locked(self) -> Copied:
        await self._source.freeze(lock=True)
        while True:
            copied = await self._pass(locked=True)
            if copied is not None:
                return copied

    async def _pass(self, *, locked: bool, new: Listing | None = None) -> Copied | None:
        """One pass; what fits a message is sent as one. `None` when the owner wrote meanwhile, and it isn't final."""
        started = self._run.clock()
        listing, held, pending = await self._look() if new is None else (new, {}, {})
        todo = difference(listing.entries, held, pending)
        if fits(todo, self._run.config):
            try:
                batch = await bundle(self._source, todo, pending, self._run.window.size)
                await self._send(todo, listing, batch, started, locked=locked)
            except IngressTooLargeError:
                pass  # its records are large; they go one after the other
            else:
                return self._copied(listing)

        async def is_current() -> bool:
            return locked or await self._source.revision() == listing.revision

        copy_pass = CopyPass(self._run, self._source, self._target, self._on_progress)
        moved = await copy_pass.copy(listing.entries, todo, pending, is_current)
        self._passed(moved, started, locked=locked)
        return self._copied(listing) if copy_pass.ended else None

    async def _look(self) -> tuple[Listing, dict[ItemKey, Entry], dict[str, Pending]]:
        """What the source has, what the target has, and what that has begun."""
        async with task_group() as group:
            listed = group.create_task(self._source.listing())
            begun = group.create_task(self._target.pending())
            held = group.create_task(self._target.entries())
        return listed.result(), held.result(), begun.result()

    async def _send(
        self, todo: Difference, listing: Listing, batch: ImportBatch, started: float, *, locked: bool
    ) -> None:
        await self._target.batch(batch)
        moved = Moved(sum(entry.size for entry in todo.contents), len(todo.records), len(todo.removed))
        total, items = sum(entry.size for entry in listing.entries.values()), len(listing.entries)
        self._on_progress(Transferred(total, total, items, items, self._run.window.size))
        self._passed(moved, started, locked=locked)

    def _passed(self, moved: Moved, started: float, *, locked: bool) -> None:
        seconds = self._run.clock() - max(started, self._ready_at)
        self._number += 1
        self._bytes_moved += moved.bytes
        self._seconds += seconds
        self._run.emit(PassDone(self._number, moved.bytes, moved.items, moved.removed, locked, seconds))

    def _copied(self, listing: Listing) -> Copied:
        return Copied(listing, self._bytes_moved, self._seconds)

    def _on_progress(self, transferred: Transferred) -> None:
        """Every progress is an event; whether it is reported now, `report` decides."""
        self._run.emit(transferred)
        self._report(transferred)
