"""A difference that fits one message: records, chunks, commits and the import's end together.

Owns what is small enough, and reading it. Does not own: what there is to do (`difference`), and passes of larger ones
(`copy_pass`).
"""

from __future__ import annotations

from collections.abc import Mapping

from canister_factory.contract.import_models import ImportBatch, MemoryChunk
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.difference import Difference
from canister_factory.factory.manifest import ItemKey, Kind
from canister_factory.factory.source import Source
from canister_factory.factory.target import Pending
from canister_factory.factory.window import Window


def fits(todo: Difference, config: FactoryConfig) -> bool:
    """Whether it may fit a message; what the records weigh is known only when they have been read."""
    return (
        sum(entry.size for entry in todo.contents) <= config.max_message_bytes
        and sum(entry.total_chunks for entry in todo.contents) <= config.max_message_chunks
        and len(todo.records) <= config.items_per_message
        and len(todo.removed) <= config.items_per_message
    )


async def bundle(source: Source, todo: Difference, pending: Mapping[str, Pending], at_once: int) -> ImportBatch:
    """The batch that makes the target equal to the source, and the import final.

    What the target has begun of a memory is dropped first, since it costs less to send it again than to ask. At most
    `at_once` chunks are asked for at a time.

    Raises:
        ExportError: the source's data can't be read, or aren't what its manifest says.
        CreationRefused: the backend refused a step.
    """
    items = [item async for part in source.items(todo.records) for item in part]
    manifests = [manifest async for manifest in source.memory_manifests(todo.contents)]
    chunks = await _chunks(source, manifests, at_once)
    begun = [ItemKey(Kind.MEMORY, manifest.memory_id) for manifest in manifests if manifest.memory_id in pending]
    removed = dict.fromkeys([*todo.removed, *begun])
    return ImportBatch(
        removed=[key.ref() for key in removed], items=items, chunks=chunks, commits=manifests, finalize=True
    )


async def _chunks(source: Source, manifests: list[MemoryManifest], at_once: int) -> list[MemoryChunk]:
    wanted = [
        (manifest.memory_id, index, sha256)
        for manifest in manifests
        for index, sha256 in enumerate(manifest.chunk_checksums)
    ]
    found: dict[tuple[str, int], MemoryChunk] = {}

    async def read(job: tuple[str, int, bytes]) -> None:
        memory_id, index, sha256 = job
        data = await source.chunk(memory_id, index, sha256)
        found[memory_id, index] = MemoryChunk(memory_id=memory_id, index=index, bytes=data, sha256=sha256)

    await Window(at_once, at_once).run(wanted, read)
    return [found[memory_id, index] for memory_id, index, _ in wanted]
