"""Whose turn it is at a canister that is being upgraded: one run's, until a time that is on record there.

What a run has sent may be executed after the run was killed, as long as its ingress expiry allows. So whatever a run
changes expires at the time on record at the latest, and another run waits until that is over. Owns that time. Does not
own: how far the upgrade is (`upgrade_record`), and what is changed (`upgrading`).

Source: interface specification, "Authentication" (`ingress_expiry`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from canister_factory.candid.principal import Principal
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.retry import Retry, Sleep
from canister_factory.factory.upgrade_record import UNTIL, changed, until_in
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, CanisterStatus

TURN_NS = 120 * 10**9
"""How long a turn lasts, unless it is prolonged: what a run waits for after another one was killed."""
LEFT_NS = 60 * 10**9
"""What a change has at least to be executed in; a turn that has less left is prolonged before."""
_TAKING_NS = 30 * 10**9
"""What the message has that begins a turn, of which nothing is on record yet."""


class Turn:
    """One run's turn; it begins with the first change.

    Args:
        say: told what is waited for.
        sleep: waits for so many seconds.

    `management` makes changes, which can't be executed after the turn.
    """

    def __init__(
        self, agent: Agent, canister_id: Principal, retry: Retry, say: Callable[[str], None], sleep: Sleep
    ) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._retry = retry
        self._say = say
        self._sleep = sleep
        self._plain = ManagementCanister(agent)
        self._seen_ns = 0
        self._own_ns: set[int] = set()
        self._lock = asyncio.Lock()
        self.management = ManagementCanister(agent, self.latest_ns)

    def __repr__(self) -> str:
        return f"Turn({self._canister_id})"

    async def status(self) -> CanisterStatus:
        """The canister's present status."""
        return await self._retry("canister_status", self._plain.canister_status, self._canister_id)

    async def waited_for(self) -> CanisterStatus:
        """Waits until nothing that an earlier run has sent can be executed any more, by the time of the canister's
        subnet. The status since then.

        Raises:
            IcError: a call failed.
        """
        while True:
            now_ns = await self._now_ns()
            status = await self.status()
            until_ns = until_in(status.settings)
            if until_ns < now_ns:
                self._seen_ns = until_ns
                return status
            until = datetime.fromtimestamp(until_ns // 10**9 + 1, UTC)
            self._say(f"an earlier run's messages may still arrive: waiting until {until:%Y-%m-%d %H:%M:%S} UTC")
            await self._sleep((until_ns - now_ns) / 1e9 + 1)

    async def latest_ns(self) -> int:
        """Until when a change that is sent now may be executed, nanoseconds since 1970; this is on record.

        Raises:
            UpgradeError: it is another run's turn.
            IcError: a call failed.
        """
        async with self._lock:
            if not self._has_enough():
                await self._retry("update_settings", self._take)
            return self._seen_ns

    def ended(self) -> None:
        """The time was taken off the record: the next change begins another turn."""
        self._seen_ns = 0
        self._own_ns.clear()

    def _has_enough(self) -> bool:
        return self._seen_ns in self._own_ns and self._seen_ns - self._agent.clock() >= LEFT_NS

    async def _take(self) -> None:
        """Puts a new time on record, in the place of the one that is known: any other is another run's."""
        status = await self.status()
        found_ns = until_in(status.settings)
        if found_ns != self._seen_ns and found_ns not in self._own_ns:
            raise UpgradeError(
                f"another run has gone on with the upgrade of {self._canister_id}, so this one stopped; the same "
                "command again shows how it ended",
                retry_helps=True,
            )
        self._seen_ns = found_ns
        if self._has_enough():
            return  # an attempt whose outcome wasn't known
        now_ns = self._agent.clock()
        latest_ns = max(found_ns if found_ns in self._own_ns else 0, now_ns + _TAKING_NS)
        until_ns = now_ns + TURN_NS
        self._own_ns.add(until_ns)
        settings = CanisterSettings(environment_variables=changed(status.settings, {UNTIL: str(until_ns)}))
        await self._plain.update_settings(self._canister_id, settings, latest_ns=latest_ns)
        self._seen_ns = until_ns

    async def _now_ns(self) -> int:
        """The certified time of the canister's subnet: no later than its present one."""
        return (await self._retry("read_state", self._agent.read_state, self._canister_id, [[b"time"]])).time_ns
