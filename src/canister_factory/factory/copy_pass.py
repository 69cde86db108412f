"""One copying pass: what the target lacks is read from the source, checked and stored, many messages at a time.

Owns the work and what it counts. Does not own: what there is to do (`difference`), when passes happen (`copying`), and
believing the result (`verify`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canister_factory.contract.import_models import ImportBatch, MemoryChunk
from canister_factory.contract.manifest_models import ExportItem, MemoryManifest
from canister_factory.factory.difference import Difference
from canister_factory.factory.events import Transferred
from canister_factory.factory.manifest import Entry, ItemKey, Kind, key_of
from canister_factory.factory.run import Run
from canister_factory.factory.source import Source
from canister_factory.factory.target import NOTHING, Pending, Target
from canister_factory.factory.window import Window
from canister_factory.ic.task_group import task_group

_RECORDS_AT_ONCE = 4  # messages with records, beside those with chunks
_WAITING = 2  # messages that wait for their turn, so that there is always one to send


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """One chunk to move; `size` in bytes."""

    memory_id: str
    index: int
    size: int
    sha256: bytes


@dataclass(slots=True)
class Moved:
    """What a pass did."""

    bytes: int = 0
    items: int = 0
    removed: int = 0


class CopyPass:
    """One pass from a source into a personal canister's import session: `copy` is called once.

    `ended`: the pass also made the import final.
    """

    def __init__(self, run: Run, source: Source, target: Target, on_progress: Callable[[Transferred], None]) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._on_progress = on_progress
        self._throttled_seen = run.agent.transport.throttled
        self._moved = Moved()
        self._pending: Mapping[str, Pending] = {}
        self._with_content: set[ItemKey] = set()
        self._bytes_done = self._bytes_total = self._items_done = self._items_total = 0
        # The memories on their way, by id: their chunks, and how many of these aren't in the target yet.
        self._manifests: dict[str, MemoryManifest] = {}
        self._missing: dict[str, int] = {}
        self._to_commit: list[MemoryManifest] = []
        self._records_stored = False
        self.ended = False

    def __repr__(self) -> str:
        return f"CopyPass({self._source} to {self._target}, {self._run.window})"

    async def copy(
        self,
        entries: Mapping[ItemKey, Entry],
        todo: Difference,
        pending: Mapping[str, Pending],
        is_current: Callable[[], Coroutine[Any, Any, bool]],
    ) -> Moved:
        """Makes the target equal to these entries of the source. What is there already isn't sent again.

        `todo`: what the target lacks of them. `pending`: what it has begun. If the entries are current in the end, the
        last message makes the import final.

        Raises:
            ExportError: the source's data can't be read, or aren't what its manifest says.
            CapsuleRefused: the target refused what was sent.
            CreationRefused: the backend refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        self._moved.removed = len(todo.removed)
        self._with_content = {entry.key for entry in todo.contents}
        self._bytes_total = sum(entry.size for entry in entries.values())
        self._bytes_done = self._bytes_total - sum(entry.size for entry in todo.contents)
        self._items_total = len(entries)
        self._items_done = len(entries) - len(self._with_content.union(todo.records))
        if todo.removed:
            await self._target.remove(todo.removed)
        records = await self._renew_begun(todo, pending)
        async with task_group() as group:
            group.create_task(self._put_records(records))
            group.create_task(self._run.window.run(self._batches(todo.contents), self._move))
        *parts, last = [*self._ready(everything=True)] or [[]]
        async with task_group() as group:
            current = group.create_task(is_current())
            for part in parts:
                group.create_task(self._commit(part))
        if current.result():
            await self._target.batch(ImportBatch(removed=[], items=[], chunks=[], commits=last, finalize=True))
            self._items_done += len(last)
            self.ended = True
        elif last:
            await self._commit(last)
        self._tell()
        return self._moved

    async def _renew_begun(self, todo: Difference, pending: Mapping[str, Pending]) -> list[ItemKey]:
        """Stores the records of memories that the target has begun, before any chunk; returns the other records.

        With a record of another content the target drops the chunks that it has, also those that came before it.
        """
        gone = {key.id for key in todo.removed if key.kind is Kind.MEMORY}
        self._pending = {id: begun for id, begun in pending.items() if id not in gone}
        begun, others = list[ItemKey](), list[ItemKey]()
        for key in todo.records:
            is_begun = key.kind is Kind.MEMORY and self._pending.get(key.id, NOTHING).has_record
            (begun if is_begun else others).append(key)
        if begun:
            await self._put_step(begun, _RECORDS_AT_ONCE)
            self._pending = await self._target.pending()
        return others

    async def _put_records(self, keys: Sequence[ItemKey]) -> None:
        """Stores records, beside the chunks. The capsule comes first, everything belongs to it; then memories, several
        messages at once, since galleries refer to them.
        """
        first = [key for key in keys if key.kind is Kind.CAPSULE]
        rest = [key for key in keys if key.kind is not Kind.CAPSULE]
        if len(keys) <= self._run.config.items_per_message:
            steps = [keys]  # in this order in a message, mostly in one
        else:
            memories = [key for key in rest if key.kind is Kind.MEMORY]
            steps = [first, memories, [key for key in rest if key.kind is not Kind.MEMORY]]
        for step in steps:
            await self._put_step(step, 1 if step is keys else _RECORDS_AT_ONCE)
        self._records_stored = True

    async def _put_step(self, keys: Sequence[ItemKey], at_once: int) -> None:
        await Window(at_once, at_once).run(self._source.items(keys), self._put)

    async def _put(self, items: list[ExportItem]) -> None:
        await self._target.put(items)
        self._moved.items += len(items)
        self._items_done += sum(item not in self._with_content for item in map(key_of, items))

    async def _batches(self, contents: Sequence[Entry]) -> AsyncIterator[list[ChunkJob]]:
        """The chunks that are missing, in batches that fit a message; manifests are read as the work gets there."""
        batch: list[ChunkJob] = []
        size = 0
        async for manifest in self._source.memory_manifests(contents):
            for job in await self._find_missing(manifest):
                full = (
                    size + job.size > self._run.config.max_message_bytes
                    or len(batch) >= self._run.config.max_message_chunks
                )
                if batch and full:
                    yield batch
                    batch, size = [], 0
                batch.append(job)
                size += job.size
        if batch:
            yield batch

    async def _find_missing(self, manifest: MemoryManifest) -> list[ChunkJob]:
        """The chunks of a memory that the target doesn't have. Chunks that it has of an earlier content are dropped."""
        begun = self._pending.get(manifest.memory_id, NOTHING)
        sums = dict(enumerate(manifest.chunk_checksums))
        if any(sums.get(index) != sha256 for index, sha256 in begun.chunks.items()):
            key = ItemKey(Kind.MEMORY, manifest.memory_id)
            await self._target.remove([key])
            async for items in self._source.items([key]):
                await self._target.put(items)
            begun = NOTHING
        jobs = [job for job in _jobs(manifest) if job.index not in begun.chunks]
        self._bytes_done += manifest.total_size - sum(job.size for job in jobs)
        self._manifests[manifest.memory_id] = manifest
        self._missing[manifest.memory_id] = len(jobs)
        if not jobs:
            self._content_complete(manifest.memory_id)
        return jobs

    async def _move(self, batch: list[ChunkJob]) -> None:
        chunks = [
            MemoryChunk(
                memory_id=job.memory_id,
                index=job.index,
                bytes=await self._source.chunk(job.memory_id, job.index, job.sha256),
                sha256=job.sha256,
            )
            for job in batch
        ]
        await self._target.put_chunks(chunks)
        for job in batch:
            self._moved.bytes += job.size
            self._bytes_done += job.size
            self._missing[job.memory_id] -= 1
            if self._missing[job.memory_id] == 0:
                self._content_complete(job.memory_id)
        self._steer()
        for part in self._ready():
            await self._commit(part)
        self._tell()

    def _steer(self) -> None:
        """Fits the window to what the network takes."""
        transport = self._run.agent.transport
        if transport.throttled != self._throttled_seen:
            self._throttled_seen = transport.throttled
            self._run.window.pressure()
        elif transport.pacer.waiting > _WAITING:
            self._run.window.ease()

    def _ready(self, *, everything: bool = False) -> Iterator[list[MemoryManifest]]:
        """Memories to commit now, a message's worth at a time: those whose chunks and records are all there."""
        config = self._run.config
        while self._to_commit and self._records_stored:
            part: list[MemoryManifest] = []
            chunks = 0
            for manifest in self._to_commit[: config.items_per_message]:
                if part and chunks + manifest.total_chunks > config.commit_chunks_per_message:
                    break
                part.append(manifest)
                chunks += manifest.total_chunks
            full = len(part) < len(self._to_commit) or len(part) == config.items_per_message
            if not (full or everything):
                return
            del self._to_commit[: len(part)]
            yield part

    async def _commit(self, part: list[MemoryManifest]) -> None:
        await self._target.commit(part)
        self._items_done += len(part)

    def _content_complete(self, memory_id: str) -> None:
        """All chunks of a memory are in the target: it may be committed."""
        del self._missing[memory_id]
        self._to_commit.append(self._manifests.pop(memory_id))

    def _tell(self) -> None:
        window = self._run.window.size
        self._on_progress(Transferred(self._bytes_done, self._bytes_total, self._items_done, self._items_total, window))


def _jobs(manifest: MemoryManifest) -> Iterable[ChunkJob]:
    for index, sha256 in enumerate(manifest.chunk_checksums):
        size = min(manifest.chunk_size, manifest.total_size - index * manifest.chunk_size)
        yield ChunkJob(manifest.memory_id, index, size, sha256)
