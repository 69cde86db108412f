"""One copying pass: what the target lacks is read from the source, checked and stored, many messages at a time.

Owns the difference between both sides and the order of the work. Does not own: when passes happen, and believing the
result (`verify`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from canister_factory.contract.import_models import MemoryChunk
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.factory.events import Transferred
from canister_factory.factory.manifest import Entry, ItemKey, Kind, key_of
from canister_factory.factory.run import Run
from canister_factory.factory.source import Source
from canister_factory.factory.target import NOTHING, Pending, Target


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """One chunk to move; `size` in bytes."""

    memory_id: str
    index: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """What makes the target equal to the source, in the order in which it is done."""

    removed: list[ItemKey]
    records: list[ItemKey]
    contents: list[Entry]


def difference(
    source: Mapping[ItemKey, Entry], target: Mapping[ItemKey, Entry], pending: Mapping[str, Pending]
) -> Difference:
    """Compares both sides' entries, and what the target has begun.

    A memory whose content changed is removed first, together with pending chunks, and then stored anew: the target
    takes no other bytes under an index that it has.
    """
    removed = [key for key in target if key not in source and key.kind is not Kind.CAPSULE]
    removed += [key for key in (ItemKey(Kind.MEMORY, id) for id in pending) if key not in source and key not in target]
    records: list[ItemKey] = []
    contents: list[Entry] = []
    for key in sorted(source):
        entry, stored = source[key], target.get(key)
        if entry.content_checksum is not None and (stored is None or stored.content != entry.content):
            contents.append(entry)
            if stored is not None:
                removed.append(key)
                records.append(key)
                continue
            begun = pending.get(key.id)
            if begun is not None and begun.has_record:
                # The record may be of an earlier revision; storing it again costs less than asking.
                records.append(key)
                continue
        if stored is None or stored.record_checksum != entry.record_checksum or stored.content != entry.content:
            records.append(key)
    return Difference(removed, records, contents)


@dataclass(slots=True)
class Moved:
    """What a pass did."""

    bytes: int = 0
    items: int = 0
    removed: int = 0


class _Pass:
    """One pass in progress: what it counts, and the memories on their way by id."""

    def __init__(self, entries: Mapping[ItemKey, Entry], todo: Difference, pending: Mapping[str, Pending]) -> None:
        self.pending = pending
        self.with_content = {entry.key for entry in todo.contents}
        self.moved = Moved(removed=len(todo.removed))
        self.bytes_total = sum(entry.size for entry in entries.values())
        self.bytes_done = self.bytes_total - sum(entry.size for entry in todo.contents)
        self.items_total = len(entries)
        self.items_done = len(entries) - len(self.with_content.union(todo.records))
        self.manifests: dict[str, MemoryManifest] = {}
        self.missing: dict[str, int] = {}
        self.to_commit: list[MemoryManifest] = []

    def content_complete(self, memory_id: str) -> None:
        """All chunks of a memory are in the target: it may be committed."""
        del self.missing[memory_id]
        self.to_commit.append(self.manifests.pop(memory_id))


Report = Callable[[Transferred], Awaitable[None]]


class Importer:
    """Copies from a source into a personal canister's import session. One at a time for each target."""

    def __init__(self, run: Run, source: Source, target: Target, report: Report) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._report = report
        self._throttled_seen = run.agent.transport.throttled
        self._reported_at = run.clock()

    def __repr__(self) -> str:
        return f"Importer({self._source} to {self._target}, {self._run.window})"

    async def copy(self, entries: Mapping[ItemKey, Entry]) -> Moved:
        """Makes the target equal to these entries of the source. What is there already isn't sent again.

        Raises:
            ExportError: the source's data can't be read, or aren't what its manifest says.
            CapsuleRefused: the target refused what was sent.
            CreationRefused: the backend refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        pending = await self._target.pending()
        todo = difference(entries, await self._target.entries(), pending)
        progress = _Pass(entries, todo, pending)
        if todo.removed:
            await self._target.remove(todo.removed)
            for key in todo.removed:
                pending.pop(key.id, None)
        # The capsule itself comes first, everything belongs to it; then memories, since galleries refer to them.
        await self._put_records(todo.records, progress)
        await self._run.window.run(self._batches(todo.contents, progress), lambda batch: self._move(batch, progress))
        await self._commit(progress, everything=True)
        await self._report_progress(progress, now=True)
        return progress.moved

    async def _put_records(self, keys: Sequence[ItemKey], progress: _Pass) -> None:
        async for items in self._source.items(keys):
            await self._target.put(items)
            progress.moved.items += len(items)
            progress.items_done += sum(item not in progress.with_content for item in map(key_of, items))

    async def _batches(self, contents: Sequence[Entry], progress: _Pass) -> AsyncIterator[list[ChunkJob]]:
        """The chunks that are missing, in batches that fit a message; manifests are read as the work gets there."""
        batch: list[ChunkJob] = []
        size = 0
        async for manifest in self._source.memory_manifests(contents):
            for job in await self._missing(manifest, progress):
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

    async def _missing(self, manifest: MemoryManifest, progress: _Pass) -> list[ChunkJob]:
        """The chunks of a memory that the target doesn't have. Chunks that it has of an earlier content are dropped."""
        begun = progress.pending.get(manifest.memory_id, NOTHING)
        sums = dict(enumerate(manifest.chunk_checksums))
        if any(sums.get(index) != sha256 for index, sha256 in begun.chunks.items()):
            key = ItemKey(Kind.MEMORY, manifest.memory_id)
            await self._target.remove([key])
            async for items in self._source.items([key]):
                await self._target.put(items)
            begun = NOTHING
        jobs = [job for job in _jobs(manifest) if job.index not in begun.chunks]
        progress.bytes_done += manifest.total_size - sum(job.size for job in jobs)
        progress.manifests[manifest.memory_id] = manifest
        progress.missing[manifest.memory_id] = len(jobs)
        if not jobs:
            progress.content_complete(manifest.memory_id)
        return jobs

    async def _move(self, batch: list[ChunkJob], progress: _Pass) -> None:
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
            progress.moved.bytes += job.size
            progress.bytes_done += job.size
            progress.missing[job.memory_id] -= 1
            if progress.missing[job.memory_id] == 0:
                progress.content_complete(job.memory_id)
        throttled = self._run.agent.transport.throttled
        if throttled != self._throttled_seen:
            self._throttled_seen = throttled
            self._run.window.pressure()
        await self._commit(progress)
        await self._report_progress(progress)

    async def _commit(self, progress: _Pass, *, everything: bool = False) -> None:
        """Commits memories whose chunks are all there, a message's worth at a time."""
        while progress.to_commit:
            part: list[MemoryManifest] = []
            chunks = 0
            for manifest in progress.to_commit[: self._run.config.items_per_message]:
                if part and chunks + manifest.total_chunks > self._run.config.commit_chunks_per_message:
                    break
                part.append(manifest)
                chunks += manifest.total_chunks
            full = len(part) < len(progress.to_commit) or len(part) == self._run.config.items_per_message
            if not (full or everything):
                return
            del progress.to_commit[: len(part)]
            await self._target.commit(part)
            progress.items_done += len(part)

    async def _report_progress(self, progress: _Pass, *, now: bool = False) -> None:
        transferred = Transferred(
            progress.bytes_done, progress.bytes_total, progress.items_done, progress.items_total, self._run.window.size
        )
        self._run.emit(transferred)
        if now or self._run.clock() - self._reported_at >= self._run.config.progress_seconds:
            self._reported_at = self._run.clock()
            await self._report(transferred)


def _jobs(manifest: MemoryManifest) -> Iterable[ChunkJob]:
    for index, sha256 in enumerate(manifest.chunk_checksums):
        size = min(manifest.chunk_size, manifest.total_size - index * manifest.chunk_size)
        yield ChunkJob(manifest.memory_id, index, size, sha256)
