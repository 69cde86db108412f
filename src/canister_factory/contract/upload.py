"""Bringing a memory's bytes to a canister: inline when they are few, else by an upload session, several chunks at once.

Owns the choice, the pace and the resumption of an upload. Does not own: the endpoints, and where the bytes come from.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.memory_models import (
    BlobKind,
    BlobRef,
    MemoryData,
    NewMemory,
    UploadRequest,
    UploadSession,
)
from canister_factory.ic.errors import IcError
from canister_factory.ic.task_group import task_group
from canister_factory.ic.verdict import Verdict, verdict

INLINE_BYTES = 1_000_000
CHUNK_BYTES = 1_900_000
WINDOW = 8
_FRUITLESS_ROUNDS = 3


async def upload_memory(
    client: CapsuleClient,
    source: Path | BinaryIO,
    memory: NewMemory,
    *,
    chunk_size: int = CHUNK_BYTES,
    window: int = WINDOW,
    upload_id: int | None = None,
    on_session: Callable[[int], None] = lambda upload_id: None,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> str:
    """Adds a memory whose bytes are read from `source`; returns its id.

    Holds at most `window` chunks of `chunk_size` bytes at once, whatever the source's size. A chunk whose fate is
    unknown is sent again, which is harmless. `on_bytes` is told how many bytes have arrived, chunk by chunk.

    Args:
        client: the canister, as a caller who may write the capsule.
        source: a path, or a seekable binary file; read from its beginning to its end.
        memory: what is stored beside the bytes.
        chunk_size: bytes a chunk, at most the canister's limit (2,000,000).
        window: chunks in flight.
        upload_id: an earlier, interrupted upload of the same bytes to go on with, if its session is still there.
        on_session: told the id of an upload that begins, before its first chunk is sent.

    Raises:
        CapsuleRefused: such as `LimitExceeded` with the limit and the size.
        OSError: the file can't be read.
        ValueError: the file changed its size meanwhile.
        IcError: the network failed for longer than a few attempts.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        size = file.seek(0, io.SEEK_END)
        if size <= min(INLINE_BYTES, chunk_size) and upload_id is None:
            file.seek(0)
            data = MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""), data=file.read())
            memory_id = await client.add_memory_to_capsule(data, memory)
            on_bytes(size)
            return memory_id
        if upload_id is None:
            request = UploadRequest(memory=memory, total_size=size, chunk_size=chunk_size)
            session = await client.begin_memory_upload(request)
            on_session(session.upload_id)
        else:
            session = await client.get_memory_upload(upload_id)
            if session.total_size != size:
                raise ValueError(f"upload {upload_id} is for {session.total_size:,} bytes, the source has {size:,}")
        return await _finish(client, file, session, window, on_bytes)


async def _finish(
    client: CapsuleClient, source: BinaryIO, session: UploadSession, window: int, on_bytes: Callable[[int], None]
) -> str:
    """Sends what is missing and commits; the memory's id."""
    fruitless = 0
    while session.missing_chunks:  # at most 1,000 of them are listed at a time
        failure = await _send(client, source, session, window, on_bytes)
        missing = len(session.missing_chunks)
        session = await client.get_memory_upload(session.upload_id)
        fruitless = fruitless + 1 if failure and len(session.missing_chunks) >= missing else 0
        if failure and fruitless >= _FRUITLESS_ROUNDS:
            raise failure
    return await client.commit_memory_upload(session.upload_id)


async def _send(
    client: CapsuleClient, source: BinaryIO, session: UploadSession, window: int, on_bytes: Callable[[int], None]
) -> IcError | None:
    """Sends the chunks that the session lists as missing; returns a failure that isn't final, if there was one."""
    places = asyncio.Semaphore(window)
    failures: list[IcError] = []

    async def put(index: int, data: bytes) -> None:
        try:
            await client.put_memory_upload_chunk(session.upload_id, index, data, hashlib.sha256(data).digest())
            on_bytes(len(data))
        except IcError as error:
            if verdict(error) is Verdict.FINAL:
                raise
            failures.append(error)
        finally:
            places.release()

    async with task_group() as group:
        for index in session.missing_chunks:
            await places.acquire()
            if failures:
                places.release()
                break
            start = index * session.chunk_size
            source.seek(start)
            data = source.read(session.chunk_size)
            if len(data) != min(session.chunk_size, session.total_size - start):
                raise ValueError(f"the source ends within chunk {index}: it changed its size while it was read")
            group.create_task(put(index, data))
    return failures[0] if failures else None
