"""The capsule API on both canisters, as the owner uses it: memories, uploads, connections, groups, galleries."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from canister_factory.contract.artifacts import API_VERSION
from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry, GalleryUpdate, StorageStatus
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.memory_models import (
    AccessEvent,
    BlobKind,
    BlobRef,
    ImageMetadata,
    MemoryData,
    MemoryInfoUpdate,
    MemoryMetadata,
    MemoryType,
    MemoryUpdate,
    NewMemory,
    PageRequest,
)
from canister_factory.contract.person_models import (
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
)
from support.capsule_world import (
    PUBLIC,
    CapsuleWorld,
    after_event,
    another_owner,
    base,
    capsule_on,
    custom,
    full_metadata,
    now_ns,
    person,
    principal,
    scheduled,
    sha256,
)
from support.creation_world import World, inline, note

CHUNKS = [b"a" * 1_000, b"b" * 1_000, b"c" * 17]
MINUTE_NS = 60_000_000_000


def place(memory_id: str, position: int = 0, **fields: Any) -> GalleryMemoryEntry:
    return GalleryMemoryEntry(
        memory_id=memory_id, **{"position": position, "is_featured": False, "gallery_metadata": "{}", **fields}
    )


# --- memories --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(MemoryType))
@pytest.mark.parametrize("way", ["inline", "in chunks"])
async def test_a_memory_of_each_kind_is_read_with_all_that_was_given(
    capsule: CapsuleWorld, kind: MemoryType, way: str
) -> None:
    before = now_ns()
    given: dict[str, Any] = {
        "memory_type": kind,
        "name": "Großmutter am Meer",
        "content_type": "application/x-test",
        "date_of_memory": 86_400_000_000_000,
        "metadata": full_metadata(kind, 2_017),
        "access": custom(person(capsule.friend)),
    }
    if way == "inline":
        chunks = [b"".join(CHUNKS)]
        memory_id = await capsule.owner.add_memory_to_capsule(inline(chunks[0]), NewMemory(**given))
    else:
        chunks = CHUNKS
        session = await capsule.begin(chunks, NewMemory(**given))
        for index, chunk in enumerate(chunks):
            await capsule.put(session, index, chunk)
        memory_id = await capsule.owner.commit_memory_upload(session.upload_id)

    memory = await capsule.owner.get_memory_from_capsule(memory_id)
    assert (memory.id, memory.metadata, memory.access) == (memory_id, given["metadata"], given["access"])
    info = memory.info
    assert (info.memory_type, info.name, info.content_type) == (kind, given["name"], given["content_type"])
    assert info.date_of_memory == given["date_of_memory"]
    assert before - MINUTE_NS <= info.created_at == info.updated_at == info.uploaded_at <= now_ns() + MINUTE_NS
    assert memory.data.data == (chunks[0] if way == "inline" else None)
    checksum = sha256(b"".join(map(sha256, chunks)))
    assert memory.data.blob_ref == BlobRef(kind=BlobKind.ICPCapsule, locator=memory_id, hash=checksum)
    assert [await capsule.owner.read_memory_chunk(memory_id, i) for i in range(len(chunks))] == chunks
    (summary,) = await capsule.listed(capsule.owner)
    assert (summary.size, summary.total_chunks) == (2_017, len(chunks))
    assert summary.memory.metadata == given["metadata"]


async def test_what_is_left_out_gets_a_sensible_value(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.owner.add_memory_to_capsule(
        inline(b"12345"), NewMemory(memory_type=MemoryType.Image, name="a.png", content_type="image/png")
    )
    memory = await capsule.owner.get_memory_from_capsule(memory_id)
    assert memory.access.tag == "Private"
    assert memory.info.date_of_memory is None
    assert isinstance(memory.metadata.value, ImageMetadata)
    base = memory.metadata.value.base
    assert (base.size, base.mime_type, base.original_name) == (5, "image/png", "a.png")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", base.uploaded_at)


async def test_a_memory_may_be_empty_or_without_bytes_or_have_them_elsewhere(capsule: CapsuleWorld) -> None:
    empty = await capsule.add(b"")
    assert (await capsule.owner.get_memory_from_capsule(empty)).data.data == b""
    nothing = MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""))
    bare = await capsule.owner.add_memory_to_capsule(nothing, note("nothing yet"))
    assert (await capsule.owner.get_memory_from_capsule(bare)).data.data is None
    elsewhere = MemoryData(
        blob_ref=BlobRef(kind=BlobKind.MemoryBlobKindExternal, locator="https://example.org/a", hash=bytes(32))
    )
    external = await capsule.owner.add_memory_to_capsule(elsewhere, note("elsewhere"))
    assert (await capsule.owner.get_memory_from_capsule(external)).data == elsewhere


async def test_the_bytes_of_a_whole_message_and_no_more_travel_inline(capsule: CapsuleWorld) -> None:
    data = bytes(range(250)) * 8_000
    memory_id = await capsule.add(data)
    assert (await capsule.owner.get_memory_from_capsule(memory_id)).data.data == data
    too_large = await capsule.refused("LimitExceeded", capsule.add(data + b"x"))
    assert (too_large.limit, too_large.actual) == (2_000_000, 2_000_001)


async def test_an_update_changes_the_parts_it_names_one_by_one(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add(date_of_memory=5, metadata=full_metadata(MemoryType.Document, 8))
    first = await capsule.owner.get_memory_from_capsule(memory_id)

    async def updated(**parts: Any) -> Any:
        await capsule.owner.update_memory_in_capsule(memory_id, MemoryUpdate(**parts))
        return await capsule.owner.get_memory_from_capsule(memory_id)

    renamed = await updated(info=MemoryInfoUpdate(name="postcard"))
    assert renamed.info.updated_at > first.info.updated_at
    assert renamed.info == first.info.model_copy(update={"name": "postcard", "updated_at": renamed.info.updated_at})
    assert (renamed.metadata, renamed.access, renamed.data) == (first.metadata, first.access, first.data)

    metadata = MemoryMetadata.of("Document", {"base": base(9)})
    described = await updated(metadata=metadata)
    assert (described.metadata, described.info.name, described.data) == (metadata, "postcard", first.data)

    opened = await updated(access=PUBLIC)
    assert (opened.access, opened.metadata, opened.data) == (PUBLIC, metadata, first.data)
    assert opened.info.uploaded_at == first.info.uploaded_at

    rewritten = await updated(data=inline(b"Dear everyone"))
    assert rewritten.data.data == b"Dear everyone"
    assert rewritten.data.blob_ref.hash == sha256(sha256(b"Dear everyone"))
    assert rewritten.info.uploaded_at > first.info.uploaded_at
    assert (rewritten.access, rewritten.metadata, rewritten.info.name) == (PUBLIC, metadata, "postcard")


async def test_bytes_that_came_in_chunks_can_be_replaced_and_moved_elsewhere(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add_in_chunks(CHUNKS)
    await capsule.owner.update_memory_in_capsule(memory_id, MemoryUpdate(data=inline(b"short")))
    (summary,) = await capsule.listed(capsule.owner)
    assert (summary.size, summary.total_chunks) == (5, 1)
    assert await capsule.bytes_of(capsule.owner, summary) == b"short"
    away = BlobRef(kind=BlobKind.MemoryBlobKindExternal, locator="ipfs://x")
    await capsule.owner.update_memory_in_capsule(memory_id, MemoryUpdate(data=MemoryData(blob_ref=away)))
    assert (await capsule.owner.get_memory_from_capsule(memory_id)).data == MemoryData(blob_ref=away)
    await capsule.refused("NotFound", capsule.owner.read_memory_chunk(memory_id, 0))


async def test_a_deleted_memory_is_gone_everywhere(capsule: CapsuleWorld) -> None:
    kept, dropped = await capsule.add(b"kept"), await capsule.add_in_chunks(CHUNKS)
    places = [place(dropped), place(kept, 1), place(dropped, 2)]
    gallery = await capsule.owner.store_gallery_forever(
        GalleryData(title="Both", is_public=False, memory_entries=places)
    )
    await capsule.owner.delete_memory_from_capsule(dropped)

    for gone in (
        capsule.owner.get_memory_from_capsule(dropped),
        capsule.owner.read_memory_chunk(dropped, 0),
        capsule.owner.update_memory_in_capsule(dropped, MemoryUpdate(access=PUBLIC)),
        capsule.owner.delete_memory_from_capsule(dropped),
    ):
        unknown = await capsule.refused("NotFound", gone)
        assert (unknown.kind, unknown.id) == ("memory", dropped)
    assert [summary.memory.id for summary in await capsule.listed(capsule.owner)] == [kept]
    assert (await capsule.owner.get_gallery_by_id(gallery.id)).memory_entries == [place(kept, 1)]
    assert (await capsule.owner.get_capsule(capsule.capsule_id)).memory_count == 1


async def test_pages_list_every_memory_once_in_the_order_of_their_making(capsule: CapsuleWorld) -> None:
    ids = [await capsule.add(bytes([number])) for number in range(7)]
    own = await capsule.owner.list_capsule_memories(None, PageRequest(limit=3))
    named = await capsule.owner.list_capsule_memories(capsule.capsule_id, PageRequest(limit=3))
    assert own == named
    assert ([item.memory.id for item in own.items], own.next, own.total) == (ids[:3], ids[2], 7)
    for limit in (1, 3, 7, 100, None):
        assert [item.memory.id for item in await capsule.listed(capsule.owner, limit)] == ids
    await capsule.owner.delete_memory_from_capsule(ids[2])
    rest = await capsule.owner.list_capsule_memories(None, PageRequest(after=ids[2]))
    assert [item.memory.id for item in rest.items] == ids[3:], "a cursor outlives the memory it names"
    nothing = await capsule.owner.list_capsule_memories(None, PageRequest(after=ids[-1]))
    assert (nothing.items, nothing.next) == ([], None)


async def test_memories_added_at_once_all_have_ids_of_their_own(capsule: CapsuleWorld) -> None:
    ids = await asyncio.gather(*(capsule.add(bytes([number])) for number in range(20)))
    assert len(set(ids)) == 20
    read = await asyncio.gather(*(capsule.owner.read_memory_chunk(memory_id, 0) for memory_id in ids))
    assert read == [bytes([number]) for number in range(20)]


# --- uploads ---------------------------------------------------------------------------------------------------------


async def test_chunks_may_come_in_any_order_and_more_than_once(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    assert (session.total_chunks, session.missing_chunks) == (3, [0, 1, 2])
    for index in (2, 0, 0, 2):
        await capsule.put(session, index, CHUNKS[index])
    assert (await capsule.owner.get_memory_upload(session.upload_id)).missing_chunks == [1]
    await capsule.put(session, 1, CHUNKS[1])
    memory_id = await capsule.owner.commit_memory_upload(session.upload_id)
    assert await capsule.owner.commit_memory_upload(session.upload_id) == memory_id, "a repeated commit adds nothing"
    (summary,) = await capsule.listed(capsule.owner)
    assert summary.memory.id == memory_id
    assert await capsule.bytes_of(capsule.owner, summary) == b"".join(CHUNKS)


async def test_an_aborted_upload_leaves_nothing(capsule: CapsuleWorld) -> None:
    before = await capsule.stored()
    session = await capsule.begin(CHUNKS)
    await capsule.put(session, 0, CHUNKS[0])
    await capsule.owner.abort_memory_upload(session.upload_id)
    capsule.uploads.clear()
    assert await capsule.stored() == before
    await capsule.refused("NotFound", capsule.owner.get_memory_upload(session.upload_id))
    await capsule.refused("NotFound", capsule.owner.commit_memory_upload(session.upload_id))


# --- connections and groups ------------------------------------------------------------------------------------------


async def test_a_connection_goes_through_its_states(capsule: CapsuleWorld) -> None:
    friend, neighbour = person(capsule.friend), PersonRef(Opaque="Žofie, from next door")
    await capsule.owner.add_connection(friend)
    await capsule.owner.add_connection(neighbour)
    for status in (
        ConnectionStatus.Accepted,
        ConnectionStatus.Blocked,
        ConnectionStatus.Revoked,
        ConnectionStatus.Pending,
    ):
        await capsule.owner.update_connection_status(friend, status)
        found = {connection.peer.value: connection for connection in await capsule.owner.list_connections()}
        assert found[friend.value].status == status
        assert found[friend.value].updated_at > found[friend.value].created_at
        assert found[neighbour.value].status == ConnectionStatus.Pending
    shown = await capsule.owner.get_capsule(capsule.capsule_id)
    assert [entry.value for entry in shown.connections] == await capsule.owner.list_connections()
    await capsule.owner.remove_connection(friend)
    assert [connection.peer for connection in await capsule.owner.list_connections()] == [neighbour]


async def test_a_group_is_made_changed_and_deleted(capsule: CapsuleWorld) -> None:
    members = [person(capsule.friend), PersonRef(Opaque="Ada")]
    group_id = await capsule.owner.create_connection_group(
        NewConnectionGroup(name="Near", description="and dear", members=members)
    )
    (made,) = await capsule.owner.list_connection_groups()
    assert (made.id, made.name, made.description, made.members) == (group_id, "Near", "and dear", members)
    await capsule.owner.update_connection_group(group_id, ConnectionGroupUpdate(name="Nearer", members=members[:1]))
    (changed,) = await capsule.owner.list_connection_groups()
    assert (changed.name, changed.description, changed.members) == ("Nearer", "and dear", members[:1])
    assert (changed.created_at, changed.updated_at > made.updated_at) == (made.created_at, True)
    shown = await capsule.owner.get_capsule(capsule.capsule_id)
    assert [entry.value for entry in shown.connection_groups] == [changed]
    await capsule.owner.delete_connection_group(group_id)
    assert await capsule.owner.list_connection_groups() == []


async def test_a_removed_connection_leaves_its_groups(capsule: CapsuleWorld) -> None:
    members = [person(capsule.friend), PersonRef(Opaque="Ada")]
    await capsule.owner.create_connection_group(NewConnectionGroup(name="Near", members=members))
    await capsule.owner.add_connection(members[0])
    await capsule.owner.remove_connection(members[0])
    (group,) = await capsule.owner.list_connection_groups()
    assert group.members == members[1:]


# --- galleries -------------------------------------------------------------------------------------------------------


async def test_a_gallery_is_read_as_it_was_stored(capsule: CapsuleWorld) -> None:
    memories = [await capsule.add(bytes([number])) for number in range(3)]
    entries = [
        place(memories[2], 0, gallery_caption="Ankunft", is_featured=True, gallery_metadata='{"filter":"sepia"}'),
        place(memories[0], 1),
        place(memories[1], 2, gallery_caption=""),
    ]
    data = GalleryData(title="Summer", description="At the sea", is_public=False, memory_entries=entries)
    gallery = await capsule.owner.store_gallery_forever(data)
    assert GalleryData(**{name: getattr(gallery, name) for name in GalleryData.model_fields}) == data
    assert (gallery.owner_principal, gallery.storage_status) == (principal(capsule.owner), StorageStatus.ICPOnly)
    assert await capsule.owner.get_gallery_by_id(gallery.id) == gallery
    assert await capsule.owner.get_my_galleries() == [gallery]
    assert await capsule.owner.get_user_galleries(principal(capsule.owner)) == [gallery]
    shown = await capsule.owner.get_capsule(capsule.capsule_id)
    assert [entry.value for entry in shown.galleries] == [gallery]


async def test_an_update_of_a_gallery_changes_the_parts_it_names(capsule: CapsuleWorld) -> None:
    first, second = await capsule.add(b"1"), await capsule.add(b"2")
    gallery = await capsule.owner.store_gallery_forever(
        GalleryData(title="Summer", description="At the sea", is_public=False, memory_entries=[place(first)])
    )
    expected = gallery
    for parts in (
        {"title": "Winter"},
        {"description": "In the snow"},
        {"is_public": True},
        {"memory_entries": [place(second), place(first, 1, gallery_caption="again")]},
    ):
        updated = await capsule.owner.update_gallery(gallery.id, GalleryUpdate(**parts))
        assert updated.updated_at > expected.updated_at
        expected = expected.model_copy(update={**parts, "updated_at": updated.updated_at})
        assert updated == expected == await capsule.owner.get_gallery_by_id(gallery.id)
    await capsule.owner.delete_gallery(gallery.id)
    assert await capsule.owner.get_my_galleries() == []
    assert [summary.memory.id for summary in await capsule.listed(capsule.owner)] == [first, second]


# --- the same on both ------------------------------------------------------------------------------------------------


async def scenario(capsule: CapsuleWorld) -> list[Any]:
    """What a client does that doesn't know which canister it talks to, and all the answers that it gets."""
    client: CapsuleClient = capsule.owner
    friend = PersonRef(Opaque="Ada")
    group = await client.create_connection_group(NewConnectionGroup(name="Near", members=[friend]))
    event = AccessEvent(Anniversary=25)
    rules = [PUBLIC, custom(friend, groups=[group]), scheduled(5, PUBLIC), after_event(event, custom(friend))]
    memories = [
        await capsule.add(bytes([number]), access=rule, date_of_memory=number) for number, rule in enumerate(rules)
    ]
    memories.append(await capsule.add_in_chunks(CHUNKS, metadata=full_metadata(MemoryType.Document, 2_017)))
    await client.update_memory_in_capsule(memories[0], MemoryUpdate(info=MemoryInfoUpdate(name="renamed")))
    await client.delete_memory_from_capsule(memories[1])
    await client.add_connection(friend)
    await client.update_connection_status(friend, ConnectionStatus.Accepted)
    gallery = await client.store_gallery_forever(
        GalleryData(title="Summer", is_public=True, memory_entries=[place(memories[0]), place(memories[4], 1)])
    )
    updated = await client.update_gallery(gallery.id, GalleryUpdate(is_public=False))
    await client.record_capsule_event(capsule.capsule_id, event)
    return [
        await client.register(),
        await client.register_capsule(),
        await client.whoami(),
        await client.get_capsule(capsule.capsule_id),
        await client.get_capsule_info(capsule.capsule_id),
        await client.list_my_capsules(),
        await client.list_capsule_memories(None, PageRequest()),
        [await client.get_memory_from_capsule(memory_id) for memory_id in (memories[0], *memories[2:])],
        await client.read_memory_chunk(memories[4], 2),
        [await client.list_connections(), await client.list_connection_groups()],
        [gallery, updated, await client.get_my_galleries()],
        await client.get_api_version(),
    ]


def without_ids_and_times(answers: list[Any]) -> str:
    """Ids become their order of appearance, points in time of this run vanish."""
    names: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        kind = found[0].split("-")[0]
        return names.setdefault(found[0], f"{kind} {len(names)}")

    text = re.sub(r"\b(cap|mem|gal|group)-[0-9a-f]{16}-[0-9a-f]{32}\b", number, repr(answers))
    return re.sub(r"\b1[789]\d{17}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "then", text)


async def test_a_client_gets_the_same_answers_from_both_canisters(world: World) -> None:
    on_backend = without_ids_and_times(await scenario(await capsule_on(world, "backend")))
    other = await another_owner(world)
    on_personal = without_ids_and_times(await scenario(await capsule_on(other, "personal")))
    assert on_personal.replace(str(other.owner_id), str(world.owner_id)) == on_backend


async def test_both_canisters_tell_the_same_api_version(capsule: CapsuleWorld) -> None:
    assert await capsule.anonymous.get_api_version() == API_VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", API_VERSION)
