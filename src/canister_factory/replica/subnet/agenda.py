"""Which canisters want something at which time, so that a round looks at those alone, however many there are.

Owns what canisters want, and the order of time. Derived from the canisters, so that no checkpoint stores it. Does not
own what is done about it (`upkeep`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.cycles import SECOND_NS
from canister_factory.replica.subnet.state import SubnetState

HEARTBEAT_INTERVAL_NS = SECOND_NS
_STALE_ENTRIES_KEPT = 64


def stop_deadline_ns(canister: CanisterState) -> int | None:
    """When the first of those who wait for its stop has waited too long."""
    return min((waiter.deadline_ns for waiter in canister.stop_waiters), default=None)


def next_task_ns(canister: CanisterState) -> int | None:
    """When its timer or its next heartbeat is due, whether or not it can run then."""
    module = canister.module
    if module is None:
        return None
    due = []
    if canister.global_timer_ns and module.has(Entry.GLOBAL_TIMER):
        due.append(canister.global_timer_ns)
    if module.has(Entry.HEARTBEAT):
        due.append(canister.last_heartbeat_ns + HEARTBEAT_INTERVAL_NS)
    return min(due, default=None)


class Agenda:
    """One kind of wish of a state's canisters.

    Args:
        state: whose canisters.
        wanted_ns: when a canister wants it next, nanoseconds since 1970; None: it doesn't. Whoever may have made that
            earlier calls `note`; that it is later or gone by now is found out when the time has come.
    """

    def __init__(self, state: SubnetState, wanted_ns: Callable[[CanisterState], int | None]) -> None:
        self._state = state
        self._wanted_ns = wanted_ns
        self._noted: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []  # with entries that `_noted` has replaced by earlier ones
        self.rebuild()

    def __repr__(self) -> str:
        return f"<Agenda canisters={len(self._noted)} next_ns={self.next_ns}>"

    def rebuild(self) -> None:
        """Starts over from the state, which was replaced."""
        self._noted.clear()
        self._heap.clear()
        for canister in self._state.canisters.values():
            self.note(canister)

    def note(self, canister: CanisterState) -> None:
        """Takes note of what a canister wants now."""
        wanted_ns = self._wanted_ns(canister)
        if wanted_ns is None:
            return
        noted_ns = self._noted.get(canister.id)
        if noted_ns is None or wanted_ns < noted_ns:
            self._noted[canister.id] = wanted_ns
            heapq.heappush(self._heap, (wanted_ns, canister.id))
            if len(self._heap) > 2 * len(self._noted) + _STALE_ENTRIES_KEPT:
                self._heap = [(time_ns, canister_id) for canister_id, time_ns in self._noted.items()]
                heapq.heapify(self._heap)

    @property
    def next_ns(self) -> int | None:
        """The earliest time at which a canister may want something; None: none does."""
        while self._heap:
            wanted_ns, canister_id = self._heap[0]
            canister = self._state.canisters.get(canister_id)
            if self._noted.get(canister_id) != wanted_ns:
                heapq.heappop(self._heap)
            elif canister is None or self._wanted_ns(canister) != wanted_ns:
                self._take_first()
                if canister is not None:
                    self.note(canister)
            else:
                return wanted_ns
        return None

    def take_due(self, now_ns: int) -> list[CanisterState]:
        """The canisters whose time has come, in the order of their ids. Those that go on wanting are to be noted."""
        due = []
        while (next_ns := self.next_ns) is not None and next_ns <= now_ns:
            due.append(self._state.canisters[self._take_first()])
        return sorted(due, key=lambda canister: canister.id)

    def _take_first(self) -> bytes:
        _, canister_id = heapq.heappop(self._heap)
        del self._noted[canister_id]
        return canister_id
