"""The history of a canister, as the management canister tells it and a personal canister passes it on.

Owns its Python form; a test compares it with the `.did`. Does not own: what a history must be (`factory.history`).

Source: interface specification, "IC method canister_info".
"""

from __future__ import annotations

from canister_factory.candid.binding import Blob, CandidEnum, CandidModel, CandidVariant, Nat64, TimeNs, Unit
from canister_factory.candid.principal import Principal
from canister_factory.ic.management_snapshot_types import SnapshotSource


class FromUser(CandidModel):
    """A user made the change."""

    user_id: Principal


class FromCanister(CandidModel):
    """A canister made the change; its version then, where that is known."""

    canister_id: Principal
    canister_version: Nat64 | None = None


class ChangeOrigin(CandidVariant):
    """Whoever made a change."""

    from_user: FromUser | None = None
    from_canister: FromCanister | None = None


class Created(CandidModel):
    """The canister came to be, with these controllers."""

    controllers: list[Principal]
    environment_variables_hash: Blob | None = None


class DeploymentMode(CandidEnum):
    """How code came into a canister."""

    install = "install"
    reinstall = "reinstall"
    upgrade = "upgrade"


class CodeDeployed(CandidModel):
    """A module was installed; its SHA-256."""

    mode: DeploymentMode
    module_hash: Blob


class ControllersChanged(CandidModel):
    """These control the canister from then on."""

    controllers: list[Principal]


class SettingsChanged(CandidModel):
    """Settings were changed; `controllers` where they are among them."""

    controllers: list[Principal] | None = None
    environment_variables_hash: Blob | None = None


class SnapshotLoaded(CandidModel):
    """The canister became what a snapshot holds, of another canister where that is named."""

    snapshot_id: Blob
    from_canister_id: Principal | None = None
    canister_version: Nat64
    taken_at_timestamp: TimeNs
    source: SnapshotSource


class RenamedTo(CandidModel):
    """The canister id that another one took over, as it was then."""

    canister_id: Principal
    version: Nat64
    total_num_changes: Nat64


class Renamed(CandidModel):
    """The canister got another id."""

    canister_id: Principal
    total_num_changes: Nat64
    rename_to: RenamedTo
    requested_by: Principal


class ChangeDetails(CandidVariant):
    """What was changed."""

    creation: Created | None = None
    code_deployment: CodeDeployed | None = None
    code_uninstall: Unit = None
    controllers_change: ControllersChanged | None = None
    settings_change: SettingsChanged | None = None
    load_snapshot: SnapshotLoaded | None = None
    rename_canister: Renamed | None = None


class CanisterChange(CandidModel):
    """One change; `None` for an origin or details of a kind that came up later than this contract."""

    timestamp_nanos: TimeNs
    canister_version: Nat64
    origin: ChangeOrigin | None = None
    details: ChangeDetails | None = None


class CanisterHistory(CandidModel):
    """The latest changes, oldest first, and how many there ever were; controllers and module as they are now."""

    total_num_changes: Nat64
    recent_changes: list[CanisterChange]
    module_hash: Blob | None = None
    controllers: list[Principal]
