"""What a round does without any message: due timers and heartbeats, the price of storage, statuses to forget.

Owns when these are due. Does not own executing the tasks (`calls`) or when a round happens (`node.rounds`).
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.subnet import stopping
from canister_factory.replica.subnet.agenda import HEARTBEAT_INTERVAL_NS, next_task_ns
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.cycles import SECOND_NS, Prices, share_between
from canister_factory.replica.subnet.install import run_out
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import SystemTask
from canister_factory.replica.subnet.state import SubnetState

STORAGE_INTERVAL_NS = 10 * SECOND_NS


class Upkeep:
    """The periodic work of one subnet, at its state's time."""

    def __init__(self, state: SubnetState, calls: Calls, prices: Prices, listeners: Listeners) -> None:
        self._state = state
        self._calls = calls
        self._prices = prices
        self._listeners = listeners
        self._held_up: set[bytes] = set()  # canisters whose tasks were due when they couldn't run

    def run(self, *, with_tasks: bool = True) -> bool:
        """Does what is due, timers and heartbeats only `with_tasks`; whether that changed anything."""
        gave_up = self._give_up_stops()
        forgotten = self._forget_statuses()
        charged = self._charge_storage()
        scheduled = with_tasks and self._schedule_tasks()
        return gave_up or forgotten or charged or scheduled

    def next_wakeup_ns(self) -> int | None:
        """When the next round has something to do though no message arrives: timer, heartbeat, deadline.

        A canister that can't run its tasks now needs a message before it can.
        """
        calls = self._calls
        due = [calls.deadlines.next_ns, calls.stops.next_ns, calls.tasks.next_ns]
        for canister_id in self._held_up:
            canister = self._state.canisters.get(canister_id)
            if canister is not None and self._can_run_tasks(canister):
                due.append(next_task_ns(canister))
        return min((time_ns for time_ns in due if time_ns is not None), default=None)

    def _give_up_stops(self) -> bool:
        """Rejects stop requests that have waited for too long."""
        stops = self._calls.stops
        due = stops.take_due(self._state.time_ns)
        for canister in due:
            stopping.give_up(canister, self._state.time_ns, self._calls.respond)
            stops.note(canister)
        return bool(due)

    def _schedule_tasks(self) -> bool:
        due = {canister.id: canister for canister in self._calls.tasks.take_due(self._state.time_ns)}
        for canister_id in self._held_up:
            if (canister := self._state.canisters.get(canister_id)) is not None:
                due[canister_id] = canister
        self._held_up.clear()
        scheduled = False
        for canister_id in sorted(due):
            scheduled |= self._schedule_tasks_of(due[canister_id])
        return scheduled

    def _schedule_tasks_of(self, canister: CanisterState) -> bool:
        now, module = self._state.time_ns, canister.module
        if module is None:
            return False
        timer_due = module.has(Entry.GLOBAL_TIMER) and 0 < canister.global_timer_ns <= now
        heartbeat_due = module.has(Entry.HEARTBEAT) and canister.last_heartbeat_ns + HEARTBEAT_INTERVAL_NS <= now
        scheduled = (timer_due or heartbeat_due) and self._can_run_tasks(canister)
        if scheduled:
            if heartbeat_due:
                canister.last_heartbeat_ns = now
                self._state.queue.append(SystemTask(canister.id, Entry.HEARTBEAT))
            if timer_due:
                canister.global_timer_ns = 0
                self._state.queue.append(SystemTask(canister.id, Entry.GLOBAL_TIMER))
        elif timer_due or heartbeat_due:
            self._held_up.add(canister.id)
            return False
        self._calls.tasks.note(canister)
        return scheduled

    def _can_run_tasks(self, canister: CanisterState) -> bool:
        """Whether nothing keeps it from them: its state, its balance, a message that it has begun."""
        return canister.id not in self._state.begun and self._calls.can_run_tasks(canister)

    def _charge_storage(self) -> bool:
        state = self._state
        elapsed = state.time_ns - state.storage_charged_ns
        if elapsed < STORAGE_INTERVAL_NS:
            return False
        first_round = state.storage_charged_ns == 0
        since_ns, state.storage_charged_ns = state.storage_charged_ns, state.time_ns
        if first_round:
            return True
        for canister in state.canisters.values():
            per_day = canister.idle_cycles_per_day(self._prices)
            compute_per_day = self._prices.of_idling(0, canister.settings.compute_allocation)
            compute = share_between(compute_per_day, since_ns, state.time_ns)
            memory = share_between(per_day - compute_per_day, since_ns, state.time_ns)
            exhausted = canister.balance < compute + memory
            state.consume(canister, compute, "compute_allocation")
            state.consume(canister, memory, "memory")
            something = canister.module is not None or canister.snapshots or canister.settings.has_allocations
            if exhausted and something and canister.id not in state.begun:
                run_out(canister, self._calls, state)
                self._listeners.canister_changed(canister.id)
        return True

    def _forget_statuses(self) -> bool:
        """Statuses whose time is over, and answers where there are too many bytes of them."""
        statuses = self._state.statuses
        forgotten = statuses.forget(self._state.time_ns)
        for request_id in forgotten:
            self._listeners.request_status(request_id, None)
        pruned = statuses.prune()
        for request_id in pruned:
            self._listeners.request_status(request_id, statuses[request_id])
        return bool(forgotten or pruned)
