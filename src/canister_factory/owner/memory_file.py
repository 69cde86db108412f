"""One memory as a file: each chunk compared with its hash, and the file there as a whole or not at all.

Owns writing it, and comparing one that is there. Does not own: what it is called (`download`, or whoever asks).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.contract.memory_models import MemorySummary
from canister_factory.factory.manifest import content_checksum
from canister_factory.factory.source import Source
from canister_factory.factory.window import Window
from canister_factory.owner.disk import writing
from canister_factory.owner.errors import MemoryNotFoundError
from canister_factory.owner.memories import is_here


async def write_memory(
    source: Source, window: Window, manifest: MemoryManifest, path: Path, on_bytes: Callable[[int], None]
) -> None:
    """Writes the bytes of a memory to `path`, under another name until all of them are on the disk.

    Raises:
        BackupError: it can't be written.
        ExportError: a chunk isn't what the manifest says.
        CapsuleRefused, IcError: a chunk can't be read.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = part.open("wb")
        with file:

            async def one(index: int) -> None:
                data = await source.chunk(manifest.memory_id, index, manifest.chunk_checksums[index])
                with writing(path):
                    os.pwrite(file.fileno(), data, index * manifest.chunk_size)
                on_bytes(len(data))

            await window.run(range(manifest.total_chunks), one)
            with writing(path):
                os.fsync(file.fileno())
        with writing(path):
            part.rename(path)
    finally:
        with suppress(OSError):
            part.unlink()


async def chunks_of(source: Source, manifest: MemoryManifest) -> AsyncIterator[bytes]:
    """The bytes of a memory in their order, a chunk at a time.

    Raises:
        ExportError, CapsuleRefused, IcError: as in `write_memory`.
    """
    for index in range(manifest.total_chunks):
        yield await source.chunk(manifest.memory_id, index, manifest.chunk_checksums[index])


async def manifest_of(client: PersonalClient, summary: MemorySummary) -> MemoryManifest:
    """The chunks of a memory, which amount to the checksum in its record.

    Raises:
        MemoryNotFoundError: its bytes are elsewhere, or it was changed or deleted meanwhile.
        CapsuleRefused, IcError: it can't be read.
    """
    memory = summary.memory
    if not is_here(summary):
        raise MemoryNotFoundError(f"the canister doesn't have the bytes of {memory.id}; {memory.blob_ref.locator} does")
    found = await client.get_memory_manifests([memory.id])
    if not found or not _is_of(found[0], summary):
        raise MemoryNotFoundError(f"{memory.id} was changed or deleted meanwhile; nothing was written")
    return found[0]


def _is_of(manifest: MemoryManifest, summary: MemorySummary) -> bool:
    told = (manifest.memory_id, manifest.total_size, manifest.chunk_size, manifest.total_chunks)
    return (
        told == (summary.memory.id, summary.size, summary.chunk_size, summary.total_chunks)
        and len(manifest.chunk_checksums) == manifest.total_chunks
        and content_checksum(manifest.chunk_checksums) == summary.memory.blob_ref.hash
    )


def holds(path: Path, manifest: MemoryManifest) -> bool:
    """Whether a file has exactly the bytes of this memory.

    Raises:
        OSError: it can't be read.
    """
    if path.stat().st_size != manifest.total_size:
        return False
    with path.open("rb") as file:
        return all(
            hashlib.sha256(file.read(manifest.chunk_size)).digest() == sha256 for sha256 in manifest.chunk_checksums
        )
