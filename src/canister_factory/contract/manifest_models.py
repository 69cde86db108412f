"""Manifests and the records that an export carries, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: computing a manifest (`factory.manifest`).
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, CandidVariant, Nat32, Nat64, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract import capsule_models, person_models
from canister_factory.contract.event_models import EventWait, Executor, RecordedEvent
from canister_factory.contract.memory_models import MemoryRecord
from canister_factory.contract.person_models import ControllerEntry, OwnerEntry, PersonRef


class ItemKind(CandidEnum):
    """The kinds of items, in the order of a manifest."""

    Capsule = "Capsule"
    Memory = "Memory"
    Gallery = "Gallery"
    Connection = "Connection"
    ConnectionGroup = "ConnectionGroup"


class ItemRef(CandidModel):
    """Names an item."""

    kind: ItemKind
    id: str


class ManifestEntry(CandidModel):
    """One item's checksums (SHA-256) and sizes (bytes); no `content_checksum`: the bytes aren't in the canister."""

    kind: ItemKind
    id: str
    record_checksum: bytes
    content_checksum: bytes | None = None
    size: Nat64
    chunk_size: Nat32
    total_chunks: Nat32


class CapsuleManifest(CandidModel):
    """Counts, bytes and hash of a whole capsule; `origin`: the canister that computed it."""

    scheme: str
    capsule_id: str
    origin: Principal
    api_version: str
    revision: Nat64
    taken_at: TimeNs
    memories: Nat64
    galleries: Nat64
    connections: Nat64
    connection_groups: Nat64
    content_size: Nat64
    manifest_hash: bytes


class MemoryManifest(CandidModel):
    """The chunks of a memory by their SHA-256; `final_checksum` is that of the checksums, one after the other."""

    memory_id: str
    total_chunks: Nat32
    total_size: Nat64
    chunk_size: Nat32
    chunk_checksums: list[bytes]
    final_checksum: bytes


class CapsuleRecord(CandidModel):
    """A capsule without what it holds."""

    id: str
    subject: PersonRef
    owners: list[OwnerEntry]
    controllers: list[ControllerEntry]
    events: list[RecordedEvent]
    executors: list[Executor]
    event_waits: list[EventWait]
    """Those that an owner has chosen."""
    created_at: TimeNs
    updated_at: TimeNs
    bound_to_web2: bool


class ExportItem(CandidVariant):
    """A record on its way. Its cases have the names of classes, hence the qualified annotations."""

    Capsule: CapsuleRecord | None = None
    Memory: MemoryRecord | None = None
    Gallery: capsule_models.Gallery | None = None
    Connection: person_models.Connection | None = None
    ConnectionGroup: person_models.ConnectionGroup | None = None


class ManifestPage(CandidModel):
    """Entries at a revision; when it moved between two pages, start again."""

    entries: list[ManifestEntry]
    next: ItemRef | None = None
    revision: Nat64
