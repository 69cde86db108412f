"""The backend: the capsule API and the creation of personal canisters, as one typed method per endpoint.

Owns these declarations. Does not own: what the endpoints mean (`canisters/backend/backend.did`).
"""

# mypy: disable-error-code="empty-body"
# The bodies are the docstrings: `endpoint` makes each declaration the call of the endpoint of that name.

from __future__ import annotations

from collections.abc import Mapping

from canister_factory.candid.binding import Nat, Nat32, Nat64
from canister_factory.candid.did import Interface
from canister_factory.candid.principal import Principal, PrincipalLike
from canister_factory.contract.admin_models import (
    ConsumptionPage,
    ConsumptionReport,
    ErrorLogPage,
    ErrorRate,
    NotificationPage,
    NumberedPageRequest,
    ReserveSettings,
    ReserveStatus,
)
from canister_factory.contract.artifacts import backend_interface, backend_limits
from canister_factory.contract.creation_models import (
    Admission,
    AdmittedPage,
    ClaimRequest,
    CreatePersonalCanisterConfig,
    CreationError,
    CreationLease,
    CreationLimits,
    CreationPage,
    CreationProgress,
    CreationStatus,
    CreationStatusResponse,
    DetailedCreationStatus,
    LeaseRef,
    NewRelease,
    OpenRequestPage,
    OwnerPageRequest,
    PersonalCanisterCreationResponse,
    PersonalCanisterCreationStats,
    PersonalCanisterRecord,
    PersonalCanisterSettings,
    ProvisionResult,
    RegistryPage,
    Release,
    VerificationReport,
)
from canister_factory.contract.endpoint import endpoint, repeatable
from canister_factory.contract.keepers_client import KeepersClient
from canister_factory.contract.manifest_models import CapsuleManifest, ExportItem, ItemRef, ManifestPage, MemoryManifest
from canister_factory.contract.old_side_client import OldSideClient
from canister_factory.contract.quota_models import CapsuleSwitches, QuotaReport, Quotas, QuotaStatus


class BackendClient(KeepersClient, OldSideClient):
    """The backend canister. Creation methods raise `CreationRefused`, the others `CapsuleRefused`."""

    @classmethod
    def interface(cls) -> Interface:
        """The parsed contract."""
        return backend_interface()

    @classmethod
    def argument_limits(cls) -> Mapping[str, int]:
        """Bytes of arguments that each method takes at most."""
        return backend_limits()

    # Admin: what people keep here

    @endpoint
    async def set_quotas(self, quotas: Quotas) -> None:
        """Sets all quotas; what is used may be more than they allow. For admins."""

    @endpoint
    async def get_quotas(self) -> QuotaReport:
        """The quotas, and what all use together. For admins and operators."""

    @endpoint
    async def get_user_quota(self, user: PrincipalLike) -> QuotaStatus:
        """What `user` uses, and how much they may. For admins and operators."""

    @endpoint
    async def set_capsule_switches(self, switches: CapsuleSwitches) -> None:
        """Sets whether new capsules are taken, and writes. For admins."""

    @endpoint
    async def get_capsule_switches(self) -> CapsuleSwitches:
        """Whether new capsules are taken, and writes."""

    # Owner: creation

    @endpoint
    async def create_personal_canister(
        self, config: CreatePersonalCanisterConfig | None = None
    ) -> PersonalCanisterCreationResponse:
        """Asks for a personal canister, as the owner; idempotent, and a retry after a failure."""

    @endpoint
    async def cancel_personal_canister(self) -> DetailedCreationStatus:
        """Ends the caller's creation before its handoff; nothing is lost."""

    @endpoint
    async def get_creation_status(self) -> CreationStatusResponse | None:
        """The caller's creation in short."""

    @endpoint
    async def get_detailed_creation_status(self) -> DetailedCreationStatus | None:
        """The caller's creation in full."""

    @endpoint
    async def get_personal_canister_id(self, user: PrincipalLike) -> Principal | None:
        """The personal canister of `user`, once its creation is completed."""

    @endpoint
    async def get_my_personal_canister_id(self) -> Principal | None:
        """The caller's personal canister, once its creation is completed."""

    # Admin

    @endpoint
    async def get_user_creation_status(self, user: PrincipalLike) -> DetailedCreationStatus | None:
        """The creation of `user`. For admins."""

    @endpoint
    async def list_all_creation_states(self, page: OwnerPageRequest) -> CreationPage:
        """A page of all creations, in the order of their owners. For admins."""

    @endpoint
    async def get_creation_states_by_status(self, status: CreationStatus, page: OwnerPageRequest) -> CreationPage:
        """A page of the creations with this status. For admins."""

    @endpoint
    async def abort_creation(self, user: PrincipalLike, reason: str) -> DetailedCreationStatus:
        """Ends a creation before its handoff. For admins."""

    @endpoint
    async def clear_creation_state(self, user: PrincipalLike) -> None:
        """Forgets a creation that isn't in progress. For admins."""

    @endpoint
    async def pay_rest(self, owner: PrincipalLike) -> None:
        """Pays the rest of a completed creation's cycles, where it is in doubt whether they were paid. For admins."""

    @endpoint
    async def set_personal_canister_creation_enabled(self, enabled: bool) -> None:
        """Switches the feature at run time: off, nothing uses cycles of the reserve. For admins."""

    @endpoint
    async def is_personal_canister_creation_enabled(self) -> bool:
        """Whether creations are begun and go on."""

    @endpoint
    async def set_creation_limits(self, limits: CreationLimits) -> None:
        """Sets how many creations there may be; each limit at least 1, `max_per_hour` at most 10,000. For admins."""

    @endpoint
    async def get_creation_limits(self) -> CreationLimits:
        """How many creations there may be. For admins and operators."""

    @endpoint
    async def set_admission(self, admission: Admission) -> None:
        """Sets who gets a personal canister; what was admitted goes on. For admins."""

    @endpoint
    async def get_admission(self) -> Admission:
        """Who gets a personal canister."""

    @endpoint
    async def add_admitted(self, owner: PrincipalLike) -> None:
        """Puts an owner on the list. For admins."""

    @endpoint
    async def remove_admitted(self, owner: PrincipalLike) -> None:
        """Takes an owner off the list. For admins."""

    @endpoint
    async def list_admitted(self, page: OwnerPageRequest) -> AdmittedPage:
        """A page of the owners on the list. For admins and operators."""

    @endpoint
    async def list_waiting_requests(self, page: OwnerPageRequest) -> OpenRequestPage:
        """Requests that wait for approval, the oldest first. For admins and operators."""

    @endpoint
    async def approve_creation(self, owner: PrincipalLike) -> DetailedCreationStatus:
        """Starts a request that waits for approval. For admins."""

    @endpoint
    async def decline_creation(self, owner: PrincipalLike, reason: str) -> DetailedCreationStatus:
        """Ends a request that waits for approval as Failed, of kind Declined. For admins."""

    @endpoint
    async def set_personal_canister_settings(self, settings: PersonalCanisterSettings) -> None:
        """Sets what new personal canisters are set to. For admins."""

    @endpoint
    async def get_personal_canister_settings(self) -> PersonalCanisterSettings:
        """What new personal canisters are set to. For admins and operators."""

    @endpoint
    async def get_personal_canister_creation_stats(self) -> PersonalCanisterCreationStats:
        """Counters of attempts, successes, failures and cycles. For admins."""

    @endpoint
    async def register_release(self, release: NewRelease) -> None:
        """Approves a module for personal canisters. For admins."""

    @endpoint
    async def revoke_release(self, module_hash: bytes) -> None:
        """Withdraws the approval of a module. For admins."""

    @endpoint
    async def list_releases(self) -> list[Release]:
        """The approved modules."""

    @endpoint
    async def list_registry(self, page: OwnerPageRequest) -> RegistryPage:
        """A page of the registry of personal canisters. For admins."""

    @endpoint
    async def get_registry_entry(self, canister_id: PrincipalLike) -> PersonalCanisterRecord | None:
        """The registry's entry of one personal canister. For admins."""

    @repeatable
    @endpoint
    async def look_at_canisters(self, canister_ids: list[Principal]) -> list[PersonalCanisterRecord]:
        """The entries of these (20 at most), once the backend has looked at them as far as it may. For the staff."""

    # Admin: reserve

    @endpoint
    async def get_reserve_status(self) -> ReserveStatus:
        """The cycles reserve, in cycles. For admins."""

    @endpoint
    async def set_reserve_settings(self, settings: ReserveSettings) -> None:
        """Sets all reserve settings. For admins."""

    @endpoint
    async def set_reserve_threshold(self, cycles: Nat) -> None:
        """Sets the level, in cycles, under which admins are warned. For admins."""

    @endpoint
    async def return_cycles(self) -> Nat:
        """Gives back the cycles that come with the call, which only a canister that was created here can make."""

    @endpoint
    async def top_up_reserve(self) -> Nat:
        """Accepts the cycles attached to the call; returns the amount, which is 0 for an ingress message."""

    @endpoint
    async def get_consumption_report(self, window_ns: Nat64 | None = None) -> ConsumptionReport:
        """What creations consumed within the window before now (nanoseconds). For admins."""

    @endpoint
    async def list_consumption(self, page: NumberedPageRequest) -> ConsumptionPage:
        """A page of the consumption log, newest first. For admins."""

    @endpoint
    async def list_notifications(self, page: NumberedPageRequest) -> NotificationPage:
        """A page of the admins' notifications, newest first. For admins."""

    @endpoint
    async def acknowledge_notification(self, notification_id: Nat64) -> None:
        """Marks a notification as seen. For admins."""

    @endpoint
    async def list_errors(self, page: NumberedPageRequest) -> ErrorLogPage:
        """A page of the error log, newest first. For admins."""

    @endpoint
    async def get_error_rate(self, window_ns: Nat64 | None = None) -> ErrorRate:
        """Attempts and failures within the window before now (nanoseconds). For admins."""

    # Operator

    @endpoint
    async def list_open_requests(self, page: OwnerPageRequest) -> OpenRequestPage:
        """A page of the creations that need an operator. For operators, as all below."""

    @repeatable
    @endpoint
    async def claim_creation(self, request: ClaimRequest) -> CreationLease:
        """Takes the exclusive right to work on an owner's creation for a while, and begins its export."""

    @repeatable
    @endpoint
    async def renew_lease(self, lease: LeaseRef) -> Nat64:
        """Prolongs a lease; returns when it now expires (nanoseconds since 1970)."""

    @repeatable
    @endpoint
    async def release_lease(self, lease: LeaseRef) -> None:
        """Gives a lease back, so that another worker need not wait for its end."""

    @repeatable
    @endpoint
    async def hand_on_creation(self, lease: LeaseRef, operator: PrincipalLike) -> None:
        """Makes a creation another operator's; its canister is to be controlled by that one and the owner already."""

    @repeatable
    @endpoint
    async def report_progress(self, lease: LeaseRef, progress: CreationProgress, message: str) -> None:
        """Records stage and progress for the owner to see."""

    @repeatable
    @endpoint
    async def begin_export(self, lease: LeaseRef, lock: bool) -> CapsuleManifest:
        """Takes and records the source's manifest; with `lock` the owner's writes are refused until the lease ends."""

    @endpoint
    async def list_export_entries(
        self, lease: LeaseRef, after: ItemRef | None = None, limit: Nat32 | None = None
    ) -> ManifestPage:
        """A page of the source's manifest entries. A `revision` that moved between pages: start again."""

    @endpoint
    async def get_export_items(self, lease: LeaseRef, items: list[ItemRef]) -> list[ExportItem]:
        """The records of these items."""

    @endpoint
    async def get_export_memory_manifests(self, lease: LeaseRef, memory_ids: list[str]) -> list[MemoryManifest]:
        """Chunk checksums of these memories."""

    @endpoint
    async def read_export_chunk(self, lease: LeaseRef, memory_id: str, index: Nat32) -> bytes:
        """One chunk of a memory's bytes."""

    @repeatable
    @endpoint
    async def provision_canister(self, lease: LeaseRef) -> ProvisionResult:
        """Creates the personal canister with cycles from the reserve; the same one when called again."""

    @endpoint
    async def start_over(self, lease: LeaseRef) -> bool:
        """Whether the module may be installed anew; else the canister is given up, and another one is needed."""

    @repeatable
    @endpoint
    async def verify_creation(self, lease: LeaseRef) -> VerificationReport:
        """Lets the backend judge the target's history, and compare both manifests, under the write lock."""

    @repeatable
    @endpoint
    async def complete_creation(self, lease: LeaseRef) -> DetailedCreationStatus:
        """Makes the creation final, after the backend judged the target's history up to the handoff."""

    @repeatable
    @endpoint
    async def fail_creation(self, lease: LeaseRef, error: CreationError) -> DetailedCreationStatus:
        """Records a failure; data and canister stay for a retry."""

    # Deprecated names of the creation methods

    @endpoint
    async def migrate_capsule(self) -> PersonalCanisterCreationResponse:
        """Deprecated name of `create_personal_canister`."""

    @endpoint
    async def get_migration_status(self) -> CreationStatusResponse | None:
        """Deprecated name of `get_creation_status`."""

    @endpoint
    async def get_detailed_migration_status(self) -> DetailedCreationStatus | None:
        """Deprecated name of `get_detailed_creation_status`."""

    @endpoint
    async def set_migration_enabled(self, enabled: bool) -> None:
        """Deprecated name of `set_personal_canister_creation_enabled`."""

    @endpoint
    async def get_migration_stats(self) -> PersonalCanisterCreationStats:
        """Deprecated name of `get_personal_canister_creation_stats`."""
