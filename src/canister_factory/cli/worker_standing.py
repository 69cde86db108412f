"""How a worker stands at this moment: whether its loop turns, whether it could run a creation, what it waits for.

Owns what follows from the loop's events and from looks at the backend. Does not own: these (`factory`), metrics
(`worker_metrics`), and who is told (`worker_http`, `worker_report`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from canister_factory.contract.artifacts import API_VERSION
from canister_factory.contract.creation_models import OpenRequest
from canister_factory.factory.backend_look import BackendLook
from canister_factory.factory.worker_events import Looked, Unlisted, WorkerEvent
from canister_factory.ic.foreign_text import quoted

PATIENCE_SECONDS: Final = 900.0
"""Besides three pauses between looks: a loop that has not turned for so long hangs. A look at a network that answers
nothing ends sooner."""

OK: Final = "ok"
UNKNOWN: Final = "not known yet"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a worker needs to run a creation: each is `OK`, or says what is wrong."""

    network: str
    role: str
    backend: str

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return self.network == self.role == self.backend == OK


class Standing:
    """What is known of one worker.

    Args:
        idle_seconds: the pause between two looks of its loop.
        running: how many creations it has taken at this moment.
        back: told, after an outage of the network, how many seconds it lasted.
        clock: seconds, of whatever beginning.
        now_ns: the network's time, nanoseconds since 1970.
    """

    def __init__(
        self,
        idle_seconds: float,
        running: Callable[[], int],
        *,
        back: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._patience = PATIENCE_SECONDS + 3 * idle_seconds
        self._running = running
        self._back = back
        self._clock = clock
        self._now_ns = now_ns
        self._turned_at = clock()
        self._out_since: float | None = None
        self._role = self._backend = self._network = UNKNOWN
        self.open: tuple[OpenRequest, ...] = ()
        self.ours = 0
        self.look: BackendLook | None = None
        """The last look at the backend that succeeded; `None` when the latest failed."""

    def __repr__(self) -> str:
        return f"Standing({self.readiness}, {len(self.open)} open, {self.running} running)"

    # --- What happens ---

    def event(self, event: WorkerEvent) -> None:
        """The loop's hook."""
        if isinstance(event, Looked):
            self._turned_at = self._clock()
            self.open, self.ours = event.requests, event.ours
            self._reached()
        elif isinstance(event, Unlisted):
            self._turned_at = self._clock()
            self.unreachable(event.reason)

    def unreachable(self, reason: str) -> None:
        """The network or the backend gave no answer."""
        if self._out_since is None:
            self._out_since = self._clock()
        self._network = f"no answer: {quoted(reason)}"

    def looked(self, look: BackendLook) -> None:
        """A look at the backend succeeded."""
        self.look = look
        self._role = OK if look.is_operator else "the identity is not an operator of the backend"
        version = quoted(look.api_version, 40)
        self._backend = OK if look.is_compatible else f"API version {version}, this version needs {API_VERSION}"

    def refused(self, reason: str) -> None:
        """The backend refuses what it tells its staff."""
        self.look, self._role = None, quoted(reason)

    def unknown(self) -> None:
        """A look at the backend failed: what was known of it may not be true any more."""
        self.look = None

    def _reached(self) -> None:
        self._network = OK
        if self._out_since is not None:
            seconds, self._out_since = self._clock() - self._out_since, None
            self._back(seconds)

    # --- What is known ---

    @property
    def readiness(self) -> Readiness:
        """Whether it could run a creation, as far as its last looks say."""
        return Readiness(self._network, self._role, self._backend)

    @property
    def is_turning(self) -> bool:
        """Whether the loop has looked, or tried to, within the time that a look takes at most."""
        return self._clock() - self._turned_at <= self._patience

    @property
    def running(self) -> int:
        """How many creations it has taken at this moment."""
        return self._running()

    @property
    def outage_seconds(self) -> float | None:
        """For how long the network has given no answer; `None` when the last one was given."""
        return None if self._out_since is None else self._clock() - self._out_since

    @property
    def oldest_seconds(self) -> float | None:
        """The age of the oldest open request, whoever may run it; `None` without any."""
        if not self.open:
            return None
        oldest = min(request.requested_at for request in self.open)
        return max(0, self._now_ns() - oldest) / 1e9

    @property
    def waits_for(self) -> str:
        """What a worker that runs nothing waits for."""
        if self._network != OK:
            return "the network"
        if not self.open:
            return "requests"
        # Of ours each was tried after the last look, and left open.
        return "an admin, or the next day's budget" if self.ours else "other workers and operators"
