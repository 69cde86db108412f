"""When the subnet executes: one task runs rounds as soon as there is work, and tells waiting calls the outcome.

Owns scheduling, batching (one round and one signature for all calls that arrived in the meantime), the pace of rounds
and timers, and an orderly end. Does not own execution (`subnet`), queries (`sliced_work`), certification
(`certified_view`) or HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final, Protocol

from canister_factory.replica.node.alarm import Alarm
from canister_factory.replica.node.certification import CertifiedState
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.outcalls import Outcalls, loopback_only
from canister_factory.replica.node.round_failed import RoundFailedError
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.messages import IngressMessage, OutcallAnswer
from canister_factory.replica.subnet.outcalls import Outcall
from canister_factory.replica.subnet.request_status import RequestStatus
from canister_factory.replica.subnet.schedule import Pace

__all__ = ["ExecutableSubnet", "Outcome", "RoundFailedError", "Rounds"]

logger = logging.getLogger(__name__)
# So long after timers and heartbeats were executed they are again: five times a second at most; mainnet has two rounds.
TASKS_INTERVAL_NS: Final = 200_000_000
# A round lets requests in after so long, or so many slices; an execution lets others go first after a turn.
PACE: Final = Pace(
    turn_slices=100, round_slices=1_000, turn_ns=2_000_000, round_ns=6_000_000, clock_ns=time.perf_counter_ns
)
_UNHURRIED: Final = Pace()
_AFTERWARDS: Final = "; afterwards restart the replica"
_BY_ITSELF: Final = "; the replica goes on by itself when that succeeds"
_RETRY_S: Final = 1.0


class ExecutableSubnet(Protocol):
    """What the rounds need of a subnet."""

    def submit(self, message: IngressMessage) -> None: ...

    def execute_round(self, *, with_tasks: bool = True, pace: Pace | None = None) -> bool: ...

    @property
    def awaited(self) -> list[Future[Any]]: ...

    def persist(self, meanwhile: Callable[[], None] | None = None, *, at_rest: bool = False) -> None: ...

    def next_wakeup_ns(self) -> int | None: ...

    def submit_outcall_answer(self, answer: OutcallAnswer) -> None: ...

    @property
    def outcalls(self) -> Mapping[int, Outcall]: ...


Outcome = CertifiedState | RoundFailedError | None
"""How a wait for a request ends: with the certified state that shows its reply or rejection; with the failure of its
round; with None, when the time is over or the replica stops before."""


class Rounds:
    """Runs rounds in one task of the event loop. Queries run in the same thread, hence never during a round.

    Rounds are short, and others have their turn between two.

    What a round did is made durable before anything of it is certified or answered. Where there is no room to write
    (`obstacle`), nothing is taken or executed until there is. A round that fails otherwise is the last one: memory is
    no longer what the disk has, so a restart has to begin from there.

    Args:
        subnet: executes.
        view: certifies.
        changes: what the subnet tells of.
        clock_ns: nanoseconds since 1970.
        arrivals: waits for the calls that have arrived and are being checked: they are part of the next round.
        written_ahead: whether a restart may find calls that aren't durable yet.

    Attributes:
        failure: why nothing is executed any more, for people; None while all is well.
        outcalls: the HTTP requests of canisters that are under way.
        obstacle: why nothing is executed now, for people; it is tried again each second, and with each call.
    """

    def __init__(
        self,
        subnet: ExecutableSubnet,
        view: CertifiedView,
        changes: Changes,
        clock_ns: Callable[[], int],
        arrivals: Callable[[], Awaitable[object]] | None = None,
        written_ahead: Callable[[], bool] = lambda: False,
    ) -> None:
        self._subnet = subnet
        self._arrivals = arrivals
        self._written_ahead = written_ahead
        self._view = view
        self._changes = changes
        self._clock_ns = clock_ns
        self._wake = asyncio.Event()
        self._alarm = Alarm(self._wake.set)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.failure: str | None = None
        self.obstacle: str | None = None
        self._unwritten_more: bool | None = None  # whether more is queued, of an executed round that isn't durable yet
        self._late_answers: list[OutcallAnswer] = []  # for which there was no room
        self._waiting: dict[bytes, list[_Waiter]] = {}
        self._undurable: set[bytes] = set()
        self._executed = 0
        self._tasks_ns = 0  # when timers and heartbeats were last due and executed
        self._due_ns: int | None = 0  # when they are next
        self._expected: set[Future[Any]] = set()  # what the task is woken by
        self.outcalls = Outcalls(lambda: self._subnet.outcalls, self.submit_outcall_answer, loopback_only)

    def __repr__(self) -> str:
        return f"<Rounds executed={self._executed} waiting={len(self._waiting)}>"

    def start(self) -> None:
        """Begin; the first round runs at once, for what a restart found in the queues."""
        self._wake.set()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="rounds")

    async def stop(self) -> None:
        """Finish the batch that is queued, make it durable, and let go of calls that still wait for other canisters."""
        self._stopping = True
        self.outcalls.cancel()
        self._wake.set()
        if self._task is not None:
            await self._task
        self._alarm.cancel()
        for request_id in list(self._waiting):
            self._tell(request_id, None)

    def submit(self, message: IngressMessage) -> None:
        """Queue a checked ingress message for the next round.

        Raises:
            RoundFailedError: an earlier round failed, there is no room for the message, or the replica is stopping.
        """
        if self._stopping:
            raise RoundFailedError("The replica is stopping", retry_helps=True)
        self.require_working()
        if self.obstacle is not None:
            self._attempt(with_tasks=False)
        self.current()  # recent enough to serve reads until the round is durable
        try:
            self._subnet.submit(message)
        except CheckpointError as error:
            self._wait_for_room(str(error))
            raise RoundFailedError(self.obstacle or "") from error
        except Exception as error:
            self._undurable.add(message.request_id)
            raise self._broken_by(error, "taking a call", message.request_id) from error
        self._undurable.add(message.request_id)
        self._view.held = True
        self._wake.set()

    def submit_outcall_answer(self, answer: OutcallAnswer) -> None:
        """Queue the answer to an HTTP outcall for the next round; it is dropped where no round follows."""
        if not self._stopping and self.failure is None:
            try:
                self._subnet.submit_outcall_answer(answer)
            except CheckpointError as error:
                self._late_answers.append(answer)
                self._wait_for_room(str(error))
                return
            self._wake.set()

    def status_shown(self, request_id: bytes) -> RequestStatus | None:
        """As `CertifiedView.status_shown`, of the state that `current` gives."""
        self.current()
        return self._view.status_shown(request_id)

    def current(self) -> CertifiedState:
        """The newest certified state.

        Raises:
            RoundFailedError: it can't be made, which ends all work: nothing could be answered any more.
        """
        try:
            return self._view.current()
        except Exception as error:
            raise self._broken_by(error, "certifying the state") from error

    def data_certificate(self, canister_id: bytes) -> bytes:
        """The certificate that `ic0.data_certificate` gives a canister in a query.

        Raises:
            RoundFailedError: as `current`.
        """
        try:
            return self._view.data_certificate(canister_id)
        except Exception as error:
            raise self._broken_by(error, "certifying the state") from error

    def require_working(self, known_request: bytes | None = None) -> None:
        """Refuses when memory is ahead of the disk: nothing of it may be told.

        Args:
            known_request: the id of the request that this is about, if the subnet knows it. A restart forgets it,
                unless an earlier round was made durable with it.

        Raises:
            RoundFailedError: a round failed.
        """
        reason = self._reason()
        if reason is not None and (self.failure is not None or self._unwritten_more is not None):
            forgotten = known_request is None or (self.failure is not None and known_request in self._undurable)
            raise RoundFailedError(reason, surely_not_executed=forgotten)

    def _reason(self) -> str | None:
        return self.obstacle if self.failure is None else self.failure + _AFTERWARDS

    def when_final(self, request_id: bytes, timeout_s: float, then: Callable[[Outcome], None]) -> None:
        """Calls `then` once: when a request is replied or rejected, its round failed, or the time is over."""
        waiter = _Waiter(then)
        waiter.timer = asyncio.get_running_loop().call_later(timeout_s, self._give_up, request_id, waiter)
        self._waiting.setdefault(request_id, []).append(waiter)

    def _give_up(self, request_id: bytes, waiter: _Waiter) -> None:
        waiters = self._waiting.get(request_id, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[request_id]
            waiter.tell(None)

    def tick(self) -> bool:
        """Executes a round now, with all that is due, however long that takes; whether more is queued.

        Raises:
            RoundFailedError: this round failed, or an earlier one.
        """
        more = self._attempt(with_tasks=True, pace=_UNHURRIED)
        while awaited := self._subnet.awaited:
            wait(awaited)
            more = self._attempt(with_tasks=False, pace=_UNHURRIED)
        return more

    def _attempt(self, *, with_tasks: bool, pace: Pace | None = None) -> bool:
        if self.failure is None:
            try:
                return self._round(with_tasks, pace)
            except CheckpointError as error:
                if error.passing:
                    self._wait_for_room(str(error))
                    raise RoundFailedError(self.obstacle or "") from error
                if error.durable is None:
                    self._undurable.clear()  # nothing is sure
                self._fail(str(error))
            except Exception as error:
                raise self._broken_by(error, "a round") from error
        raise RoundFailedError(self._reason() or "")

    def went_back(self, known: Container[bytes]) -> None:
        """The subnet went back to an earlier state, with these requests: nobody waits for the others any more."""
        self._changes.finished.clear()
        self._due_ns = 0
        self.outcalls.cancel()
        for request_id in [request_id for request_id in self._waiting if request_id not in known]:
            self._tell(request_id, None)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            # Queries and calls that have arrived get their turn, also between the rounds of a long computation. Calls
            # that are taken now share the round's signature and its flush.
            await asyncio.sleep(0)
            if self._arrivals is not None:
                await self._arrivals()
            self._wake.clear()
            try:
                more = self._attempt(with_tasks=self._tasks_are_due())
            except RoundFailedError:
                if self.failure is not None or self._stopping:
                    return
                continue
            if self._stopping:
                return
            if more:
                self._wake.set()

    def _tasks_are_due(self) -> bool:
        now_ns = self._clock_ns()
        if self._due_ns is None or self._due_ns > now_ns or 0 <= now_ns - self._tasks_ns < TASKS_INTERVAL_NS:
            return False
        self._tasks_ns = now_ns
        return True

    def _round(self, with_tasks: bool, pace: Pace | None) -> bool:
        more = self._execute(with_tasks, pace) if self._unwritten_more is None else self._unwritten_more
        failure = None
        at_rest = self._alarm.take_rest()
        try:
            self._subnet.persist(self._view.prepare if self._changes.finished else None, at_rest=at_rest)
        except CheckpointError as error:
            if not error.durable:
                raise
            failure = error  # what was executed is durable, so it is answered; but it is the last that is executed
        self._unwritten_more = None
        self._undurable.clear()
        self._view.held = False
        if self.obstacle is not None:
            self.obstacle = None
            logger.warning("there is room again: the replica goes on")
            late, self._late_answers = self._late_answers, []
            for answer in late:
                self.submit_outcall_answer(answer)
        state = self._view.current()
        for request_id in self._changes.take_finished():
            self._tell(request_id, state)
        if failure is not None:
            raise failure
        self._due_ns = self._subnet.next_wakeup_ns()
        if not self._stopping:
            self.outcalls.begin()
        if not more:
            self._expect()
            if not at_rest:
                self._alarm.expect_rest()
            if self._due_ns is not None:
                wakeup_ns = max(self._due_ns, self._tasks_ns + TASKS_INTERVAL_NS)
                self._alarm.wake_in(max(0.0, (wakeup_ns - self._clock_ns()) / 1e9))
        return more

    def _expect(self) -> None:
        """Has the task woken when an execution can go on that waits for something outside."""
        loop = asyncio.get_running_loop()
        self._expected = {future for future in self._expected if not future.done()}
        for future in self._subnet.awaited:
            if future not in self._expected:
                self._expected.add(future)
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._wake.set))

    def _execute(self, with_tasks: bool, pace: Pace | None) -> bool:
        held, self._view.held = self._view.held, True
        try:
            self._unwritten_more = self._subnet.execute_round(with_tasks=with_tasks, pace=pace)
        except CheckpointError:
            self._view.held = held  # nothing was executed
            raise
        self._executed += 1
        return self._unwritten_more

    def _wait_for_room(self, reason: str) -> None:
        if self.obstacle is None:
            logger.error("nothing is executed for now: %s", reason)
        self.obstacle = reason + _BY_ITSELF
        self._alarm.wake_in(_RETRY_S)

    def _broken_by(self, error: Exception, what: str, call: bytes | None = None) -> RoundFailedError:
        """Ends all work; the error that says so, of a call if it is about one."""
        if not isinstance(error, SubnetBrokenError):  # that one was told before
            reference = secrets.token_hex(4)
            logger.error("%s broke off by an internal error (reference %s)", what, reference, exc_info=error)
            self._fail(f"An internal error broke the subnet; look for {reference} in the replica's log")
        elif self.failure is None:
            self._fail("An internal error broke the subnet; look at the replica's log")
        reason = f"{self.failure or ''}{_AFTERWARDS}"
        return RoundFailedError(reason, surely_not_executed=call in {None, *self._undurable})

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._view.held = True
        self._undurable = set() if self._written_ahead() else self._undurable  # a restart may find any of them
        logger.error("nothing is executed any more: %s", reason)
        for call in list(self._waiting):
            self._tell(call, RoundFailedError(reason + _AFTERWARDS, surely_not_executed=call in self._undurable))

    def _tell(self, request_id: bytes, outcome: Outcome) -> None:
        for waiter in self._waiting.pop(request_id, ()):
            waiter.tell(outcome)


class _Waiter:
    """Somebody who waits for a request's outcome."""

    __slots__ = ("_then", "timer")
    timer: asyncio.TimerHandle

    def __init__(self, then: Callable[[Outcome], None]) -> None:
        self._then = then

    def tell(self, outcome: Outcome) -> None:
        self.timer.cancel()
        self._then(outcome)
