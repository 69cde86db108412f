"""Uploads: inline or in chunks, bounded, and going on after failures."""

from __future__ import annotations

import asyncio
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.contract.memory_models import MemoryType, NewMemory, UploadSession
from canister_factory.contract.upload import INLINE_BYTES, upload_memory
from canister_factory.ic.errors import OutcomeUnknownError, RejectedError, TransportError

MEMORY = NewMemory(memory_type=MemoryType.Document, name="file", content_type="application/octet-stream")


class Canister:
    """The upload endpoints. `failing`: how often each put fails before, or after, it has its effect."""

    def __init__(self, failing: dict[int, list[str]] | None = None, listed: int = 1_000) -> None:
        self.chunks: dict[int, bytes] = {}
        self.size = self.chunk_size = 0
        self.inline: bytes | None = None
        self.failing = failing or {}
        self.listed = listed
        self.in_flight = self.most = self.puts = 0
        self.committed = False

    async def add_memory_to_capsule(self, data: Any, memory: Any) -> str:
        self.inline = data.data
        return "m1"

    async def begin_memory_upload(self, request: Any) -> UploadSession:
        self.size, self.chunk_size = request.total_size, request.chunk_size
        return await self.get_memory_upload(1)

    async def get_memory_upload(self, upload_id: int) -> UploadSession:
        total = -(-self.size // self.chunk_size)
        missing = [index for index in range(total) if index not in self.chunks]
        return UploadSession(
            upload_id=1,
            total_size=self.size,
            chunk_size=self.chunk_size,
            total_chunks=total,
            expires_at=0,
            missing_chunks=missing[: self.listed],
        )

    async def put_memory_upload_chunk(self, upload_id: int, index: int, data: bytes, sha256: bytes) -> None:
        assert hashlib.sha256(data).digest() == sha256
        self.puts += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        fate = self.failing[index].pop(0) if self.failing.get(index) else "fine"
        if fate != "lost":
            self.chunks[index] = data
        if fate == "unknown":
            raise OutcomeUnknownError(b"id", 0, "no answer")
        if fate == "lost":
            raise TransportError("broken")

    async def commit_memory_upload(self, upload_id: int) -> str:
        assert not (await self.get_memory_upload(1)).missing_chunks
        self.committed = True
        return "m2"

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks[index] for index in sorted(self.chunks))


async def upload(canister: Canister, data: bytes, **options: Any) -> str:
    return await upload_memory(canister, io.BytesIO(data), MEMORY, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"few bytes"])
async def test_few_bytes_travel_in_one_message(data: bytes) -> None:
    canister = Canister()
    counted: list[int] = []
    assert await upload(canister, data, on_bytes=counted.append) == "m1"
    assert canister.inline == data
    assert counted == [len(data)]


async def test_many_bytes_travel_in_chunks_a_few_at_a_time() -> None:
    canister, counted = Canister(), list[int]()
    data = bytes(range(256)) * 40
    assert await upload(canister, data, chunk_size=100, window=4, on_bytes=counted.append) == "m2"
    assert canister.content == data
    assert canister.most == 4
    assert sum(counted) == len(data)


async def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(INLINE_BYTES + 1))
    canister = Canister()
    assert await upload_memory(canister, path, MEMORY, chunk_size=400_000) == "m2"  # type: ignore[arg-type]
    assert canister.content == bytes(INLINE_BYTES + 1)


async def test_a_session_that_lists_only_some_missing_chunks_is_asked_again() -> None:
    canister = Canister(listed=3)
    data = bytes(1_000)
    assert await upload(canister, data, chunk_size=100) == "m2"
    assert canister.content == data


@given(
    size=st.integers(1, 60),
    chunk_size=st.integers(1, 9),
    failing=st.dictionaries(st.integers(0, 20), st.lists(st.sampled_from(["unknown", "lost"]), max_size=2), max_size=5),
)
async def test_passing_failures_never_change_what_arrives(
    size: int, chunk_size: int, failing: dict[int, list[str]]
) -> None:
    canister = Canister(failing={index: list(fates) for index, fates in failing.items()})
    data = hashlib.shake_128(b"seed").digest(size)
    if size <= chunk_size:
        return
    assert await upload(canister, data, chunk_size=chunk_size, window=2) == "m2"
    assert canister.content == data


async def test_a_network_that_stays_down_is_an_error_not_a_loop() -> None:
    canister = Canister(failing={index: ["lost"] * 100 for index in range(10)})
    with pytest.raises(TransportError, match="broken"):
        await upload(canister, bytes(100), chunk_size=10)
    assert not canister.committed


async def test_a_certified_rejection_ends_an_upload_at_once() -> None:
    canister = Canister()

    async def reject(upload_id: int, index: int, data: bytes, sha256: bytes) -> None:
        canister.puts += 1
        raise RejectedError(5, "out of cycles", certified=True)

    canister.put_memory_upload_chunk = reject  # type: ignore[method-assign]
    with pytest.raises(RejectedError, match="out of cycles"):
        await upload(canister, bytes(100), chunk_size=10, window=1)
    assert canister.puts == 1


async def test_an_interrupted_upload_goes_on_with_what_is_missing() -> None:
    canister = Canister()
    data = bytes(range(100))
    canister.size, canister.chunk_size = 100, 10
    canister.chunks = {index: data[index * 10 : index * 10 + 10] for index in range(7)}
    assert await upload(canister, data, upload_id=1) == "m2"
    assert canister.puts == 3


async def test_another_file_is_not_put_into_an_upload() -> None:
    canister = Canister()
    canister.size, canister.chunk_size = 100, 10
    with pytest.raises(ValueError, match="is for 100 bytes, the source has 5"):
        await upload(canister, b"12345", upload_id=1)


async def test_a_file_that_shrinks_meanwhile_is_refused() -> None:
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(3)

    with pytest.raises(ValueError, match="changed its size"):
        await upload_memory(Canister(), Shrinking(bytes(100)), MEMORY, chunk_size=10)  # type: ignore[arg-type]
