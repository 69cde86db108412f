"""Creations of personal canisters: requests, leases, reports, releases, as the backend's contract has them.

Owns their Python form; a test compares it with the `.did`. Does not own: the reserve.
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, Nat, Nat32, Nat64, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.manifest_models import CapsuleManifest


class CreatePersonalCanisterConfig(CandidModel):
    """What an owner may ask for."""

    name: str | None = None
    subnet_id: Principal | None = None
    show_status: bool | None = None
    """Whether the backend may see the canister's status (cycles, memory, settings) also when it is the owner's."""


class PersonalCanisterCreationResponse(CandidModel):
    """The answer to a request."""

    success: bool
    canister_id: Principal | None = None
    message: str


class CreationStatus(CandidEnum):
    """The states of a creation."""

    NotStarted = "NotStarted"
    Exporting = "Exporting"
    Creating = "Creating"
    Installing = "Installing"
    Importing = "Importing"
    Verifying = "Verifying"
    Completed = "Completed"
    Failed = "Failed"
    Undone = "Undone"


class CreationErrorKind(CandidEnum):
    """What kind of failure it was."""

    Unauthorized = "Unauthorized"
    Disabled = "Disabled"
    ReserveInsufficient = "ReserveInsufficient"
    CreateFailed = "CreateFailed"
    InstallFailed = "InstallFailed"
    ImportFailed = "ImportFailed"
    VerifyFailed = "VerifyFailed"
    HandoffFailed = "HandoffFailed"
    HistoryFailed = "HistoryFailed"
    InvalidRequest = "InvalidRequest"
    Busy = "Busy"
    Cancelled = "Cancelled"
    NotAdmitted = "NotAdmitted"
    Declined = "Declined"
    TooEarly = "TooEarly"
    TooLate = "TooLate"
    Written = "Written"
    BudgetSpent = "BudgetSpent"


class CreationError(CandidModel):
    """A failure with its context; `needed` and `available` in cycles, the latter for admins and operators only.

    `retry_at`: when the same request may succeed, where that is known.
    """

    kind: CreationErrorKind
    message: str
    stage: CreationStatus | None = None
    canister_id: Principal | None = None
    needed: Nat | None = None
    available: Nat | None = None
    retry_helps: bool
    retry_at: TimeNs | None = None


class CreationProgress(CandidModel):
    """How far a stage is."""

    stage: CreationStatus
    bytes_done: Nat64
    bytes_total: Nat64
    items_done: Nat64
    items_total: Nat64


class CreationStatusResponse(CandidModel):
    """A creation in short."""

    status: CreationStatus
    canister_id: Principal | None = None
    message: str


class ErasureStage(CandidEnum):
    """How far the erasing of what a completed creation left on the backend is."""

    Waiting = "Waiting"
    Erasing = "Erasing"
    Erased = "Erased"


class Erasure(CandidModel):
    """An erasure that the owner asked for: it begins at `due_at`, until when it may be cancelled; `message` says what
    holds it up then.
    """

    stage: ErasureStage
    requested_at: TimeNs
    due_at: TimeNs
    started_at: TimeNs | None = None
    erased_at: TimeNs | None = None
    memories_left: Nat64
    message: str


class ErasureReceipt(CandidModel):
    """What was erased, in bytes and with its manifest hash; and the personal canister, with the hash of what it
    got.
    """

    backend: Principal
    owner: Principal
    capsule_id: str
    canister_id: Principal
    requested_at: TimeNs
    started_at: TimeNs
    erased_at: TimeNs
    memories: Nat64
    content_size: Nat64
    manifest_hash: bytes
    imported_manifest_hash: bytes


class WitnessStep(CandidModel):
    """A hash beside the way from a receipt's to the root; `left`: it stands on the left."""

    left: bool
    hash: bytes


class CertifiedReceipt(CandidModel):
    """A receipt, as it was hashed (`encoded`), and what certifies it: the way to the backend's certified data."""

    receipt: ErasureReceipt
    encoded: bytes
    witness: list[WitnessStep]
    certificate: bytes | None = None


class DetailedCreationStatus(CandidModel):
    """All about a creation; times in nanoseconds since 1970. `lost_canisters`: whose history was refused.

    `operators`: whose it was since it has a canister; it is the last one's. `next_operator`: who takes its place by the
    owner's retry, where it is no operator any more. `move_back_until`: the owner's writes are taken on the backend
    beside the personal canister.
    """

    owner: Principal
    status: CreationStatus
    canister_id: Principal | None = None
    operators: list[Principal]
    next_operator: Principal | None = None
    config: CreatePersonalCanisterConfig
    created_at: TimeNs
    updated_at: TimeNs
    completed_at: TimeNs | None = None
    attempts: Nat32
    cycles_consumed: Nat
    """By its canister, and by those that were lost."""
    paid_until: TimeNs | None = None
    """Since the completion: until when the canister takes updates, by what it was given."""
    expires_within_days: Nat | None = None
    """90, 30 or 7, once that date is so near."""
    error: CreationError | None = None
    progress: CreationProgress
    progress_message: str
    source_manifest: CapsuleManifest | None = None
    verified: bool
    locked_until: TimeNs | None = None
    lost_canisters: list[Principal]
    undone_at: TimeNs | None = None
    move_back_until: TimeNs | None = None
    erasure: Erasure | None = None

    @property
    def operator(self) -> Principal | None:
        """Who controls the canister beside the owner, and alone can go on with the creation."""
        return self.operators[-1] if self.operators else None


class CreationPage(CandidModel):
    """A page of creations."""

    items: list[DetailedCreationStatus]
    next: Principal | None = None
    total: Nat64


class OwnerPageRequest(CandidModel):
    """`after`: the last owner of the page before; `limit`: default 100, at most 1,000."""

    after: Principal | None = None
    limit: Nat32 | None = None


class Admission(CandidEnum):
    """Who gets a personal canister: everybody; owners on a list; or those, and whom an admin approves."""

    Open = "Open"
    Listed = "Listed"
    Approval = "Approval"


class AdmittedPage(CandidModel):
    """A page of the list of owners."""

    items: list[Principal]
    next: Principal | None = None
    total: Nat64


class CreationLimits(CandidModel):
    """How many creations a backend allows over all owners: in progress at a time, and attempts within an hour."""

    max_in_progress: Nat32
    max_per_hour: Nat32


class PersonalCanisterCreationStats(CandidModel):
    """Counters over all creations; cycles."""

    total_attempts: Nat64
    total_successes: Nat64
    total_failures: Nat64
    total_undone: Nat64
    total_cycles_consumed: Nat


MOST_LOOKED_AT = 20
"""Canisters that the backend looks at in one call of `look_at_canisters`."""


class CanisterSeen(CandidModel):
    """What the network told the backend of a canister: cycles (its balance, and what is reserved for its storage)."""

    at: TimeNs
    cycles: Nat
    burned_per_day: Nat


class PersonalCanisterRecord(CandidModel):
    """A personal canister in the registry. `seen`: `None` where its owner doesn't let the backend see it.
    `found_deleted_at`: when the backend learned that it is deleted, or has no module since its cycles are used up.
    """

    canister_id: Principal
    created_by: Principal
    created_at: TimeNs
    status: CreationStatus
    cycles_consumed: Nat
    paid_until: TimeNs | None = None
    seen: CanisterSeen | None = None
    found_deleted_at: TimeNs | None = None

    @property
    def is_living(self) -> bool:
        """Whether it is its owner's, and isn't known to be deleted."""
        return self.status == CreationStatus.Completed and self.found_deleted_at is None


class RegistryPage(CandidModel):
    """A page of the registry."""

    items: list[PersonalCanisterRecord]
    next: Principal | None = None
    total: Nat64


class ClaimRequest(CandidModel):
    """Asks for a lease; default duration 60 s, at most 600 s."""

    owner: Principal
    worker: str
    duration_ns: Nat64 | None = None


class CreationLease(CandidModel):
    """The exclusive right to work on a creation, until `expires_at`.

    `manifest`: of the capsule as it is now; `None` when there is none any more.
    """

    lease: Nat64
    expires_at: TimeNs
    creation: DetailedCreationStatus
    manifest: CapsuleManifest | None = None


class OpenRequest(CandidModel):
    """A creation that needs an operator: the one that it belongs to, once it has a canister."""

    owner: Principal
    status: CreationStatus
    canister_id: Principal | None = None
    operator: Principal | None = None
    requested_at: TimeNs
    leased_until: TimeNs | None = None
    worker: str | None = None


class OpenRequestPage(CandidModel):
    """A page of open creations, the oldest request first."""

    items: list[OpenRequest]
    next: Principal | None = None


class LeaseRef(CandidModel):
    """Names a lease."""

    owner: Principal
    lease: Nat64


class ProvisionResult(CandidModel):
    """The personal canister, and the cycles attached at its creation."""

    canister_id: Principal
    cycles: Nat
    is_new: bool


class VerificationReport(CandidModel):
    """Both manifests as the backend compared them. Where they match, the handoff must be executed until
    `handoff_until`.
    """

    matches: bool
    source: CapsuleManifest
    target: CapsuleManifest
    differences: list[str]
    handoff_until: TimeNs | None = None


class Release(CandidModel):
    """An approved module."""

    module_hash: bytes
    api_version: str
    registered_at: TimeNs
    note: str


class PersonalCanisterSettings(CandidModel):
    """Of new personal canisters: seconds of idling below which they are frozen, bytes of their Wasm memory at most."""

    freezing_threshold: Nat
    wasm_memory_limit: Nat


class NewRelease(CandidModel):
    """A module to approve."""

    module_hash: bytes
    api_version: str
    note: str
