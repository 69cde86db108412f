"""What a plan goes by, made up: an owner with a capsule on a backend with cycles, and one thing changed.

Owns the usual facts. Does not own: what follows from them (the tests).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import AlertLevel, ReserveSettings, ReserveStatus
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import (
    Admission,
    CreationLimits,
    CreationStatus,
    DetailedCreationStatus,
    PersonalCanisterSettings,
)
from canister_factory.factory.funding import DEAREST_PRICES
from canister_factory.factory.plan_facts import Canister, Content, Facts, Office, Stored
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.identity import Identity
from support import backend_script

OWNER = backend_script.OWNER
OPERATOR, STRANGER = (Identity.generate().sender() for _ in range(2))
CANISTER = Principal.from_str("rwlgt-iiaaa-aaaaa-aaaaa-cai")
NOW_NS = 10**18
T = 10**12
MODULE = personal_wasm().module_hash


def reserve(**changes: Any) -> ReserveStatus:
    """A reserve with 20 T available."""
    settings = ReserveSettings(**(SETTINGS | changes.pop("settings", {})))
    usual: dict[str, Any] = {
        "balance": 22 * T,
        "available": 20 * T,
        "in_flight": 0,
        "frozen": 0,
        "settings": settings,
        "total_consumed": 0,
        "spent_in_day": 0,
        "total_topped_up": 0,
        "alert_level": AlertLevel.Normal,
        "recommended_top_up": 0,
    }
    return ReserveStatus(**(usual | changes))


def office(**changes: Any) -> Office:
    """What an admin is told of a backend without creations."""
    usual = Office(
        reserve=reserve(),
        hosting=PersonalCanisterSettings(freezing_threshold=7_776_000, wasm_memory_limit=3 * 2**30),
        limits=CreationLimits(max_in_progress=100, max_per_hour=1_000),
        operators=frozenset({OPERATOR}),
        in_progress=0,
        attempts_in_hour=0,
        waiting=0,
        is_listed=False,
        request=None,
    )
    return replace(usual, **changes)


def facts(**changes: Any) -> Facts:
    """The operator looks at an owner with 5,000 bytes, who hasn't asked yet."""
    usual = Facts(
        caller=OPERATOR,
        owner=OWNER,
        now_ns=NOW_NS,
        creation=None,
        content=Content(5_000, 2, is_exact=True),
        enabled=True,
        admission=Admission.Open,
        releases=frozenset({MODULE}),
        office=office(),
    )
    return replace(usual, **changes)


def creation(status: CreationStatus, **changes: Any) -> DetailedCreationStatus:
    """The owner's creation; with a `canister_id` it is the operator's."""
    operators = [OPERATOR] if "canister_id" in changes else []
    return backend_script.creation(status).model_copy(update={"operators": operators} | changes)


def canister(module_hash: bytes | None = MODULE, **changes: Any) -> Canister:
    """The creation's, controlled by operator and owner."""
    return Canister(CanisterInfo((OPERATOR, OWNER), module_hash), **changes)


def stored(size: int, items: int = 1, **changes: Any) -> Stored:
    """So much of the capsule."""
    return Stored(size, items, **{"session": None, **changes})


SETTINGS: dict[str, Any] = {
    "threshold": 5 * T,
    "operating_minimum": 2 * T,
    "funded_days": 365,
    "prices": DEAREST_PRICES,
    "cycles_per_day": 200 * T,
}
