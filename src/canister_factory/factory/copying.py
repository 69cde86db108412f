"""The copy of a capsule: passes while the owner may write, then one under the write lock, then the import's end.

Owns how many passes there are, which one is the last, and how often progress is reported. Does not own: one pass
(`copy_pass`), and whether an import can go on or has to start over (`stages`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from canister_factory.contract.manifest_models import CapsuleManifest
from canister_factory.factory.copy_pass import CopyPass, Moved
from canister_factory.factory.events import PassDone, Transferred
from canister_factory.factory.manifest import Entry, ItemKey
from canister_factory.factory.run import Run
from canister_factory.factory.source import Source
from canister_factory.factory.target import Target

Report = Callable[[Transferred], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Copied:
    """What the target holds: the source's manifest and entries, frozen under the write lock.

    `memories` as the target counts them; `bytes_moved` and `seconds` over all passes.
    """

    manifest: CapsuleManifest
    entries: dict[ItemKey, Entry]
    memories: int
    bytes_moved: int = 0
    seconds: float = 0.0


class Copying:
    """One copy from a source into a target, whose import is not final."""

    def __init__(self, run: Run, source: Source, target: Target, report: Report) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._report = report
        self._reported_at = run.clock()
        self._bytes_moved = 0
        self._seconds = 0.0

    def __repr__(self) -> str:
        return f"Copying({self._source} to {self._target}, {self._bytes_moved} bytes moved)"

    async def copy(self) -> Copied:
        """Copies until both sides are equal, and makes the import final.

        Raises:
            ExportError: the source's data can't be read, or aren't what its manifest says.
            CapsuleRefused: the target refused what was sent.
            CreationRefused: the backend refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        await self._target.begin()
        number = await self._free_passes()
        manifest, entries, _ = await self._pass(number, lock=True)
        finalized = await self._target.finalize()
        memories = finalized.total_memories_imported if finalized else manifest.memories
        return Copied(manifest, entries, memories, self._bytes_moved, self._seconds)

    async def _free_passes(self) -> int:
        """Copies while the owner may write, until little is left; returns the number of the pass to come."""
        config = self._run.config
        for number in range(1, config.free_passes + 1):
            before = await self._source.freeze(lock=False)
            try:
                _, _, moved = await self._pass(number, lock=False)
            except Exception:
                # Whatever went wrong may be due to a write in between; if there was none, it isn't.
                if (await self._source.freeze(lock=False)).revision == before.revision:
                    raise
                continue
            if moved.bytes <= config.lock_below_bytes:
                return number + 1
        return config.free_passes + 1

    async def _pass(self, number: int, *, lock: bool) -> tuple[CapsuleManifest, dict[ItemKey, Entry], Moved]:
        started = self._run.clock()
        copy_pass = CopyPass(self._run, self._source, self._target, self._on_progress)
        manifest = await self._source.freeze(lock=lock)
        entries = await self._source.entries(manifest.revision)
        moved = await copy_pass.copy(entries)
        seconds = self._run.clock() - started
        self._bytes_moved += moved.bytes
        self._seconds += seconds
        self._run.emit(PassDone(number, moved.bytes, moved.items, moved.removed, lock, seconds))
        return manifest, entries, moved

    async def _on_progress(self, transferred: Transferred, *, last: bool) -> None:
        """Every progress is an event; a report is an update call, made now and then and at a pass's end."""
        self._run.emit(transferred)
        if last or self._run.clock() - self._reported_at >= self._run.config.progress_seconds:
            self._reported_at = self._run.clock()
            await self._report(transferred)
