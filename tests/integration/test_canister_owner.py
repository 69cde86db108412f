"""A canister owns a capsule, on the backend and on a personal canister, and uses it as people do, in smaller pieces."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest

from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry, GalleryUpdate
from canister_factory.contract.clients import BackendClient, CapsuleClient
from canister_factory.contract.memory_models import (
    MemoryMetadata,
    MemoryType,
    MemoryUpdate,
    NewMemory,
    NoteMetadata,
    PageRequest,
    UploadRequest,
)
from canister_factory.contract.person_models import ConnectionStatus, NewConnectionGroup, PersonRef
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.capsule_world import base, custom
from support.creation_world import World, inline, note
from support.wallet_canister import Wallet, personal_canister_of

CHUNK = 31_000
FRIENDS = [PersonRef(Principal=Identity.generate().sender()) for _ in range(20)]


@pytest.fixture(params=["backend", "personal"])
async def wallet(request: pytest.FixtureRequest, network: Network, world: World) -> AsyncIterator[CapsuleClient]:
    """What a canister with a capsule of its own calls."""
    async with Agent(Identity.generate(), network) as agent:
        wallet = await Wallet.make(agent)
        if request.param == "backend":
            client = BackendClient(wallet, world.backend_id)
            await client.register_capsule()
            yield client
        else:
            yield CapsuleClient(wallet, await personal_canister_of(wallet.canister_id, agent))


async def test_a_canister_keeps_memories_with_names_rules_and_galleries(wallet: CapsuleClient) -> None:
    given = note("letter", access=custom(*FRIENDS))
    text = b"Dear all, " * 600
    memories = [await wallet.add_memory_to_capsule(inline(text), given) for _ in range(3)]
    assert (await wallet.get_memory_from_capsule(memories[0])).access == given.access
    assert await wallet.read_memory_chunk(memories[0], 0) == text
    await wallet.update_memory_in_capsule(memories[1], MemoryUpdate(data=inline(b"Dear some")))
    page = await wallet.list_capsule_memories(None, PageRequest())
    assert {item.memory.id for item in page.items} == set(memories)

    entries = [
        GalleryMemoryEntry(memory_id=memories[at % 3], position=at, is_featured=False, gallery_metadata="{}")
        for at in range(100)
    ]
    gallery = await wallet.store_gallery_forever(GalleryData(title="All", is_public=True, memory_entries=entries[:3]))
    changed = await wallet.update_gallery(gallery.id, GalleryUpdate(memory_entries=entries))
    assert (await wallet.get_my_galleries()) == [changed]
    await wallet.delete_memory_from_capsule(memories[2])
    await wallet.delete_gallery(gallery.id)


async def test_a_memory_with_as_many_names_and_tags_as_it_may_have_is_written_and_read_in_small(
    wallet: CapsuleClient,
) -> None:
    names = [f"n{number}" for number in range(200)]
    common = base(8).model_copy(update={"people_in_memory": names})
    metadata = MemoryMetadata.of("Note", NoteMetadata(base=common, tags=names))
    given = NewMemory(memory_type=MemoryType.Note, name="letter", content_type="text/plain", metadata=metadata)
    memory = await wallet.add_memory_to_capsule(inline(b"Dear all"), given)
    await wallet.update_memory_in_capsule(memory, MemoryUpdate(data=inline(b"Dear some")))
    assert (await wallet.get_memory_from_capsule(memory)).metadata == metadata


async def test_a_canister_uploads_a_memory_in_chunks_and_reads_it_again(wallet: CapsuleClient) -> None:
    chunks = [bytes([number]) * CHUNK for number in range(4)]
    upload = await wallet.begin_memory_upload(
        UploadRequest(memory=note("film"), total_size=len(chunks) * CHUNK, chunk_size=CHUNK)
    )
    for index, chunk in enumerate(chunks):
        await wallet.put_memory_upload_chunk(upload.upload_id, index, chunk, hashlib.sha256(chunk).digest())
    memory = await wallet.commit_memory_upload(upload.upload_id)
    assert [await wallet.read_memory_chunk(memory, index) for index in range(4)] == chunks


async def test_a_canister_has_connections_and_groups(wallet: CapsuleClient) -> None:
    for friend in FRIENDS:
        await wallet.add_connection(friend)
    await wallet.update_connection_status(FRIENDS[0], ConnectionStatus.Accepted)
    await wallet.create_connection_group(NewConnectionGroup(name="All", members=FRIENDS))
    (group,) = await wallet.list_connection_groups()
    assert group.members == FRIENDS
    assert len(await wallet.list_connections()) == len(FRIENDS)


async def test_a_larger_message_of_a_canister_is_refused_with_the_limit_and_changes_nothing(
    wallet: CapsuleClient,
) -> None:
    with pytest.raises(RejectedError, match="more than the 8,000 bytes that this method takes from a canister"):
        await wallet.add_memory_to_capsule(inline(bytes(8_000)), note("too long"))
    assert (await wallet.list_capsule_memories(None, PageRequest())).items == []
