"""Changes of a canister's code and controllers, as `canister_info` reports them.

Owns the entries and their Candid form. Does not own when one is made (`management`).

Source: interface specification, "Canister history".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case


@dataclass(frozen=True, slots=True)
class LoadedSnapshot:
    """The snapshot that was loaded. `owner`: the canister that it is of, where that is another one."""

    id: bytes
    owner: bytes | None
    canister_version: int
    taken_at_ns: int
    uploaded: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One entry. `actor` is the principal that made the change, `actor_version` the version that it stated."""

    timestamp_ns: int
    canister_version: int
    actor: bytes
    from_canister: bool
    actor_version: int | None
    kind: str  # creation, code_uninstall, code_deployment, controllers_change or load_snapshot
    controllers: tuple[bytes, ...] = ()
    environment_hash: bytes | None = None  # of a creation with environment variables
    mode: str = ""
    module_hash: bytes = b""
    snapshot: LoadedSnapshot | None = None


def change_record(change: Change) -> dict[str, Any]:
    """The `change` record of `canister_info`."""
    actor = Principal(change.actor)
    if change.from_canister:
        origin = Case("from_canister", {"canister_id": actor, "canister_version": change.actor_version})
    else:
        origin = Case("from_user", {"user_id": actor})
    details: dict[str, Any] | None
    match change.kind:
        case "code_uninstall":
            details = None
        case "code_deployment":
            details = {"mode": Case(change.mode), "module_hash": change.module_hash}
        case "load_snapshot":
            details = _loading(change.snapshot)
        case "creation":
            controllers = [Principal(controller) for controller in change.controllers]
            details = {"controllers": controllers, "environment_variables_hash": change.environment_hash}
        case _:
            details = {"controllers": [Principal(controller) for controller in change.controllers]}
    return {
        "timestamp_nanos": change.timestamp_ns,
        "canister_version": change.canister_version,
        "origin": origin,
        "details": Case(change.kind, details),
    }


def _loading(snapshot: LoadedSnapshot | None) -> dict[str, Any]:
    assert snapshot is not None, "an entry of a loaded snapshot names it"
    return {
        "snapshot_id": snapshot.id,
        "from_canister_id": None if snapshot.owner is None else Principal(snapshot.owner),
        "canister_version": snapshot.canister_version,
        "taken_at_timestamp": snapshot.taken_at_ns,
        "source": snapshot_source(uploaded=snapshot.uploaded),
    }


def snapshot_source(*, uploaded: bool) -> Case:
    """Where a snapshot came from, as the interface says it."""
    return Case("metadata_upload" if uploaded else "taken_from_canister")
