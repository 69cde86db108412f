"""A personal canister: the capsule API and the import, as one typed method per endpoint.

Owns these declarations. Does not own: what the endpoints mean (`canisters/personal/personal.did`).
"""

# mypy: disable-error-code="empty-body"
# The bodies are the docstrings: `endpoint` makes each declaration the call of the endpoint of that name.

from __future__ import annotations

from canister_factory.candid.binding import Nat32, Nat64
from canister_factory.candid.principal import PrincipalLike
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.endpoint import endpoint, repeatable
from canister_factory.contract.history_models import CanisterHistory
from canister_factory.contract.import_models import (
    CertifiedManifest,
    FinalizedImport,
    ImportBatch,
    ImportOutcome,
    ImportSession,
    ImportStatus,
    MemoryChunk,
    PersonalInfo,
)
from canister_factory.contract.manifest_models import ExportItem, ItemRef, ManifestPage, MemoryManifest
from canister_factory.contract.memory_models import PageRequest


class PersonalClient(CapsuleClient):
    """A personal canister. Methods raise `CapsuleRefused`, and the agent's errors."""

    # Import: controllers only (not the owner while an operator is one), and only until the canister is open

    @repeatable
    @endpoint
    async def begin_import(self) -> ImportSession:
        """The session in progress, or a new one that keeps what is stored; a final import isn't final any more."""

    @repeatable
    @endpoint
    async def put_memory_chunk(self, session: Nat64, memory_id: str, index: Nat32, data: bytes, sha256: bytes) -> None:
        """Stores one chunk; the same bytes again are a success, other bytes a ChunkConflict."""

    @repeatable
    @endpoint
    async def put_memory_chunks(self, session: Nat64, chunks: list[MemoryChunk]) -> None:
        """Stores several chunks at once."""

    @repeatable
    @endpoint
    async def put_items(self, session: Nat64, items: list[ExportItem]) -> None:
        """Stores or replaces records."""

    @repeatable
    @endpoint
    async def commit_memory(self, session: Nat64, manifest: MemoryManifest) -> None:
        """Makes a memory final, whose record and chunks are all there."""

    @repeatable
    @endpoint
    async def commit_memories(self, session: Nat64, manifests: list[MemoryManifest]) -> None:
        """Makes several memories final."""

    @repeatable
    @endpoint
    async def remove_items(self, session: Nat64, items: list[ItemRef]) -> None:
        """Removes items and pending memories that the source no longer has."""

    @repeatable
    @endpoint
    async def import_batch(self, batch: ImportBatch) -> ImportOutcome:
        """All of a small import, or a message's worth of one; the first step that is refused is the last."""

    @endpoint
    async def get_import_status(self, page: PageRequest) -> ImportStatus:
        """The session, and a page of the memories that aren't committed yet, in the order of their ids."""

    @endpoint
    async def list_import_entries(self, after: ItemRef | None = None, limit: Nat32 | None = None) -> ManifestPage:
        """A page of the target's manifest entries."""

    @repeatable
    @endpoint
    async def finalize_import(self, session: Nat64) -> FinalizedImport:
        """Ends the import, until another session begins; once the canister is open, none does."""

    # What the import left here

    @endpoint
    async def get_manifest(self) -> CertifiedManifest:
        """The manifest computed from what is stored, with a certificate for its hash."""

    @repeatable
    @endpoint
    async def close_for_undo(self) -> Nat64:
        """Lets the backend compare what is there, and nothing be written, for ten minutes; until when."""

    @endpoint
    async def get_personal_info(self) -> PersonalInfo:
        """Whose canister this is, and how far its import got."""

    # A copy of everything, for the owner alone

    @endpoint
    async def get_items(self, items: list[ItemRef]) -> list[ExportItem]:
        """The records of these items in their order, or of the first of them; at least one."""

    @endpoint
    async def get_memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        """The chunk checksums of these memories in their order, or of the first of them; at least one."""

    # Of the canister itself

    @repeatable
    @endpoint
    async def get_history(self) -> CanisterHistory:
        """What the network tells of the canister's past; certified, as the reply to an update."""

    # Another owner

    @repeatable
    @endpoint
    async def offer_ownership(self, to: PrincipalLike | None) -> None:
        """Offers the canister to a principal in the place of the last offer; `None` takes the offer back."""

    @repeatable
    @endpoint
    async def accept_ownership(self) -> None:
        """Makes the caller the owner, to whom it was offered; the one before stays an owner of the capsule."""

    @repeatable
    @endpoint
    async def remove_owner(self, person: PrincipalLike) -> None:
        """Takes the capsule from an owner or a controller of it, but not from the canister's owner."""

    # Another backend

    @repeatable
    @endpoint
    async def change_backend(self, backend: PrincipalLike) -> None:
        """Lets this backend read the manifest, in the place of the one before."""
