"""One capsule, on the backend or on a personal canister that the orchestrator has just made, and the people around it.

The tests of the capsule API take it from here, so that each of them runs on both canisters. Owns what such a test sets
up and how it looks at what is stored; not the network (`conftest`) and the creation (`creation_world`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.memory_models import (
    AccessEvent,
    AudioMetadata,
    CustomAccess,
    DocumentMetadata,
    EventTriggeredAccess,
    ImageMetadata,
    MemoryAccess,
    MemoryMetadata,
    MemoryMetadataBase,
    MemorySummary,
    MemoryType,
    NewMemory,
    NoteMetadata,
    PageRequest,
    ScheduledAccess,
    UploadRequest,
    UploadSession,
    VideoMetadata,
)
from canister_factory.contract.person_models import PersonRef
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.creation_world import Foundation, World, inline, note

BOTH_CANISTERS = ("backend", "personal")
EVERYONE = {"owner", "friend", "stranger", "anonymous"}

PUBLIC = MemoryAccess.of("Public")
PRIVATE = MemoryAccess.of("Private")


def person(client: CapsuleClient) -> PersonRef:
    """Whoever calls through this client."""
    return PersonRef(Principal=principal(client))


def principal(client: CapsuleClient) -> Principal:
    """The sender of this client's calls."""
    return Principal(client.agent.identity.sender().bytes)  # type: ignore[attr-defined]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def now_ns() -> int:
    return time.time_ns()


@dataclass
class CapsuleWorld:
    """A canister with one capsule in it, as four people see it: owner, friend, stranger and the anonymous caller.

    `stored` is everything that can be found there; `refused` compares it before and after a call.
    """

    kind: str
    world: World
    owner: CapsuleClient
    friend: CapsuleClient
    stranger: CapsuleClient
    anonymous: CapsuleClient
    capsule_id: str
    uploads: list[int] = field(default_factory=list)
    """Upload sessions of the owner that `stored` looks at as well."""

    @property
    def canister_id(self) -> Principal:
        return self.owner.canister_id

    @property
    def people(self) -> dict[str, CapsuleClient]:
        return {
            "owner": self.owner,
            "friend": self.friend,
            "stranger": self.stranger,
            "anonymous": self.anonymous,
        }

    async def add(self, data: bytes = b"Dear all", **fields: Any) -> str:
        """A memory of the owner, inline; private unless `access` says otherwise."""
        return await self.owner.add_memory_to_capsule(inline(data), note("letter", **fields))

    async def add_in_chunks(self, chunks: Sequence[bytes], **fields: Any) -> str:
        """A memory of the owner by an upload session; all chunks but the last are equally long."""
        session = await self.begin(chunks, note("letter", **fields))
        for index, chunk in enumerate(chunks):
            await self.put(session, index, chunk)
        return await self.owner.commit_memory_upload(session.upload_id)

    async def begin(self, chunks: Sequence[bytes], memory: NewMemory | None = None) -> UploadSession:
        """An upload session of the owner for these chunks."""
        request = UploadRequest(
            memory=memory or note("letter"), total_size=sum(map(len, chunks)), chunk_size=len(chunks[0])
        )
        session = await self.owner.begin_memory_upload(request)
        self.uploads.append(session.upload_id)
        return session

    async def put(self, session: UploadSession, index: int, chunk: bytes, checksum: bytes | None = None) -> None:
        """One chunk with its checksum, or with another one."""
        await self.owner.put_memory_upload_chunk(session.upload_id, index, chunk, checksum or sha256(chunk))

    async def listed(self, client: CapsuleClient, limit: int | None = None) -> list[MemorySummary]:
        """All pages of the capsule's memories that this person may see."""
        found: list[MemorySummary] = []
        page = PageRequest(limit=limit)
        while True:
            answer = await client.list_capsule_memories(self.capsule_id, page)
            found += answer.items
            if answer.next is None:
                return found
            page = PageRequest(after=answer.next, limit=limit)

    async def bytes_of(self, client: CapsuleClient, summary: MemorySummary) -> bytes:
        """A memory's content, read chunk by chunk."""
        chunks = [await client.read_memory_chunk(summary.memory.id, i) for i in range(summary.total_chunks)]
        return b"".join(chunks)

    async def readers(self, memory_id: str) -> set[str]:
        """Who may read the memory; every way of reading it must give each person the same answer."""
        allowed = set()
        for name, client in self.people.items():
            memory = await _allowed(client.get_memory_from_capsule(memory_id))
            chunk = await _allowed(client.read_memory_chunk(memory_id, 0))
            listed = memory_id in {summary.memory.id for summary in await self.listed(client)}
            assert memory == chunk == listed, f"{name}: memory {memory}, chunk {chunk}, listed {listed}"
            if memory:
                allowed.add(name)
        return allowed

    async def stored(self) -> dict[str, Any]:
        """Everything in the canister that its people can find, byte by byte."""
        people = self.people.values()
        memories = await self.listed(self.owner)
        capsule, users, capsules, contents, uploads = await asyncio.gather(
            self.owner.get_capsule(self.capsule_id),
            asyncio.gather(*(client.get_user() for client in people)),
            asyncio.gather(*(client.list_my_capsules() for client in people)),
            asyncio.gather(*(self.bytes_of(self.owner, summary) for summary in memories)),
            asyncio.gather(*(self.owner.get_memory_upload(upload) for upload in self.uploads)),
        )
        return {
            "capsule": capsule,
            "users": users,
            "capsules": capsules,
            "memories": list(zip(memories, contents, strict=True)),
            "uploads": uploads,
        }

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Whatever is stored must be the same before and after."""
        before = await self.stored()
        yield
        assert await self.stored() == before

    async def refused(self, kind: str, call: Awaitable[Any]) -> Any:
        """What the refusal of this kind carries; nothing may change by the call."""
        async with self.unchanged():
            return await refusal(kind, call)

    async def turned_away(self, call: Awaitable[Any]) -> None:
        """The call isn't let in at the door; nothing may change by it."""
        async with self.unchanged():
            with pytest.raises(RejectedError) as caught:
                await call
        assert caught.value.is_unaccepted, str(caught.value)

    async def refused_to_others(self, kind: str, call: Awaitable[Any]) -> None:
        """An update by one who doesn't write the capsule: refused by the backend, not let in by a personal canister."""
        if self.kind == "backend":
            await self.refused(kind, call)
        else:
            await self.turned_away(call)


async def refusal(kind: str, call: Awaitable[Any]) -> Any:
    """What the refusal of this kind carries."""
    with pytest.raises(CapsuleRefused) as caught:
        await call
    assert caught.value.kind == kind, str(caught.value)
    return caught.value.error.value


async def _allowed(reading: Awaitable[Any]) -> bool:
    try:
        await reading
    except CapsuleRefused as refusal:
        if refusal.kind != "NotFound":
            raise
        return False
    return True


@dataclass(frozen=True)
class Moved:
    """What a world stands on whose owner has moved to a personal canister."""

    foundation: Foundation
    canister_id: Principal

    @classmethod
    async def make(cls, network: Network) -> Moved:
        """A new backend, whose owner moves at once."""
        foundation = await Foundation.lay(network)
        async with foundation.world(network) as world:
            return cls(foundation, (await capsule_on(world, "personal")).canister_id)


async def capsule_on(world: World, kind: str) -> CapsuleWorld:
    """The owner's capsule where `kind` says; for "personal" the orchestrator makes the canister first."""
    canister_id = world.backend_id
    if kind == "personal":
        await world.as_owner.create_personal_canister(None)
        outcome = await world.orchestrator().run(world.owner_id)
        assert outcome.creation.canister_id is not None
        canister_id = outcome.creation.canister_id
    return await people_of(world, kind, canister_id)


async def another_owner(world: World) -> World:
    """The same world around another owner, who has a capsule on the backend as well."""
    other = replace(world, owner=world.agent())
    await other.as_owner.register()
    await other.as_owner.register_capsule()
    return other


async def people_of(world: World, kind: str, canister_id: Principal) -> CapsuleWorld:
    """The world's owner, and a new friend and stranger, as callers of a canister that has the owner's capsule."""
    agents = [world.owner, world.agent(), world.agent(), world.agent(Identity.anonymous())]
    owner, friend, stranger, anonymous = (CapsuleClient(agent, canister_id) for agent in agents)
    (capsule,) = await owner.list_my_capsules()
    return CapsuleWorld(kind, world, owner, friend, stranger, anonymous, capsule.id)


# --- access rules ----------------------------------------------------------------------------------------------------


def custom(*people: PersonRef, groups: Sequence[str] = ()) -> MemoryAccess:
    return MemoryAccess(Custom=CustomAccess(individuals=list(people), groups=list(groups)))


def scheduled(accessible_after: int, access: MemoryAccess) -> MemoryAccess:
    return MemoryAccess(Scheduled=ScheduledAccess(accessible_after=accessible_after, access=access))


def after_event(event: AccessEvent, access: MemoryAccess) -> MemoryAccess:
    return MemoryAccess(EventTriggered=EventTriggeredAccess(trigger_event=event, access=access))


# --- metadata --------------------------------------------------------------------------------------------------------


def base(size: int, **fields: Any) -> MemoryMetadataBase:
    return MemoryMetadataBase(
        size=size,
        mime_type="application/x-test",
        original_name="Großmutter 1958.bin",
        uploaded_at="2024-05-06T07:08:09Z",
        date_of_memory="1958-08-23",
        people_in_memory=["Ada", "Žofie"],
        format="raw",
        **fields,
    )


def full_metadata(kind: MemoryType, size: int) -> MemoryMetadata:
    """Metadata of this kind in which every field is set."""
    common = base(size)
    values: dict[MemoryType, Any] = {
        MemoryType.Image: ImageMetadata(base=common, dimensions=(6_000, 4_000)),
        MemoryType.Video: VideoMetadata(base=common, duration=61, width=1_920, height=1_080, thumbnail="data:,x"),
        MemoryType.Audio: AudioMetadata(
            base=common, duration=212, bitrate=320_000, sample_rate=48_000, format="flac", channels=2
        ),
        MemoryType.Document: DocumentMetadata(base=common),
        MemoryType.Note: NoteMetadata(base=common, tags=["family", "summer"]),
    }
    return MemoryMetadata.of(kind.value, values[kind])
