"""A look at a backend, as a worker's metrics and readiness are made of."""

from __future__ import annotations

from typing import Any

from canister_factory.contract.admin_models import AlertLevel, ConsumptionReport, ReserveStatus
from canister_factory.contract.artifacts import API_VERSION
from canister_factory.contract.creation_models import CreationStatus, OpenRequest
from canister_factory.factory.backend_look import BackendLook
from support.backend_script import OWNER
from support.reserve_figures import RESERVE

T = 10**12


def reserve(available: int = 8 * T, level: AlertLevel = AlertLevel.Normal) -> ReserveStatus:
    return ReserveStatus(
        balance=available + 2 * T,
        available=available,
        in_flight=0,
        frozen=0,
        settings=RESERVE,
        total_consumed=3 * T,
        spent_in_day=0,
        total_topped_up=0,
        alert_level=level,
        recommended_top_up=0,
    )


def consumption(
    available: int = 8 * T, consumed: int = 7 * T, level: AlertLevel = AlertLevel.Normal
) -> ConsumptionReport:
    """A report of a week."""
    return ConsumptionReport(
        reserve=reserve(available, level),
        window_ns=7 * 86_400 * 10**9,
        consumed_in_window=consumed,
        creations_in_window=3,
        recommendation="",
    )


def look(*, is_operator: bool = True, api_version: str = API_VERSION, **report: Any) -> BackendLook:
    return BackendLook(api_version, is_operator, {CreationStatus.Completed: 41}, consumption(**report))


def open_request(requested_at: int = 0) -> OpenRequest:
    """A request that nobody has."""
    return OpenRequest(owner=OWNER, status=CreationStatus.NotStarted, requested_at=requested_at)
