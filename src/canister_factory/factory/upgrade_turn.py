"""Whose turn it is at a canister that is being upgraded: one run's, until a time that is on record there.

What a run has sent may be executed after the run was killed, as long as its ingress expiry allows. So whatever a run
changes expires at the time on record at the latest, and another run waits until that is over.

Of the message that puts a time on record nothing is on record yet, and it writes all variables anew, as its sender saw
them. So it expires shortly after its sender has looked; and who has put a time on record waits until all such messages
have expired whose senders can have looked before, and goes on only if that time is there still (Fischer's mutual
exclusion; L. Lamport, "A Fast Mutual Exclusion Algorithm", 1987). Owns that time. Does not own: how far the upgrade is
(`upgrade_record`), and what is changed (`upgrading`).

Source: interface specification, "Authentication" (`ingress_expiry`).
"""

from __future__ import annotations

import asyncio
import secrets
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
UNRECORDED_NS = 20 * 10**9
"""How long after its sender has looked a message may be executed that changes variables in nobody's turn, by the
subnet's time.
"""


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
        self._alone_ns = 0
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
            if self._alone_ns:
                await self._be_alone()
            return self._seen_ns

    def ended(self) -> None:
        """The time was taken off the record: the next change begins another turn."""
        self._seen_ns = 0
        self._own_ns.clear()

    def _has_enough(self) -> bool:
        return self._seen_ns in self._own_ns and self._seen_ns - self._agent.clock() >= LEFT_NS

    async def _take(self) -> None:
        """Puts a new time on record, in the place of the one that is known: any other is another run's."""
        looked_ns = await self._now_ns()
        status = await self._own_status()
        if self._has_enough():
            return  # an attempt whose outcome wasn't known
        latest_ns = self._seen_ns
        if self._seen_ns not in self._own_ns or self._seen_ns < looked_ns + UNRECORDED_NS:
            latest_ns = looked_ns + UNRECORDED_NS
            self._alone_ns = latest_ns + UNRECORDED_NS
        # The subnet's time is the same for all who ask at once; the time on record says whose it is.
        until_ns = looked_ns + TURN_NS + secrets.randbelow(10**9)
        self._own_ns.add(until_ns)
        settings = CanisterSettings(environment_variables=changed(status.settings, {UNTIL: str(until_ns)}))
        await self._plain.update_settings(self._canister_id, settings, latest_ns=latest_ns)
        self._seen_ns = until_ns

    async def _own_status(self) -> CanisterStatus:
        status = await self.status()
        found_ns = until_in(status.settings)
        if found_ns != self._seen_ns and found_ns not in self._own_ns:
            raise UpgradeError(
                f"another run has gone on with the upgrade of {self._canister_id}, so this one stopped; the same "
                "command again shows how it ended",
                retry_helps=True,
            )
        self._seen_ns = found_ns
        return status

    async def _be_alone(self) -> None:
        """Waits until no message can be executed any more whose sender looked before this turn was on record."""
        said = False
        while (now_ns := await self._now_ns()) <= self._alone_ns:
            if not said:
                self._say("making sure that no other run has begun as well: 40 seconds")
            said = True
            await self._sleep((self._alone_ns - now_ns) / 1e9 + 0.1)
        await self._own_status()
        self._alone_ns = 0

    async def _now_ns(self) -> int:
        return await self._retry("read_state", certified_time_ns, self._agent, self._canister_id)


async def certified_time_ns(agent: Agent, canister_id: Principal) -> int:
    """The certified time of a canister's subnet, nanoseconds since 1970: no later than its present one.

    Raises:
        IcError: it can't be learnt.
    """
    return (await agent.read_state(canister_id, [[b"time"]])).time_ns
