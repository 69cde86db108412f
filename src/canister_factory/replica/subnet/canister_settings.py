"""Settings of a canister from and to the management canister's records, with their limits.

Owns validation and the meaning of absent fields. Does not own who may change settings (`management`).

Source: interface specification, "IC method create_canister", "IC method update_settings".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from canister_factory.candid.numerals import shown
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.ic.request_id import hash_of_map
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import (
    MAX_CONTROLLERS,
    Audience,
    CanisterState,
    EnvironmentVariable,
    Settings,
    Visibility,
)
from canister_factory.replica.subnet.cycles import Prices

MAX_VIEWERS = 10
MAX_ENVIRONMENT_VARIABLES = 20
MAX_ENVIRONMENT_TEXT = 128
MAX_LOG_MEMORY = 2 << 20
_UPPER_BOUNDS = {
    "compute_allocation": 100,
    "memory_allocation": 1 << 48,
    "freezing_threshold": (1 << 64) - 1,
    "reserved_cycles_limit": (1 << 128) - 1,
    "log_memory_limit": MAX_LOG_MEMORY,
    "minimum_incoming_canister_call_cycles": (1 << 128) - 1,
    "wasm_memory_limit": 1 << 48,
    "wasm_memory_threshold": 1 << 48,
}
_VISIBILITIES = ("log_visibility", "status_visibility", "snapshot_visibility")


def _invalid(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_ERROR, f"Could not validate the settings: {problem}", "IC0504")


def changed_settings(current: Settings, record: dict[str, Any] | None) -> Settings:
    """The settings after applying a `settings` record, whose absent fields keep what is.

    Raises:
        CanisterError: IC0504, a value is over its limit.
    """
    given = {name: value for name, value in (record or {}).items() if value is not None}
    for name, bound in _UPPER_BOUNDS.items():
        if name in given and given[name] > bound:
            raise _invalid(f"{name} is {shown(given[name])}, the largest possible value is {bound}.")
    if "controllers" in given:
        given["controllers"] = _principals("controllers", given["controllers"], MAX_CONTROLLERS)
    for name in _VISIBILITIES:
        if name in given:
            given[name] = _visibility(name, given[name])
    if "environment_variables" in given:
        given["environment_variables"] = _environment(given["environment_variables"])
    return replace(current, **given)


def require_wasm_memory(settings: Settings, size_bytes: int) -> None:
    """Refuses a `wasm_memory_limit` that the canister's memory is over already.

    Raises:
        CanisterError: IC0504, it is.
    """
    if 0 < settings.wasm_memory_limit < size_bytes:
        raise _invalid(
            f"wasm_memory_limit is {settings.wasm_memory_limit} bytes, the canister's Wasm memory has {size_bytes}."
        )


def _principals(name: str, values: list[Principal], limit: int) -> tuple[bytes, ...]:
    if len(values) > limit:
        raise _invalid(f"{len(values)} {name} given, at most {limit} are allowed.")
    return tuple(dict.fromkeys(value.bytes for value in values))


def _visibility(name: str, case: Case) -> Visibility:
    audience = Audience(case.tag)
    viewers = _principals(f"{name} viewers", case.value, MAX_VIEWERS) if audience is Audience.ALLOWED_VIEWERS else ()
    return Visibility(audience, viewers)


def _environment(variables: list[dict[str, str]]) -> tuple[EnvironmentVariable, ...]:
    if len(variables) > MAX_ENVIRONMENT_VARIABLES:
        raise _invalid(f"{len(variables)} environment variables given, at most {MAX_ENVIRONMENT_VARIABLES} allowed.")
    for variable in variables:
        for part in ("name", "value"):
            if len(variable[part].encode()) > MAX_ENVIRONMENT_TEXT:
                raise _invalid(
                    f"the {part} of environment variable {variable['name'][:40]!r} is longer than "
                    f"{MAX_ENVIRONMENT_TEXT} bytes."
                )
    if len({variable["name"] for variable in variables}) < len(variables):
        raise _invalid("two environment variables have the same name.")
    return tuple(EnvironmentVariable(variable["name"], variable["value"]) for variable in variables)


def require_affordable(canister: CanisterState, before: Settings, prices: Prices) -> None:
    """Refuses a larger allocation than the canister, with its new settings, can keep without being frozen.

    Raises:
        CanisterError: IC0530, the compute allocation; IC0531, the memory allocation.
    """
    after = canister.settings
    missing = canister.freezing_threshold_cycles(prices) - canister.balance
    for name, error_code in (("compute_allocation", "IC0530"), ("memory_allocation", "IC0531")):
        if missing > 0 and getattr(after, name) > getattr(before, name):
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Cannot increase {name.replace('_', ' ')} to {getattr(after, name)} due to insufficient cycles. "
                f"At least {missing} additional cycles are required.",
                error_code,
            )


def environment_hash(record: dict[str, Any] | None) -> bytes | None:
    """The hash of the environment variables in a `settings` record, for the history; None: there is no such field."""
    variables = (record or {}).get("environment_variables")
    return None if variables is None else hash_of_map({item["name"]: item["value"] for item in variables})


def settings_record(settings: Settings) -> dict[str, Any]:
    """The record that `canister_status` reports."""
    record: dict[str, Any] = {name: getattr(settings, name) for name in _UPPER_BOUNDS}
    record["controllers"] = [Principal(controller) for controller in settings.controllers]
    for name in _VISIBILITIES:
        visibility: Visibility = getattr(settings, name)
        viewers = [Principal(viewer) for viewer in visibility.viewers]
        listed = visibility.audience is Audience.ALLOWED_VIEWERS
        record[name] = Case(visibility.audience.value, viewers if listed else None)
    record["environment_variables"] = [
        {"name": variable.name, "value": variable.value} for variable in settings.environment_variables
    ]
    return record
