"""What admins of a backend set and read: reserve, consumption, alerts, the error log, the init argument.

Owns their Python form; a test compares it with the `.did`. Does not own: creations (`creation_models`).
"""

from __future__ import annotations

from canister_factory.candid.binding import Blob, CandidEnum, CandidModel, Nat, Nat32, Nat64, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import Admission, CreationError, CreationLimits, PersonalCanisterSettings
from canister_factory.contract.quota_models import Quotas


class PriceTable(CandidModel):
    """What a network charges, in cycles, on the subnet where canisters are created."""

    network: str
    """Which one; `any`: these prices are the dearest known."""
    creation: Nat
    installation: Nat
    """What a canister must be able to pay for when a module is installed; most of it stays."""
    import_base: Nat
    """What installing and an import without contents take."""
    import_byte: Nat
    """What each byte of the contents takes on its way."""
    idle_second: Nat
    gib_second: Nat


class ReserveSettings(CandidModel):
    """The reserve's settings; amounts in cycles."""

    threshold: Nat
    operating_minimum: Nat
    funded_days: Nat
    """How long a new canister takes updates, before its freezing threshold."""
    prices: PriceTable
    cycles_per_day: Nat
    """What creations may take and hold, together, within 24 hours."""


class AlertLevel(CandidEnum):
    """How low the reserve is."""

    Normal = "Normal"
    Warning = "Warning"
    Critical = "Critical"


class ReserveStatus(CandidModel):
    """The reserve, in cycles."""

    balance: Nat
    available: Nat
    in_flight: Nat
    frozen: Nat
    """Under this balance the backend is frozen: an estimate from its memory, by the prices."""
    settings: ReserveSettings
    total_consumed: Nat
    spent_in_day: Nat
    """Of `cycles_per_day`."""
    total_topped_up: Nat
    """At least: deposits are seen as a rise of the balance, less the running costs until then."""
    alert_level: AlertLevel
    recommended_top_up: Nat


class ConsumptionEntry(CandidModel):
    """Cycles that one attempt attached and got back."""

    id: Nat64
    at: TimeNs
    owner: Principal
    canister_id: Principal | None = None
    attached: Nat
    refunded: Nat


class ConsumptionReport(CandidModel):
    """Consumption within a window."""

    reserve: ReserveStatus
    window_ns: Nat64
    consumed_in_window: Nat
    creations_in_window: Nat64
    recommendation: str


class ConsumptionPage(CandidModel):
    """A page of the consumption log."""

    items: list[ConsumptionEntry]
    next: Nat64 | None = None


class NumberedPageRequest(CandidModel):
    """`after`: the last id of the page before; newest first; default 100, at most 1,000."""

    after: Nat64 | None = None
    limit: Nat32 | None = None


class AuditEntry(CandidModel):
    """What an admin did: the method, and its arguments as text."""

    id: Nat64
    at: TimeNs
    by: Principal
    method: str
    what: str


class AuditPage(CandidModel):
    """A page of what admins did, newest first."""

    items: list[AuditEntry]
    next: Nat64 | None = None


class NotificationKind(CandidEnum):
    """What admins are notified of."""

    ReserveWarning = "ReserveWarning"
    ReserveCritical = "ReserveCritical"
    CreationFailed = "CreationFailed"
    DepositUnknown = "DepositUnknown"
    CanisterExpires = "CanisterExpires"


class Notification(CandidModel):
    """A message to the admins. `subject`: the owner or the canister that it is about; `until`: when the cycles of that
    canister end, of `CanisterExpires`.
    """

    id: Nat64
    at: TimeNs
    kind: NotificationKind
    subject: Principal | None = None
    until: TimeNs | None = None
    message: str
    acknowledged_by: Principal | None = None


class NotificationPage(CandidModel):
    """A page of notifications."""

    items: list[Notification]
    next: Nat64 | None = None


class ErrorLogEntry(CandidModel):
    """A failure in the log."""

    id: Nat64
    at: TimeNs
    owner: Principal | None = None
    error: CreationError


class ErrorLogPage(CandidModel):
    """A page of the error log."""

    items: list[ErrorLogEntry]
    next: Nat64 | None = None


class ErrorRate(CandidModel):
    """Attempts and failures within a window."""

    window_ns: Nat64
    attempts: Nat64
    failures: Nat64


class BackendInventory(CandidModel):
    """What a backend holds; `canisters`: in its registry; `root`: the hash that the contract defines."""

    capsules: Nat64
    memories: Nat64
    canisters: Nat64
    creations: Nat64
    open_creations: Nat64
    root: Blob


class BackendInit(CandidModel):
    """The backend's init argument; `admins` besides installer and controllers; what is left out has a default."""

    admins: list[Principal] | None = None
    operators: list[Principal] | None = None
    reserve: ReserveSettings | None = None
    creation_enabled: bool | None = None
    limits: CreationLimits | None = None
    quotas: Quotas | None = None
    personal_canister_settings: PersonalCanisterSettings | None = None
    admission: Admission | None = None
