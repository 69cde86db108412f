"""How long a backend lives on its cycles: what `reserve status` and `doctor` say of it.

Owns where that is learnt, and the words. Does not own: the reckoning (`owner.life`), and the reserve (the backend).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from canister_factory.candid.binding import rfc3339
from canister_factory.cli import quantities
from canister_factory.cli.results import Check, Verdict, moment
from canister_factory.contract.errors import CreationRefused
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.life import dates

if TYPE_CHECKING:
    from canister_factory.contract.backend_client import BackendClient
    from canister_factory.ic.agent import Agent

_DAY_NS = 86_400 * 10**9
_SOON_DAYS = 30
_NOW_DAYS = 7


@dataclass(frozen=True, slots=True)
class BackendLife:
    """Cycles that a backend burns a day when nothing is done, and until when it takes updates, if it does nothing else.

    Nanoseconds since 1970, and whole days; `None` where nothing is burned. `is_reckoned`: by the backend, since the
    network tells its controllers only.
    """

    burned_per_day: int
    stops_ns: int | None
    days_left: int | None
    is_reckoned: bool

    def fields(self) -> dict[str, Any]:
        """As JSON: cycles as text, the time by RFC 3339."""
        return {
            "cycles_burned_per_day": str(self.burned_per_day),
            "stops": None if self.stops_ns is None else rfc3339(self.stops_ns),
            "days_left": self.days_left,
        }

    def rows(self) -> list[tuple[str, object]]:
        """As a person sees it."""
        about = "about " if self.is_reckoned else ""
        until = "never" if self.stops_ns is None else f"{moment(self.stops_ns)[:10]}, in {about}{self.days_left:,} days"
        return [("burns a day", f"{about}{quantities.cycles(self.burned_per_day)}"), ("stops", until)]

    def check(self, backend_id: object) -> Check:
        """As `doctor` judges it."""
        name = "backend's cycles"
        if self.days_left is None:
            return Check(name, Verdict.OK, "nothing is burned")
        burned = f"{quantities.cycles(self.burned_per_day)} a day"
        found = f"idle they last {self.days_left:,} days above the freezing threshold, at {burned}"
        if self.days_left >= _SOON_DAYS:
            return Check(name, Verdict.OK, found)
        verdict = Verdict.WARNING if self.days_left >= _NOW_DAYS else Verdict.FAILED
        return Check(name, verdict, found, f"send cycles to {backend_id}; 'reserve top-up' says how")


async def look(agent: Agent, backend: BackendClient) -> BackendLife:
    """Asks the network, which tells controllers; others the backend, which reckons by the dearest prices.

    Raises:
        CreationRefused: the caller has no role.
        IcError: a call failed.
    """
    try:
        status = await ManagementCanister(agent).canister_status(backend.canister_id, certified=False)
    except RejectedError:
        reserve = await backend.get_reserve_status()
        kept_days = (await backend.get_personal_canister_settings()).freezing_threshold / 86_400
        if reserve.frozen == 0 or kept_days == 0:
            return BackendLife(0, None, None, True)
        burned = int(reserve.frozen / kept_days)
        days = max(0, reserve.balance - reserve.frozen) // burned
        return BackendLife(burned, agent.clock() + days * _DAY_NS, days, True)
    stops, _, days_left = dates(status, agent.clock())
    return BackendLife(status.idle_cycles_burned_per_day, stops, days_left, False)


async def check(agent: Agent, backend: BackendClient) -> Check:
    """The check of `doctor`."""
    try:
        return (await look(agent, backend)).check(backend.canister_id)
    except CreationRefused:
        return Check("backend's cycles", Verdict.SKIPPED, "only admins and operators can see them")
