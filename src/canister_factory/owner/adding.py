"""Files become memories on their owner's canister, each once.

Owns which of them are there already, and that an interrupted upload goes on. Does not own: which files there are, and
how bytes travel (`contract.upload`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.memory_models import MemorySummary, NewMemory
from canister_factory.contract.upload import CHUNK_BYTES, upload_memory
from canister_factory.factory.manifest import content_checksum
from canister_factory.factory.window import Window
from canister_factory.ic.errors import IcError
from canister_factory.owner.errors import AddError
from canister_factory.owner.memories import memories
from canister_factory.owner.upload_notes import UploadNotes

LONGEST_NAME = 255
"""Characters of a memory's name (`nameChars` of the canisters' limits)."""

_FILES_AT_ONCE = 6
_CHUNKS_AT_ONCE = 3
_FORGOTTEN = ("NotFound", "SessionExpired", "Unauthorized")
"""How a canister refuses the session of an earlier upload that it doesn't have any more."""


class File(Protocol):
    """A file to be a memory; `size` in bytes, `modified_ns` since 1970."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def name(self) -> str:
        """What the memory is called."""

    @property
    def size(self) -> int:
        """Its bytes when it was found."""

    @property
    def modified_ns(self) -> int:
        """When it was changed."""

    @property
    def memory(self) -> NewMemory:
        """What is stored beside the bytes."""


@dataclass(slots=True)
class Added:
    """Names and ids of memories that were stored, and of those that were there. `bytes`: of the former."""

    stored: list[tuple[str, str]] = field(default_factory=list)
    present: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0


class Adding:
    """Stores files in a capsule: `plan` first, then `run`.

    Args:
        client: of the personal canister, as its owner.
        capsule_id: where to.
        notes: of uploads on this canister.
        again: store also what is there already.
    """

    def __init__(
        self,
        client: PersonalClient,
        capsule_id: str,
        notes: UploadNotes,
        *,
        again: bool = False,
    ) -> None:
        self._client = client
        self._capsule_id = capsule_id
        self._notes = notes
        self._again = again
        self.done = Added()

    def __repr__(self) -> str:
        return f"Adding(to {self._client.canister_id}, {len(self.done.stored)} stored)"

    async def plan(self, files: Sequence[File]) -> list[File]:
        """The files that aren't there yet: no memory has the same name and the same bytes.

        Raises:
            AddError: a name is too long for a memory, or a file can't be read.
            CapsuleRefused, PagingError, IcError: the list of memories can't be read.
        """
        for file in files:
            if len(file.name) > LONGEST_NAME:
                raise AddError(
                    f"the name of a memory has at most {LONGEST_NAME} characters, and {file.name[:60]!r}… has "
                    f"{len(file.name)}: give the folder that the file is in, or rename it; nothing was stored"
                )
        if self._again:
            return list(files)
        wanted = {(file.name, file.size) for file in files}
        held: dict[tuple[str, int], list[MemorySummary]] = {}
        async for summary in memories(self._client, self._capsule_id):
            key = (summary.memory.info.name, summary.size)
            if key in wanted:
                held.setdefault(key, []).append(summary)
        missing: dict[tuple[str, int], list[File]] = {}
        for file in files:
            found = await asyncio.to_thread(self._held, file, held.get((file.name, file.size), []))
            if found is not None:
                self.done.present.append((file.name, found))
                self._notes.ended(file.path, file.size, file.modified_ns)
            elif not await asyncio.to_thread(_has_twin, file, missing.get((file.name, file.size), [])):
                missing.setdefault((file.name, file.size), []).append(file)
        return [file for same in missing.values() for file in same]

    def _held(self, file: File, candidates: Sequence[MemorySummary]) -> str | None:
        """The id of a memory that has the bytes of the file."""
        for summary in candidates:
            if checksum_of(file, summary.chunk_size) == summary.memory.blob_ref.hash:
                return summary.memory.id
        return None

    async def run(self, files: Sequence[File], on_bytes: Callable[[int], None] = lambda _more: None) -> Added:
        """Stores the files, several at once. `on_bytes` is told how many bytes more are there.

        Raises:
            AddError: one is refused or can't be read; `done` has what is stored.
            IcError: the network failed for longer than a few attempts; `done` has what is stored.
        """
        failures: list[Exception] = []

        async def one(file: File) -> None:
            if failures:
                return
            try:
                await self._store(file, on_bytes)
            except (AddError, IcError) as error:
                failures.append(error)  # the files that are on their way arrive; no other one begins

        await Window(_FILES_AT_ONCE, _FILES_AT_ONCE).run(files, one)
        if failures:
            raise failures[0]
        return self.done

    async def _store(self, file: File, on_bytes: Callable[[int], None]) -> None:
        problem = ""
        try:
            memory_id = await self._upload(file, on_bytes)
        except CapsuleRefused as refusal:
            problem = str(refusal)
        except OSError as error:
            problem = error.strerror or "it can't be read"
        except ValueError as error:
            problem = str(error)
        if problem:
            raise AddError(f"{file.name} ({file.size:,} bytes) can't be stored: {problem}")
        self.done.stored.append((file.name, memory_id))
        self.done.bytes += file.size

    async def _upload(self, file: File, on_bytes: Callable[[int], None]) -> str:
        what = (file.path, file.size, file.modified_ns)
        told = 0

        def advance(count: int) -> None:
            nonlocal told
            told += count
            on_bytes(count)

        async def attempt(upload_id: int | None) -> str:
            return await upload_memory(
                self._client,
                file.path,
                file.memory.model_copy(update={"capsule_id": self._capsule_id}),
                window=_CHUNKS_AT_ONCE,
                upload_id=upload_id,
                on_session=lambda begun: self._notes.begun(*what, begun),
                on_bytes=advance,
            )

        earlier = None if self._again else self._notes.get(*what)
        try:
            memory_id = await attempt(earlier)
        except CapsuleRefused as refusal:
            if earlier is None or refusal.kind not in _FORGOTTEN:
                raise
            memory_id = await attempt(None)
        self._notes.ended(*what)
        advance(max(0, file.size - told))  # what was there from before
        return memory_id


def checksum_of(file: File, chunk_size: int) -> bytes:
    """The checksum that a canister has of a file's bytes: the SHA-256 of the SHA-256 of its chunks.

    Raises:
        AddError: it can't be read.
    """
    try:
        with file.path.open("rb") as opened:
            chunks = iter(lambda: opened.read(chunk_size or CHUNK_BYTES), b"")
            return content_checksum(hashlib.sha256(chunk).digest() for chunk in chunks)
    except OSError as error:
        raise AddError(f"{file.name} can't be read: {error.strerror}; nothing was stored") from None


def _has_twin(file: File, others: Sequence[File]) -> bool:
    """Whether one of these files, which have its name, has its bytes, too."""
    return bool(others) and checksum_of(file, CHUNK_BYTES) in {checksum_of(other, CHUNK_BYTES) for other in others}
