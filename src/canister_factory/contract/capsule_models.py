"""Capsules, galleries and refusals, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: memories, people, manifests.
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, CandidVariant, Nat, Nat32, Nat64, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.memory_models import MemoryRecord
from canister_factory.contract.person_models import (
    ConnectionEntry,
    ConnectionGroupEntry,
    ControllerEntry,
    OwnerEntry,
    PersonRef,
)


class StorageStatus(CandidEnum):
    """Where a gallery is kept."""

    Web2Only = "Web2Only"
    ICPOnly = "ICPOnly"
    Both = "Both"
    Migrating = "Migrating"
    Failed = "Failed"


class GalleryMemoryEntry(CandidModel):
    """A memory's place in a gallery; `gallery_metadata` is JSON."""

    memory_id: str
    position: Nat32
    gallery_caption: str | None = None
    is_featured: bool
    gallery_metadata: str


class Gallery(CandidModel):
    """Memories in an order, with captions."""

    id: str
    owner_principal: Principal
    title: str
    description: str | None = None
    is_public: bool
    created_at: TimeNs
    updated_at: TimeNs
    storage_status: StorageStatus
    memory_entries: list[GalleryMemoryEntry]


class GalleryData(CandidModel):
    """What it takes to store a gallery."""

    title: str
    description: str | None = None
    is_public: bool
    memory_entries: list[GalleryMemoryEntry]


class GalleryUpdate(CandidModel):
    """The parts of a gallery to change; the others stay."""

    title: str | None = None
    description: str | None = None
    is_public: bool | None = None
    memory_entries: list[GalleryMemoryEntry] | None = None


class MemoryEntry(CandidModel):
    """One memory of a capsule."""

    key: str
    value: MemoryRecord


class GalleryEntry(CandidModel):
    """One gallery of a capsule."""

    key: str
    value: Gallery


class Capsule(CandidModel):
    """All of a capsule but bytes; `memories` holds at most the first 500."""

    id: str
    subject: PersonRef
    owners: list[OwnerEntry]
    controllers: list[ControllerEntry]
    connections: list[ConnectionEntry]
    connection_groups: list[ConnectionGroupEntry]
    memories: list[MemoryEntry]
    memory_count: Nat64
    galleries: list[GalleryEntry]
    created_at: TimeNs
    updated_at: TimeNs
    bound_to_web2: bool


class CapsuleInfo(CandidModel):
    """What a capsule is, and what the caller is to it."""

    capsule_id: str
    subject: PersonRef
    is_owner: bool
    is_controller: bool
    is_self_capsule: bool
    bound_to_web2: bool
    created_at: TimeNs
    updated_at: TimeNs


class CapsuleHeader(CandidModel):
    """A capsule in a list."""

    id: str
    subject: PersonRef
    owner_count: Nat64
    controller_count: Nat64
    memory_count: Nat64
    created_at: TimeNs
    updated_at: TimeNs


class RegisteredCapsule(CandidModel):
    """The caller's self-capsule."""

    capsule_id: str
    is_new: bool


class NamedThing(CandidModel):
    """A thing by its kind and id."""

    kind: str
    id: str


class WrongArgument(CandidModel):
    """An argument that can't be used, and why."""

    field: str
    reason: str


class ExceededLimit(CandidModel):
    """A limit, and the value that is above it."""

    what: str
    limit: Nat
    actual: Nat


class WrongChecksum(CandidModel):
    """The checksum stated and the one computed (SHA-256)."""

    what: str
    expected: bytes
    actual: bytes


class ConflictingChunk(CandidModel):
    """A chunk that is there with other bytes."""

    memory_id: str
    index: Nat32


class MissingMemoryChunks(CandidModel):
    """Chunks that aren't there yet."""

    memory_id: str
    missing: list[Nat32]


class ExpiredSession(CandidModel):
    """A session, and when it ended (nanoseconds since 1970)."""

    session: Nat64
    expired_at: TimeNs


class WriteLock(CandidModel):
    """Why writes are refused, and until when."""

    reason: str
    until: TimeNs | None = None


class NewHome(CandidModel):
    """The canister that a capsule moved to."""

    personal_canister: Principal


class CapsuleError(CandidVariant):
    """Why a call of the capsule API was refused."""

    Unauthorized: str | None = None
    NotFound: NamedThing | None = None
    AlreadyExists: NamedThing | None = None
    InvalidArgument: WrongArgument | None = None
    LimitExceeded: ExceededLimit | None = None
    ChecksumMismatch: WrongChecksum | None = None
    ChunkConflict: ConflictingChunk | None = None
    MissingChunks: MissingMemoryChunks | None = None
    SessionExpired: ExpiredSession | None = None
    Locked: WriteLock | None = None
    Moved: NewHome | None = None
