"""The capsule API, which backend and personal canister share, as one typed method per endpoint.

Owns these declarations. Does not own: what the endpoints mean (`canisters/*/*.did`), how calls travel (`endpoint`).
"""

# mypy: disable-error-code="empty-body"
# The bodies are the docstrings: `endpoint` makes each declaration the call of the endpoint of that name.

from __future__ import annotations

from collections.abc import Mapping

from canister_factory.candid.binding import Nat32, Nat64
from canister_factory.candid.did import Interface
from canister_factory.candid.principal import Principal, PrincipalLike
from canister_factory.contract.artifacts import personal_interface, personal_limits
from canister_factory.contract.capsule_models import (
    Capsule,
    CapsuleHeader,
    CapsuleInfo,
    Gallery,
    GalleryData,
    GalleryUpdate,
    RegisteredCapsule,
)
from canister_factory.contract.endpoint import Client, endpoint, repeatable
from canister_factory.contract.event_models import EventKind, EventOpening, EventRules, RecordedEvent
from canister_factory.contract.memory_models import (
    AccessEvent,
    ContentsAudit,
    Memory,
    MemoryData,
    MemoryPage,
    MemoryUpdate,
    NewMemory,
    PageRequest,
    UploadRequest,
    UploadSession,
)
from canister_factory.contract.person_models import (
    Connection,
    ConnectionGroup,
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
    User,
)
from canister_factory.contract.quota_models import QuotaStatus


class CapsuleClient(Client):
    """The capsule API of either canister. Methods raise `CapsuleRefused`, and the agent's errors."""

    @classmethod
    def interface(cls) -> Interface:
        """The parsed contract."""
        return personal_interface()

    @classmethod
    def argument_limits(cls) -> Mapping[str, int]:
        """Bytes of arguments that each method takes at most."""
        return personal_limits()

    # Registration and identity

    @repeatable
    @endpoint
    async def register(self) -> User:
        """Makes the caller known to the canister; idempotent."""

    @endpoint
    async def register_with_nonce(self, nonce: str) -> User:
        """Registers the caller with a nonce, by which `verify_nonce` finds the caller until it expires."""

    @endpoint
    async def prove_nonce(self, nonce: str) -> None:
        """Ties a nonce to the registered caller, who thereby proves to be the one that holds it."""

    @endpoint
    async def verify_nonce(self, nonce: str) -> Principal:
        """Whose nonce this is, for anyone who knows it. Refused with NotFound when unknown or expired."""

    @endpoint
    async def mark_bound(self) -> None:
        """Marks the caller and the caller's self-capsule as bound to a Web2 account."""

    @endpoint
    async def whoami(self) -> Principal:
        """The caller as the canister sees it."""

    @endpoint
    async def get_user(self) -> User | None:
        """The caller's registration, if there is one."""

    @endpoint
    async def list_users(self) -> list[User]:
        """The caller's registration, and those of people where both sides have accepted a connection."""

    # Capsules

    @endpoint
    async def create_capsule(self, subject: PersonRef) -> CapsuleHeader:
        """Creates a capsule about `subject`, owned by the caller."""

    @repeatable
    @endpoint
    async def register_capsule(self) -> RegisteredCapsule:
        """The caller's self-capsule, created when there is none; idempotent."""

    @endpoint
    async def get_capsule(self, capsule_id: str) -> Capsule:
        """A capsule with at most its first 500 memories."""

    @endpoint
    async def get_capsule_info(self, capsule_id: str) -> CapsuleInfo:
        """What a capsule is and what the caller is to it."""

    @endpoint
    async def list_my_capsules(self) -> list[CapsuleHeader]:
        """Headers of the capsules that the caller owns or controls."""

    # Events that access rules wait for

    @endpoint
    async def record_capsule_event(self, capsule_id: str, event: AccessEvent) -> EventOpening:
        """Records that an event happened; it opens memories whose access waits for it.

        At once, when an owner or a controller of the capsule records it; an executor's event waits.
        """

    @endpoint
    async def revoke_capsule_event(self, capsule_id: str, event: AccessEvent) -> None:
        """Takes an event off the record: a veto as long as it waits; what it opened shuts again.

        Refused with NotFound when it isn't on record.
        """

    @endpoint
    async def list_capsule_events(self, capsule_id: str) -> list[RecordedEvent]:
        """The events on record; for an executor those that the caller recorded."""

    @endpoint
    async def add_executor(self, capsule_id: str, person: PrincipalLike) -> None:
        """Names an executor, one of whom is enough to record an event; owners only, idempotent."""

    @endpoint
    async def remove_executor(self, capsule_id: str, person: PrincipalLike) -> None:
        """Removes an executor, and the events that they recorded and that still wait; owners only.

        Refused with NotFound when the person is none.
        """

    @endpoint
    async def set_event_wait(self, capsule_id: str, kind: EventKind, wait_ns: Nat64 | None) -> None:
        """How long events of this kind wait that executors record: one day to 3,650 days, or the default; owners only.

        Events that wait already wait longer if the period became longer, and never shorter.
        """

    @endpoint
    async def get_event_rules(self, capsule_id: str) -> EventRules:
        """The executors of a capsule, and how long what they record waits."""

    # Memories

    @endpoint
    async def add_memory_to_capsule(self, data: MemoryData, memory: NewMemory) -> str:
        """Adds a memory whose bytes travel inline or live elsewhere; returns its id."""

    @endpoint
    async def get_memory_from_capsule(self, memory_id: str) -> Memory:
        """A memory; its bytes come along when they fit one chunk."""

    @endpoint
    async def update_memory_in_capsule(self, memory_id: str, update: MemoryUpdate) -> None:
        """Changes the given parts of a memory."""

    @endpoint
    async def delete_memory_from_capsule(self, memory_id: str) -> None:
        """Deletes a memory and its bytes."""

    @endpoint
    async def list_capsule_memories(self, capsule_id: str | None, page: PageRequest) -> MemoryPage:
        """A page of the memories that the caller may read, without bytes, in the order of their making.

        Default capsule: the caller's self-capsule. Of a capsule that isn't there the page is empty.
        """

    @endpoint
    async def read_memory_chunk(self, memory_id: str, index: Nat32) -> bytes:
        """One chunk of a memory's bytes."""

    @endpoint
    async def begin_memory_upload(self, request: UploadRequest) -> UploadSession:
        """Opens an upload session for bytes that don't fit one message."""

    @repeatable
    @endpoint
    async def put_memory_upload_chunk(self, upload_id: Nat64, index: Nat32, data: bytes, sha256: bytes) -> None:
        """Stores one chunk; the same bytes again are a success. `sha256`: 32 bytes."""

    @endpoint
    async def get_memory_upload(self, upload_id: Nat64) -> UploadSession:
        """An upload session with the first 1,000 chunks that are missing."""

    @endpoint
    async def commit_memory_upload(self, upload_id: Nat64) -> str:
        """Turns a complete upload into a memory; returns its id."""

    @endpoint
    async def abort_memory_upload(self, upload_id: Nat64) -> None:
        """Drops an upload session and its bytes."""

    # Connections

    @endpoint
    async def add_connection(self, peer: PersonRef) -> None:
        """Adds a connection to `peer`, pending."""

    @endpoint
    async def update_connection_status(self, peer: PersonRef, status: ConnectionStatus) -> None:
        """Sets the status of a connection."""

    @endpoint
    async def remove_connection(self, peer: PersonRef) -> None:
        """Removes a connection."""

    @endpoint
    async def list_connections(self) -> list[Connection]:
        """The connections of the caller's self-capsule."""

    @endpoint
    async def create_connection_group(self, group: NewConnectionGroup) -> str:
        """Creates a group of connections; returns its id."""

    @endpoint
    async def update_connection_group(self, group_id: str, update: ConnectionGroupUpdate) -> None:
        """Changes the given parts of a group."""

    @endpoint
    async def delete_connection_group(self, group_id: str) -> None:
        """Deletes a group."""

    @endpoint
    async def list_connection_groups(self) -> list[ConnectionGroup]:
        """The connection groups of the caller's self-capsule."""

    # Galleries

    @endpoint
    async def store_gallery_forever(self, gallery: GalleryData) -> Gallery:
        """Stores a gallery in the caller's self-capsule."""

    @endpoint
    async def get_my_galleries(self) -> list[Gallery]:
        """All galleries of the caller."""

    @endpoint
    async def get_user_galleries(self, user: PrincipalLike) -> list[Gallery]:
        """The galleries of `user` that the caller may see: public ones, unless the caller is the user."""

    @endpoint
    async def get_gallery_by_id(self, gallery_id: str) -> Gallery:
        """One gallery, with the entries of memories that the caller may read."""

    @endpoint
    async def update_gallery(self, gallery_id: str, update: GalleryUpdate) -> Gallery:
        """Changes the given parts of a gallery."""

    @endpoint
    async def delete_gallery(self, gallery_id: str) -> None:
        """Deletes a gallery; its memories stay."""

    @endpoint
    async def get_my_quota(self) -> QuotaStatus:
        """What the caller uses and how much they may; in a personal canister the limits are the canister's."""

    @endpoint
    async def audit_contents(self) -> ContentsAudit:
        """Compares the books about stored bytes with what is held, and trees with items; controllers only."""

    @endpoint
    async def get_api_version(self) -> str:
        """The semantic version of the canister's API."""
