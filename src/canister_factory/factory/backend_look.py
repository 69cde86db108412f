"""What whoever watches a worker wants to know of its backend: by queries, which cost no cycles and change nothing.

Owns which questions these are, and what follows from the answers. Does not own: when to ask, and how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import ConsumptionReport, ReserveStatus
from canister_factory.contract.artifacts import compatible
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest
from canister_factory.ic.task_group import task_group

WINDOW_DAYS: Final = 7
"""Days of consumption from which the reserve's days are reckoned."""

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class BackendLook:
    """A backend as one of its staff sees it. Of one that is not compatible nothing more is known than its version.

    `is_operator`: the caller may run creations. `creations`: how many are on record, by status.
    """

    api_version: str
    is_operator: bool = False
    creations: Mapping[CreationStatus, int] = field(default_factory=dict)
    consumption: ConsumptionReport | None = None
    """Of the last `WINDOW_DAYS`."""

    @property
    def is_compatible(self) -> bool:
        """Whether the backend's API is one that this version speaks."""
        return compatible(self.api_version)

    @property
    def reserve(self) -> ReserveStatus | None:
        """The reserve at that moment."""
        return None if self.consumption is None else self.consumption.reserve

    @property
    def reserve_days(self) -> float | None:
        """For how many days the available cycles last at the pace of the window; `None` when nothing was consumed."""
        report = self.consumption
        if report is None or report.consumed_in_window == 0:
            return None
        return report.reserve.available * WINDOW_DAYS / report.consumed_in_window


async def look_at_backend(backend: BackendClient, caller: Principal) -> BackendLook:
    """Asks the backend.

    Raises:
        CreationRefused: the caller is neither operator nor admin.
        ContractError: the backend answers in an unknown form.
        IcError: a call failed.
    """
    version = await backend.get_api_version()
    if not compatible(version):
        return BackendLook(version)
    async with task_group() as group:
        consumption = group.create_task(backend.get_consumption_report(WINDOW_DAYS * _DAY_NS))
        operators = group.create_task(backend.list_operators())
        totals = {status: group.create_task(_total(backend, status)) for status in CreationStatus}
    counted = {status: task.result() for status, task in totals.items()}
    return BackendLook(version, caller in operators.result(), counted, consumption.result())


async def _total(backend: BackendClient, status: CreationStatus) -> int:
    return (await backend.get_creation_states_by_status(status, OwnerPageRequest(limit=1))).total
