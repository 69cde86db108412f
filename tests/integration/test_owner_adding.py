"""Uploads that break off: the next attempt goes on, or begins anew when the canister has forgotten them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.memory_models import MemoryType, NewMemory, UploadRequest, UploadSession
from canister_factory.ic.errors import NetworkUnreachableError
from canister_factory.owner.adding import Added, Adding
from canister_factory.owner.memories import memories
from canister_factory.owner.upload_notes import UploadNotes
from canister_factory.testing import EmbeddedReplica
from support.creation_contents import fill
from support.creation_world import World

CHUNK = 1_900_000


@dataclass
class Seen:
    """What reached the canister."""

    sessions: list[int] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)


class Watched(PersonalClient):
    """Notes uploads and chunks that arrive."""

    seen: Seen

    async def begin_memory_upload(self, request: UploadRequest) -> UploadSession:
        session = await super().begin_memory_upload(request)
        self.seen.sessions.append(session.upload_id)
        return session

    async def put_memory_upload_chunk(self, upload_id: int, index: int, data: bytes, sha256: bytes) -> None:
        await super().put_memory_upload_chunk(upload_id, index, data, sha256)
        self.seen.chunks.append(index)


class CutOff(Watched):
    """Of each upload only the first two chunks arrive."""

    async def put_memory_upload_chunk(self, upload_id: int, index: int, data: bytes, sha256: bytes) -> None:
        if index >= 2:
            raise NetworkUnreachableError("the line is dead")
        await super().put_memory_upload_chunk(upload_id, index, data, sha256)


@dataclass(frozen=True)
class File:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def modified_ns(self) -> int:
        return self.path.stat().st_mtime_ns

    @property
    def memory(self) -> NewMemory:
        return NewMemory(memory_type=MemoryType.Video, name=self.name, content_type="video/mp4")


class Killed(BaseException):
    """Ends an attempt where it is, as a signal would."""


class Uploads:
    """One file and its attempts; nothing but the notes goes from one to the next."""

    def __init__(self, client: PersonalClient, capsule_id: str, directory: Path) -> None:
        self.client = client
        self.capsule_id = capsule_id
        self.notes = directory / "notes.json"
        self.file = File(directory / "film.mp4")
        self.content = os.urandom(3 * CHUNK + 10)
        self.file.path.write_bytes(self.content)

    async def attempt(self, *, killed_after: int = 99, again: bool = False) -> tuple[Added, Seen, int]:
        client = Watched(self.client.agent, self.client.canister_id)
        client.seen, told = Seen(), 0

        def on_bytes(count: int) -> None:
            nonlocal told
            told += count
            if len(client.seen.chunks) >= killed_after:
                raise Killed

        adding = Adding(client, self.capsule_id, UploadNotes(self.notes), again=again)
        with suppress(Killed):
            await adding.run(await adding.plan([self.file]), on_bytes)
        return adding.done, client.seen, told

    async def stored(self) -> list[bytes]:
        """The bytes of each memory of the file's name."""
        found = []
        async for summary in memories(self.client, self.capsule_id):
            if summary.memory.info.name == self.file.name:
                chunks = [
                    await self.client.read_memory_chunk(summary.memory.id, n) for n in range(summary.total_chunks)
                ]
                found.append(b"".join(chunks))
        return found


@pytest.fixture
async def uploads(world: World, tmp_path: Path, own_replica: EmbeddedReplica | None) -> Uploads:
    await fill(world.as_owner)
    canister_id = (await world.create()).creation.canister_id
    assert canister_id is not None
    clock = {} if own_replica is None else {"clock_ns": own_replica.clock}
    client = PersonalClient(world.agent(world.owner.identity, **clock), canister_id)
    capsule_id = (await client.get_personal_info()).capsule_id
    assert capsule_id is not None
    return Uploads(client, capsule_id, tmp_path)


async def test_an_upload_that_was_killed_goes_on_with_what_is_missing(uploads: Uploads) -> None:
    _, first, _ = await uploads.attempt(killed_after=2)
    assert len(first.sessions) == 1
    added, second, told = await uploads.attempt()
    assert second.sessions == []
    assert 0 < len(second.chunks) <= 2
    assert (len(added.stored), told) == (1, len(uploads.content))
    assert await uploads.stored() == [uploads.content]
    assert uploads.notes.read_text() == "{}"
    third, seen, _ = await uploads.attempt()
    assert (third.stored, len(third.present), seen.chunks) == ([], 1, [])


async def test_when_the_network_goes_away_small_files_are_stored_and_a_large_one_goes_on_later(
    uploads: Uploads,
) -> None:
    small = File(uploads.file.path.with_name("note.txt"))
    small.path.write_bytes(b"small")
    client = CutOff(uploads.client.agent, uploads.client.canister_id)
    client.seen = Seen()
    adding = Adding(client, uploads.capsule_id, UploadNotes(uploads.notes))
    with pytest.raises(NetworkUnreachableError, match="the line is dead"):
        await adding.run(await adding.plan([uploads.file, small]))
    assert [name for name, _ in adding.done.stored] == ["note.txt"]
    _, seen, _ = await uploads.attempt()
    assert (seen.sessions, len(seen.chunks)) == ([], 2)
    assert await uploads.stored() == [uploads.content]


async def test_a_changed_file_is_another_upload(uploads: Uploads) -> None:
    await uploads.attempt(killed_after=2)
    uploads.content = os.urandom(len(uploads.content))
    uploads.file.path.write_bytes(uploads.content)
    _, seen, _ = await uploads.attempt()
    assert (len(seen.sessions), len(seen.chunks)) == (1, 4)
    assert await uploads.stored() == [uploads.content]


async def test_an_upload_that_the_canister_has_forgotten_begins_anew(
    uploads: Uploads, own_replica: EmbeddedReplica | None
) -> None:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    await uploads.attempt(killed_after=2)
    own_replica.advance(2 * 3600)
    _, seen, _ = await uploads.attempt()
    assert (len(seen.sessions), len(seen.chunks)) == (1, 4)
    assert await uploads.stored() == [uploads.content]


async def test_again_stores_a_second_copy(uploads: Uploads) -> None:
    await uploads.attempt()
    added, seen, _ = await uploads.attempt(again=True)
    assert (len(added.stored), len(seen.chunks)) == (1, 4)
    assert await uploads.stored() == [uploads.content] * 2
