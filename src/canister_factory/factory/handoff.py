"""What a personal canister is set to when it becomes its owner's, and how that reads later.

Owns the values. Does not own: sending them (`personal_canister`).

An operator could have set any of these before, and none is in the canister's history. So all are set, in the very
change that leaves the owner as the only controller: nothing can come in between. Environment variables are left as they
are, since the owner may have set some; those that upgrades read are deleted before (`personal_canister`). Source:
interface specification, "IC method create_canister", settings.
"""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.upgrade_record import OURS
from canister_factory.ic.management_types import Audience, CanisterSettings, EffectiveSettings

_CONTROLLERS = Audience(controllers=None)
RESERVED_CYCLES_LIMIT = 5_000_000_000_000
"""Cycles that may be reserved for memory on a subnet that fills up: what the network sets unless told otherwise."""
LOG_MEMORY_LIMIT = 4_096
"""Bytes of log that are kept: what the network sets unless told otherwise."""


def handoff_settings(
    owner: Principal, hosting: PersonalCanisterSettings, viewer: Principal | None = None
) -> CanisterSettings:
    """All settings, but for the environment variables, which stay.

    `hosting` has the freezing threshold (seconds) and the limit of the Wasm memory (bytes) of new canisters, as the
    backend's admins set them. `viewer`: the backend, where the owner lets it see the status.
    """
    return CanisterSettings(
        controllers=[owner],
        compute_allocation=0,
        memory_allocation=0,
        freezing_threshold=hosting.freezing_threshold,
        reserved_cycles_limit=RESERVED_CYCLES_LIMIT,
        minimum_incoming_canister_call_cycles=0,
        wasm_memory_limit=hosting.wasm_memory_limit,
        wasm_memory_threshold=0,
        log_memory_limit=LOG_MEMORY_LIMIT,
        log_visibility=_CONTROLLERS,
        status_visibility=_CONTROLLERS if viewer is None else Audience(allowed_viewers=[viewer]),
        snapshot_visibility=_CONTROLLERS,
    )


_NOT_COMPARED = {"controllers", "environment_variables", "freezing_threshold", "wasm_memory_limit"}


def changed_settings(found: EffectiveSettings | CanisterSettings, viewer: Principal | None = None) -> list[str]:
    """The settings, in force or kept, that aren't those of a handoff, each as `name value`; not the controllers.

    `viewer`: whom the owner lets see the status. It may have been taken from the list since, or never have come onto
    it, where the network has no such setting.

    Freezing threshold and memory limit are the admins' choice at the time, so they aren't compared. Nor is a setting
    that the network doesn't tell.

    Of the environment variables only those of an upgrade are told: the owner's next one would go on from them.
    """
    hosting = PersonalCanisterSettings(freezing_threshold=0, wasm_memory_limit=0)
    expected = handoff_settings(Principal.management_canister(), hosting)
    seen_by_viewer = Audience(allowed_viewers=[viewer]) if viewer is not None else None
    compared = [name for name in CanisterSettings.model_fields if name not in _NOT_COMPARED]
    changed = [
        f"{name} {_shown(getattr(found, name))}"
        for name in compared
        if getattr(found, name) not in (None, getattr(expected, name))
        and not (name == "status_visibility" and found.status_visibility == seen_by_viewer)
    ]
    variables = [each.name for each in found.environment_variables or () if each.name.startswith(OURS)]
    return changed + [f"environment variable {name}" for name in variables]


def _shown(value: int | Audience) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return value.tag if value.value is None else f"{value.tag} {', '.join(map(str, value.value))}"
