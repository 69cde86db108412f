"""Imports and the personal canister's own types, as its contract has them.

Owns their Python form; a test compares it with the `.did`. Does not own: types that both canisters share.
"""

from __future__ import annotations

from canister_factory.candid.binding import Blob, CandidEnum, CandidModel, Nat32, Nat64, TimeNs, to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_interface
from canister_factory.contract.manifest_models import CapsuleManifest, ExportItem, ItemRef, MemoryManifest


class ImportLimits(CandidModel):
    """Limits of an import: bytes, bytes, nanoseconds. Defaults 2,000,000, 100,000,000 and 3,600 s."""

    max_chunk_bytes: Nat64
    max_import_bytes: Nat64
    session_timeout_ns: Nat64


class PersonalInit(CandidModel):
    """The personal canister's init argument; `backend`: where the capsule comes from."""

    owner: Principal
    backend: Principal
    name: str | None = None
    limits: ImportLimits | None = None

    def encoded(self) -> bytes:
        """The argument of an installation."""
        return encode(personal_interface().init_args, [to_candid(PersonalInit, self)])


class ImportState(CandidEnum):
    """States of an import session."""

    Active = "Active"
    Finalizing = "Finalizing"
    Completed = "Completed"
    Failed = "Failed"
    Expired = "Expired"


class ImportSession(CandidModel):
    """An import session; times in nanoseconds since 1970."""

    id: Nat64
    state: ImportState
    started_at: TimeNs
    last_activity_at: TimeNs
    expires_at: TimeNs
    bytes_received: Nat64
    memories_committed: Nat64
    limits: ImportLimits


class PendingChunk(CandidModel):
    """A chunk that is stored."""

    index: Nat32
    sha256: bytes


class PendingMemory(CandidModel):
    """A memory that isn't committed yet."""

    memory_id: str
    has_record: bool
    chunks: list[PendingChunk]


class ImportStatus(CandidModel):
    """A page of what isn't committed yet."""

    session: ImportSession | None = None
    pending: list[PendingMemory]
    next: str | None = None


class MemoryChunk(CandidModel):
    """A chunk with its SHA-256."""

    memory_id: str
    index: Nat32
    bytes: Blob
    sha256: Blob


class FinalizedImport(CandidModel):
    """What a finished import holds; bytes."""

    total_memories_imported: Nat64
    total_size_imported: Nat64


class ImportBatch(CandidModel):
    """What one message brings of an import, done in this order."""

    removed: list[ItemRef]
    items: list[ExportItem]
    chunks: list[MemoryChunk]
    commits: list[MemoryManifest]
    finalize: bool


class ImportOutcome(CandidModel):
    """The session that a batch was stored in, and how the import ended, if it did."""

    session: Nat64
    final: FinalizedImport | None = None


class Beside(CandidModel):
    """What a personal canister holds beside the one capsule, which the manifest doesn't cover.

    `people`: principals that it knows, and that the capsule doesn't name as owners or controllers; `items`: memories
    and galleries of no capsule; `pending_memories`: what an import has begun, with `pending_bytes` of chunks.
    """

    capsules: Nat64
    items: Nat64
    people: Nat64
    uploads: Nat64
    nonces: Nat64
    pending_memories: Nat64
    pending_bytes: Nat64


class CertifiedManifest(CandidModel):
    """Manifests of what is there now and of the finished import, and a certificate for both (in query replies).

    `closed_until`: the owner lets the backend compare what is there, and nothing is written until then.
    """

    manifest: CapsuleManifest
    imported: CapsuleManifest | None = None
    beside: Beside
    certificate: bytes | None = None
    closed_until: TimeNs | None = None


class PersonalInfo(CandidModel):
    """Whose canister this is, how far its import got, and whether its owner can use it."""

    owner: Principal
    backend: Principal
    name: str | None = None
    api_version: str
    capsule_id: str | None = None
    import_state: ImportState | None = None
    is_open: bool
