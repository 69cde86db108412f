"""The copy of a capsule: passes until nothing was written meanwhile; the last message also ends the import.

The owner may write all the while. What they write during a pass is the next pass's work, and passes get shorter; only
when they don't, or when the owner wrote between the copy and its verification, the last one is under the write lock.

Owns how many passes there are, and which one is the last. Does not own: one pass (`copy_pass`), the last message
(`bundle`), whether there is anything to copy, and how often progress is reported (`stages`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from canister_factory.contract.import_models import ImportBatch
from canister_factory.factory.bundle import bundle, fits
from canister_factory.factory.copy_pass import CopyPass, Moved
from canister_factory.factory.difference import Difference, difference
from canister_factory.factory.events import PassDone, Transferred
from canister_factory.factory.run import Run
from canister_factory.factory.source import LeasedSource, Listing
from canister_factory.factory.target import Target
from canister_factory.ic.errors import IngressTooLargeError
from canister_factory.ic.task_group import task_group

Report = Callable[[Transferred], None]


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """A capsule that fits one message, read while the target was being made."""

    listing: Listing
    batch: ImportBatch


@dataclass(frozen=True, slots=True)
class Copied:
    """What the target holds: the source's entries at one revision. `bytes_moved` and `seconds` over all passes;
    `skipped`: it was there already.
    """

    listing: Listing
    bytes_moved: int = 0
    seconds: float = 0.0
    skipped: bool = False


async def read_ahead(source: LeasedSource, run: Run) -> ReadAhead | None:
    """Reads a capsule for a target that has nothing yet; `None` for one that takes more than a message.

    Raises:
        ExportError: the source's data can't be read, aren't what its manifest says, or changed meanwhile.
    """
    listing = await source.listing()
    todo = difference(listing.entries, {}, {})
    return ReadAhead(listing, await bundle(source, todo, {}, run.window.size)) if fits(todo, run.config) else None


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

    def __repr__(self) -> str:
        return f"Copying({self._source} to {self._target}, {self._bytes_moved} bytes moved)"

    async def send(self, ahead: ReadAhead) -> Copied:
        """Sends to an empty target what was read ahead, and makes the import final.

        Raises:
            CapsuleRefused: the target refused what was sent.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        todo = difference(ahead.listing.entries, {}, {})
        await self._send(todo, ahead.listing, ahead.batch, self._run.clock(), locked=False)
        return self._copied(ahead.listing)

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
        if not lock:
            for _ in range(self._run.config.free_passes):
                before = await self._source.revision()
                try:
                    copied = await self._pass(locked=False)
                except Exception:
                    # Whatever went wrong may be due to a write in between; if there was none, it isn't.
                    if await self._source.revision() == before:
                        raise
                    continue
                if copied is not None:
                    return copied
        await self._source.freeze(lock=True)
        while True:
            copied = await self._pass(locked=True)
            if copied is not None:
                return copied

    async def _pass(self, *, locked: bool) -> Copied | None:
        """One pass; what fits a message is sent as one. `None` when the owner wrote meanwhile, and it isn't final."""
        started = self._run.clock()
        async with task_group() as group:
            listed = group.create_task(self._source.listing())
            begun = group.create_task(self._target.pending())
            held = group.create_task(self._target.entries())
        listing, pending = listed.result(), begun.result()
        todo = difference(listing.entries, held.result(), pending)
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

    async def _send(
        self, todo: Difference, listing: Listing, batch: ImportBatch, started: float, *, locked: bool
    ) -> None:
        await self._target.batch(batch)
        moved = Moved(sum(entry.size for entry in todo.contents), len(todo.records), len(todo.removed))
        total, items = sum(entry.size for entry in listing.entries.values()), len(listing.entries)
        self._on_progress(Transferred(total, total, items, items, self._run.window.size))
        self._passed(moved, started, locked=locked)

    def _passed(self, moved: Moved, started: float, *, locked: bool) -> None:
        seconds = self._run.clock() - started
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
