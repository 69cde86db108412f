"""Input that makes no sense, on both canisters: each call is refused with its typed error, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.capsule_models import GalleryUpdate
from canister_factory.contract.memory_models import (
    AccessEvent,
    BlobKind,
    BlobRef,
    MemoryAccess,
    MemoryData,
    MemoryInfoUpdate,
    MemoryMetadata,
    MemoryType,
    MemoryUpdate,
    NewMemory,
    UploadRequest,
)
from canister_factory.contract.person_models import (
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
)
from support.capsule_bad_values import NO_ONE, about
from support.capsule_world import (
    PUBLIC,
    CapsuleWorld,
    after_event,
    base,
    custom,
    full_metadata,
    refusal,
    scheduled,
    sha256,
)
from support.creation_world import inline, note

CHUNKS = [b"a" * 1_000, b"b" * 1_000, b"c" * 17]


# --- unknown things --------------------------------------------------------------------------------------------------


async def test_unknown_ids_are_named_in_the_refusal(capsule: CapsuleWorld) -> None:
    owner = capsule.owner
    for kind, name, call in (
        ("memory", "mem-none", owner.get_memory_from_capsule("mem-none")),
        ("memory", "mem-none", owner.read_memory_chunk("mem-none", 0)),
        ("memory", "mem-none", owner.update_memory_in_capsule("mem-none", MemoryUpdate(access=PUBLIC))),
        ("memory", "mem-none", owner.delete_memory_from_capsule("mem-none")),
        ("gallery", "gal-none", owner.get_gallery_by_id("gal-none")),
        ("gallery", "gal-none", owner.update_gallery("gal-none", GalleryUpdate(title="x"))),
        ("gallery", "gal-none", owner.delete_gallery("gal-none")),
        ("connection group", "group-none", owner.update_connection_group("group-none", ConnectionGroupUpdate())),
        ("connection group", "group-none", owner.delete_connection_group("group-none")),
        ("connection", "opaque:Ada", owner.remove_connection(PersonRef(Opaque="Ada"))),
        (
            "connection",
            "opaque:Ada",
            owner.update_connection_status(PersonRef(Opaque="Ada"), ConnectionStatus.Accepted),
        ),
        ("upload", "987654", owner.get_memory_upload(987654)),
        ("upload", "987654", owner.put_memory_upload_chunk(987654, 0, b"x", sha256(b"x"))),
        ("upload", "987654", owner.commit_memory_upload(987654)),
        ("upload", "987654", owner.abort_memory_upload(987654)),
    ):
        unknown = await capsule.refused("NotFound", call)
        assert (unknown.kind, unknown.id) == (kind, name)


async def test_a_chunk_that_the_memory_has_not_is_refused(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add()
    wrong = await capsule.refused("InvalidArgument", capsule.owner.read_memory_chunk(memory_id, 1))
    assert wrong.field == "index"


# --- memories --------------------------------------------------------------------------------------------------------


def deep(levels: int) -> MemoryAccess:
    access = PUBLIC
    for _ in range(levels - 1):
        access = scheduled(1, access)
    return access


def document(**fields: Any) -> MemoryMetadata:
    return MemoryMetadata.of("Document", {"base": base(1).model_copy(update=fields)})


BAD_MEMORIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": ""}, "InvalidArgument", "name"),
    "a long name": ({"name": "x" * 256}, "LimitExceeded", "characters of name"),
    "a long name beyond ASCII": ({"name": "ž" * 256}, "LimitExceeded", "characters of name"),
    "no content type": ({"content_type": ""}, "InvalidArgument", "content_type"),
    "a long content type": ({"content_type": "x" * 256}, "LimitExceeded", "characters of content_type"),
    "metadata of another kind": (
        {"metadata": full_metadata(MemoryType.Note, 1)},
        "InvalidArgument",
        "metadata",
    ),
    "metadata without a file name": (
        {"metadata": document(original_name="")},
        "InvalidArgument",
        "metadata.base.original_name",
    ),
    "metadata with a long text": (
        {"metadata": document(date_of_memory="x" * 256)},
        "LimitExceeded",
        "characters of metadata.base.date_of_memory",
    ),
    "metadata with a crowd": (
        {"metadata": document(people_in_memory=["x"] * 201)},
        "LimitExceeded",
        "entries of metadata.base.people_in_memory",
    ),
    "an unknown group": ({"access": custom(groups=["group-none"])}, "NotFound", "connection group"),
    "an unknown group within": (
        {"access": scheduled(1, after_event(AccessEvent.of("Wedding"), custom(groups=["group-none"])))},
        "NotFound",
        "connection group",
    ),
    "for the anonymous principal": ({"access": custom(NO_ONE)}, "InvalidArgument", "access.individuals"),
    "for a person without a name": ({"access": custom(PersonRef(Opaque=""))}, "InvalidArgument", "access.individuals"),
    "for too many": (
        {"access": custom(*[PersonRef(Opaque="x" * 10)] * 1_001)},
        "LimitExceeded",
        "entries of access.individuals",
    ),
    "rules nested too deeply": ({"access": deep(9)}, "LimitExceeded", "nesting of access"),
    "an event without a name": (
        {"access": after_event(AccessEvent(Custom=""), PUBLIC)},
        "InvalidArgument",
        "access.trigger_event",
    ),
}


async def test_a_memory_that_makes_no_sense_is_not_stored_in_any_way(capsule: CapsuleWorld) -> None:
    kept = await capsule.add(b"kept")
    good = {"memory_type": MemoryType.Document, "name": "letter", "content_type": "text/plain"}
    for name, (wrong, kind, what) in BAD_MEMORIES.items():
        memory = NewMemory(**{**good, **wrong})
        request = UploadRequest(memory=memory, total_size=2, chunk_size=1)
        parts = {part: value for part, value in wrong.items() if part in ("metadata", "access")}
        change = MemoryUpdate(**parts) if parts else MemoryUpdate(info=MemoryInfoUpdate(**wrong))
        async with capsule.unchanged():
            for call in (
                capsule.owner.add_memory_to_capsule(inline(b"x"), memory),
                capsule.owner.begin_memory_upload(request),
                capsule.owner.update_memory_in_capsule(kept, change),
            ):
                assert about(kind, await refusal(kind, call)).replace("info.", "") == what, name


@pytest.mark.parametrize("given", list(MemoryType))
async def test_metadata_of_every_other_kind_is_refused(capsule: CapsuleWorld, given: MemoryType) -> None:
    for kind in set(MemoryType) - {given}:
        memory = NewMemory(memory_type=kind, name="x", content_type="x", metadata=full_metadata(given, 1))
        wrong = await capsule.refused("InvalidArgument", capsule.owner.add_memory_to_capsule(inline(b"x"), memory))
        assert wrong.field == "metadata"


async def test_data_that_contradicts_itself_is_refused(capsule: CapsuleWorld) -> None:
    external = BlobKind.MemoryBlobKindExternal
    kept = await capsule.add(b"kept")
    for reference, data in (
        (BlobRef(kind=external, locator=""), None),
        (BlobRef(kind=external, locator="x"), b"and here"),
        (BlobRef(kind=external, locator="x", hash=bytes(31)), None),
        (BlobRef(kind=BlobKind.ICPCapsule, locator="", hash=bytes(31)), b"x"),
    ):
        wrong = MemoryData(blob_ref=reference, data=data)
        await capsule.refused("InvalidArgument", capsule.owner.add_memory_to_capsule(wrong, note("x")))
        await capsule.refused("InvalidArgument", capsule.owner.update_memory_in_capsule(kept, MemoryUpdate(data=wrong)))
    long = MemoryData(blob_ref=BlobRef(kind=external, locator="x" * 2_049))
    await capsule.refused("LimitExceeded", capsule.owner.add_memory_to_capsule(long, note("x")))
    without = MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""))
    await capsule.refused("InvalidArgument", capsule.owner.update_memory_in_capsule(kept, MemoryUpdate(data=without)))


async def test_inline_bytes_are_compared_with_the_checksum_that_comes_along(capsule: CapsuleWorld) -> None:
    data = b"Dear all"

    def stating(checksum: bytes) -> MemoryData:
        return MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator="", hash=checksum), data=data)

    kept = await capsule.add(b"kept")
    damaged = stating(sha256(b"Dear alt"))
    for call in (
        capsule.owner.add_memory_to_capsule(damaged, note("x")),
        capsule.owner.update_memory_in_capsule(kept, MemoryUpdate(data=damaged)),
    ):
        sums = await capsule.refused("ChecksumMismatch", call)
        assert (sums.expected, sums.actual) == (sha256(b"Dear alt"), sha256(data))
    memory_id = await capsule.owner.add_memory_to_capsule(stating(sha256(data)), note("x"))
    read = (await capsule.owner.get_memory_from_capsule(memory_id)).data
    await capsule.owner.update_memory_in_capsule(memory_id, MemoryUpdate(data=read))
    assert (await capsule.owner.get_memory_from_capsule(memory_id)).data == read, "what was read can be written back"


# --- uploads ---------------------------------------------------------------------------------------------------------


async def test_a_chunk_is_stored_only_with_its_own_checksum(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    sums = await capsule.refused("ChecksumMismatch", capsule.put(session, 0, CHUNKS[0], sha256(CHUNKS[1])))
    assert (sums.expected, sums.actual) == (sha256(CHUNKS[1]), sha256(CHUNKS[0]))
    await capsule.refused("ChecksumMismatch", capsule.put(session, 0, CHUNKS[0], b"short"))
    await capsule.put(session, 0, CHUNKS[0])
    await capsule.refused("ChecksumMismatch", capsule.put(session, 0, CHUNKS[0], sha256(CHUNKS[1])))


async def test_the_same_chunk_again_is_a_success_and_other_bytes_a_conflict(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    await capsule.put(session, 1, CHUNKS[1])
    before = (await capsule.owner.get_memory_upload(session.upload_id)).missing_chunks
    await capsule.put(session, 1, CHUNKS[1])
    assert (await capsule.owner.get_memory_upload(session.upload_id)).missing_chunks == before == [0, 2]
    conflict = await capsule.refused("ChunkConflict", capsule.put(session, 1, CHUNKS[0]))
    assert conflict.index == 1
    for index in (0, 2):
        await capsule.put(session, index, CHUNKS[index])
    memory_id = await capsule.owner.commit_memory_upload(session.upload_id)
    assert await capsule.owner.read_memory_chunk(memory_id, 1) == CHUNKS[1]
    late = await capsule.refused("AlreadyExists", capsule.put(session, 1, CHUNKS[1]))
    assert (late.kind, late.id) == ("memory", memory_id)


async def test_an_upload_with_missing_chunks_becomes_no_memory(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    missing = await capsule.refused("MissingChunks", capsule.owner.commit_memory_upload(session.upload_id))
    assert missing.missing == [0, 1, 2]
    await capsule.put(session, 1, CHUNKS[1])
    missing = await capsule.refused("MissingChunks", capsule.owner.commit_memory_upload(session.upload_id))
    assert missing.missing == [0, 2]


async def test_a_chunk_of_another_length_or_place_is_refused(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    for index, size in ((0, 999), (0, 1_001), (1, 0), (2, 16), (2, 1_000)):
        wrong = await capsule.refused("InvalidArgument", capsule.put(session, index, bytes(size)))
        assert wrong.field == "bytes"
    for index in (3, 2**32 - 1):
        wrong = await capsule.refused("InvalidArgument", capsule.put(session, index, b"x"))
        assert wrong.field == "index"


async def test_a_chunk_above_the_limit_is_refused_with_limit_and_size(capsule: CapsuleWorld) -> None:
    session = await capsule.begin([bytes(2_000_000), b"x"])
    limit = await capsule.refused("LimitExceeded", capsule.put(session, 0, bytes(2_000_001)))
    assert (limit.what, limit.limit, limit.actual) == ("bytes of a chunk", 2_000_000, 2_000_001)


@pytest.mark.parametrize(
    ("total_size", "chunk_size", "what"),
    [
        (1_073_741_825, 2_000_000, "bytes of an upload"),
        (2**64 - 1, 2_000_000, "bytes of an upload"),
        (10_000_000, 2_000_001, "bytes of a chunk"),
        (16_385, 1, "chunks of a memory"),
        (10, 0, "chunk_size"),
    ],
)
async def test_an_upload_beyond_the_limits_does_not_begin(
    capsule: CapsuleWorld, total_size: int, chunk_size: int, what: str
) -> None:
    request = UploadRequest(memory=note("large"), total_size=total_size, chunk_size=chunk_size)
    kind = "LimitExceeded" if chunk_size else "InvalidArgument"
    assert about(kind, await capsule.refused(kind, capsule.owner.begin_memory_upload(request))) == what


async def test_a_caller_has_eight_uploads_at_once_and_no_ninth(capsule: CapsuleWorld) -> None:
    for _ in range(8):
        await capsule.begin([b"x"])
    request = UploadRequest(memory=note("x"), total_size=1, chunk_size=1)
    limit = await capsule.refused("LimitExceeded", capsule.owner.begin_memory_upload(request))
    assert (limit.limit, limit.actual) == (8, 9)


async def test_an_upload_is_its_beginners_alone(capsule: CapsuleWorld) -> None:
    session = await capsule.begin(CHUNKS)
    await capsule.put(session, 0, CHUNKS[0])
    for other in (capsule.friend, capsule.stranger):
        await capsule.refused("NotFound", other.get_memory_upload(session.upload_id))
        await capsule.refused_to_others("NotFound", other.commit_memory_upload(session.upload_id))
        await capsule.refused_to_others("NotFound", other.abort_memory_upload(session.upload_id))
        chunk = (session.upload_id, 1, CHUNKS[1], sha256(CHUNKS[1]))
        await capsule.turned_away(other.put_memory_upload_chunk(*chunk))
    await capsule.refused("NotFound", capsule.anonymous.get_memory_upload(session.upload_id))


async def test_a_group_that_went_during_the_upload_is_named_at_the_commit(capsule: CapsuleWorld) -> None:
    group = await capsule.owner.create_connection_group(NewConnectionGroup(name="x", members=[]))
    session = await capsule.begin([b"x"], note("x", access=custom(groups=[group])))
    await capsule.put(session, 0, b"x")
    await capsule.owner.delete_connection_group(group)
    unknown = await capsule.refused("NotFound", capsule.owner.commit_memory_upload(session.upload_id))
    assert (unknown.kind, unknown.id) == ("connection group", group)
