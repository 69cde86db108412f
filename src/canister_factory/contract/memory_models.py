"""Memories: metadata, access, bytes, uploads, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: capsules and galleries.
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, CandidVariant, Nat8, Nat32, Nat64, TimeNs, Unit
from canister_factory.contract.person_models import PersonRef


class MemoryType(CandidEnum):
    """What a memory is."""

    Image = "Image"
    Video = "Video"
    Audio = "Audio"
    Document = "Document"
    Note = "Note"


class MemoryInfo(CandidModel):
    """What a memory is called and when it came to be."""

    memory_type: MemoryType
    name: str
    content_type: str
    created_at: TimeNs
    updated_at: TimeNs
    uploaded_at: TimeNs
    date_of_memory: TimeNs | None = None


class MemoryMetadataBase(CandidModel):
    """What all kinds of memories have; `size` in bytes."""

    size: Nat64
    mime_type: str
    original_name: str
    uploaded_at: str
    date_of_memory: str | None = None
    people_in_memory: list[str] | None = None
    format: str | None = None


class ImageMetadata(CandidModel):
    """An image; `dimensions`: width and height in pixels."""

    base: MemoryMetadataBase
    dimensions: tuple[Nat32, Nat32] | None = None


class VideoMetadata(CandidModel):
    """A video; `duration` in seconds, `width` and `height` in pixels."""

    base: MemoryMetadataBase
    duration: Nat32 | None = None
    width: Nat32 | None = None
    height: Nat32 | None = None
    thumbnail: str | None = None


class AudioMetadata(CandidModel):
    """A sound; `duration` in seconds, `bitrate` in bits a second, `sample_rate` in hertz."""

    base: MemoryMetadataBase
    duration: Nat32 | None = None
    bitrate: Nat32 | None = None
    sample_rate: Nat32 | None = None
    format: str | None = None
    channels: Nat8 | None = None


class DocumentMetadata(CandidModel):
    """A document."""

    base: MemoryMetadataBase


class NoteMetadata(CandidModel):
    """A note."""

    base: MemoryMetadataBase
    tags: list[str] | None = None


class MemoryMetadata(CandidVariant):
    """Metadata by the kind of memory."""

    Image: ImageMetadata | None = None
    Video: VideoMetadata | None = None
    Audio: AudioMetadata | None = None
    Document: DocumentMetadata | None = None
    Note: NoteMetadata | None = None


class AccessEvent(CandidVariant):
    """What access may wait for; numbers are years, days or counts as the case says."""

    AfterDeath: Unit = None
    Graduation: Unit = None
    Wedding: Unit = None
    Anniversary: Nat32 | None = None
    Birthday: Nat32 | None = None
    CapsuleMaturity: Nat32 | None = None
    ConnectionCount: Nat32 | None = None
    Custom: str | None = None


class CustomAccess(CandidModel):
    """Access for these people and the members of these groups."""

    individuals: list[PersonRef]
    groups: list[str]


class ScheduledAccess(CandidModel):
    """`access` from this time on."""

    accessible_after: TimeNs
    access: MemoryAccess


class EventTriggeredAccess(CandidModel):
    """`access` once the event is recorded."""

    trigger_event: AccessEvent
    access: MemoryAccess


class MemoryAccess(CandidVariant):
    """Who besides the owners may read a memory."""

    Public: Unit = None
    Private: Unit = None
    Custom: CustomAccess | None = None
    Scheduled: ScheduledAccess | None = None
    EventTriggered: EventTriggeredAccess | None = None


class BlobKind(CandidEnum):
    """Whether the bytes are in the canister or elsewhere."""

    ICPCapsule = "ICPCapsule"
    MemoryBlobKindExternal = "MemoryBlobKindExternal"


class BlobRef(CandidModel):
    """Where a memory's bytes are; for ICPCapsule the canister sets `locator` (the memory's id) and `hash`."""

    kind: BlobKind
    locator: str
    hash: bytes | None = None


class MemoryData(CandidModel):
    """A memory's bytes: inline when they fit one chunk, else only the reference."""

    blob_ref: BlobRef
    data: bytes | None = None


class Memory(CandidModel):
    """A memory with its bytes, or with the reference to them."""

    id: str
    info: MemoryInfo
    metadata: MemoryMetadata
    access: MemoryAccess
    data: MemoryData


class MemoryRecord(CandidModel):
    """A memory without its bytes."""

    id: str
    info: MemoryInfo
    metadata: MemoryMetadata
    access: MemoryAccess
    blob_ref: BlobRef


class MemorySummary(CandidModel):
    """A memory in a list; sizes in bytes."""

    memory: MemoryRecord
    size: Nat64
    chunk_size: Nat32
    total_chunks: Nat32


class NewMemory(CandidModel):
    """A memory to be. Defaults: the caller's self-capsule, metadata from these fields, Private."""

    capsule_id: str | None = None
    memory_type: MemoryType
    name: str
    content_type: str
    date_of_memory: TimeNs | None = None
    metadata: MemoryMetadata | None = None
    access: MemoryAccess | None = None


class MemoryInfoUpdate(CandidModel):
    """The parts of `info` to change; the others stay."""

    name: str | None = None
    content_type: str | None = None
    date_of_memory: TimeNs | None = None


class MemoryUpdate(CandidModel):
    """The parts of a memory to change; the others stay."""

    info: MemoryInfoUpdate | None = None
    metadata: MemoryMetadata | None = None
    access: MemoryAccess | None = None
    data: MemoryData | None = None


class UploadRequest(CandidModel):
    """An upload to begin; sizes in bytes."""

    memory: NewMemory
    total_size: Nat64
    chunk_size: Nat32


class UploadSession(CandidModel):
    """An upload in progress; `missing_chunks` holds the first 1,000."""

    upload_id: Nat64
    total_size: Nat64
    chunk_size: Nat32
    total_chunks: Nat32
    expires_at: TimeNs
    missing_chunks: list[Nat32]


class ContentsAudit(CandidModel):
    """Bytes of contents as they are stored, rounded up: held by memories, uploads and an import; taken by the books.

    `consistent`: every byte is in one extent that somebody holds, in one slab, or in one hole. `slab_bytes` are the
    trees' and among those taken; `free_bytes` are in holes, which are used again; `region_bytes` is the length of the
    region that all are in. `manifests_consistent`: each capsule's tree is that of its items.
    """

    chunks: Nat64
    extents: Nat64
    held_bytes: Nat64
    taken_bytes: Nat64
    slab_bytes: Nat64
    free_bytes: Nat64
    region_bytes: Nat64
    consistent: bool
    manifests_consistent: bool


class PageRequest(CandidModel):
    """`after`: the last id of the page before; `limit`: default 100, at most 1,000."""

    after: str | None = None
    limit: Nat32 | None = None


class MemoryPage(CandidModel):
    """A page of memories; `next` is the `after` of the following one."""

    items: list[MemorySummary]
    next: str | None = None
    total: Nat64
