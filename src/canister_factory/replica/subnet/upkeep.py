"""What a round does without any message: due timers and heartbeats, the price of storage, statuses to forget.

Owns when these are due. Does not own executing the tasks (`calls`) or when a round happens (`node.rounds`).
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import SECOND_NS
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.install import run_out
from canister_factory.replica.subnet.messages import SystemTask
from canister_factory.replica.subnet.state import Listeners, SubnetState

HEARTBEAT_INTERVAL_NS = SECOND_NS
STORAGE_INTERVAL_NS = 10 * SECOND_NS
STATUS_RETENTION_NS = 300 * SECOND_NS


class Upkeep:
    """The periodic work of one subnet, at its state's time."""

    def __init__(self, state: SubnetState, calls: Calls, prices: Prices, listeners: Listeners) -> None:
        self._state = state
        self._calls = calls
        self._prices = prices
        self._listeners = listeners

    def run(self, *, with_tasks: bool = True) -> bool:
        """Does what is due, timers and heartbeats only `with_tasks`; whether that changed anything."""
        forgotten = self._forget_statuses()
        charged = self._charge_storage()
        scheduled = with_tasks and self._schedule_tasks()
        return forgotten or charged or scheduled

    def next_wakeup_ns(self) -> int | None:
        """When the next round has something to do though no message arrives: timer, heartbeat, deadline."""
        due = [self._calls.deadlines.next_ns]
        for canister in self._state.canisters.values():
            if canister.stop_waiters:
                due.append(min(waiter.deadline_ns for waiter in canister.stop_waiters))
            module = canister.module
            if module is None or canister.id in self._state.begun or not self._calls.can_run_tasks(canister):
                continue
            if canister.global_timer_ns and module.has(Entry.GLOBAL_TIMER):
                due.append(canister.global_timer_ns)
            if module.has(Entry.HEARTBEAT):
                due.append(canister.last_heartbeat_ns + HEARTBEAT_INTERVAL_NS)
        return min((time_ns for time_ns in due if time_ns is not None), default=None)

    def _schedule_tasks(self) -> bool:
        now = self._state.time_ns
        scheduled = False
        for canister in self._state.canisters.values():
            module = canister.module
            if module is None or canister.id in self._state.begun:
                continue
            timer_due = module.has(Entry.GLOBAL_TIMER) and 0 < canister.global_timer_ns <= now
            heartbeat_due = module.has(Entry.HEARTBEAT) and canister.last_heartbeat_ns + HEARTBEAT_INTERVAL_NS <= now
            if not (timer_due or heartbeat_due) or not self._calls.can_run_tasks(canister):
                continue
            scheduled = True
            if heartbeat_due:
                canister.last_heartbeat_ns = now
                self._state.queue.append(SystemTask(canister.id, Entry.HEARTBEAT))
            if timer_due:
                canister.global_timer_ns = 0
                self._state.queue.append(SystemTask(canister.id, Entry.GLOBAL_TIMER))
        return scheduled

    def _charge_storage(self) -> bool:
        state = self._state
        elapsed = state.time_ns - state.storage_charged_ns
        if elapsed < STORAGE_INTERVAL_NS:
            return False
        first_round = state.storage_charged_ns == 0
        state.storage_charged_ns = state.time_ns
        if first_round:
            return True
        for canister in state.canisters.values():
            cost = canister.storage_cost(self._prices, elapsed)
            exhausted = canister.balance < cost
            compute = self._prices.of_storage(0, canister.settings.compute_allocation, elapsed)
            state.consume(canister, compute, "compute_allocation")
            state.consume(canister, cost - compute, "memory")
            something = canister.module is not None or canister.snapshots or canister.settings.has_allocations
            if exhausted and something and canister.id not in state.begun:
                run_out(canister, self._calls, state)
                self._listeners.canister_changed(canister.id)
        return True

    def _forget_statuses(self) -> bool:
        """Statuses are in order of arrival; expiries are minutes apart at most: a recent one ends the search."""
        state = self._state
        forgotten = []
        for request_id, status in state.statuses.items():
            if status.expiry_ns + STATUS_RETENTION_NS > state.time_ns:
                break
            if status.response is not None:
                forgotten.append(request_id)
        for request_id in forgotten:
            del state.statuses[request_id]
            self._listeners.request_status(request_id, None)
        return bool(forgotten)
