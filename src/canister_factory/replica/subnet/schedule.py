"""Who executes next, and for how long: messages and those that were suspended take turns.

Owns the messages in progress, and how a round's time is shared. Does not own what a message does (`calls`) or what is
due without a message (`upkeep`).

A round is bounded, in time too, which can't be decided the same way again. So it tells what it did: which messages it
began and which ended, in this order. Executed again, a message is executed where it ended, in one go. That changes
nothing, since nobody sees anything of it before its end, and since it sees nothing later than its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.canister import MANAGEMENT_CANISTER
from canister_factory.replica.subnet.management_interface import HARMLESS_METHODS, target
from canister_factory.replica.subnet.messages import Message, Request
from canister_factory.replica.subnet.processing import Processing
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.work import Turn, Work

Done = int | bytes | None
"""What a round did: so many messages began and ended (int), one began (None), the one on a canister ended (its id)."""


@dataclass(frozen=True, slots=True)
class Round:
    """What has to be known to execute a round again on the same state.

    Attributes:
        time_ns: of the subnet, nanoseconds since 1970.
        with_tasks: whether timers and heartbeats that were due were executed.
    """

    time_ns: int
    with_tasks: bool
    done: list[Done]


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a round does before others get their turn.

    Attributes:
        turn_slices: slices (of `SLICE_INSTRUCTIONS`) that a message gets before the next one has its turn.
        round_slices: of all messages in a round. A short message counts for one.
        turn_ns, round_ns: the same as time by `clock_ns`, if there is a clock.
    """

    turn_slices: int = 4_000
    round_slices: int = 20_000
    turn_ns: int = 0
    round_ns: int = 0
    clock_ns: Callable[[], int] | None = None

    def round(self) -> Turn:
        return Turn(self.round_slices, self.round_ns, self.clock_ns)

    def turn(self, around: Turn) -> Turn:
        return Turn(self.turn_slices, self.turn_ns, self.clock_ns, around)


class Schedule:
    """Executes messages of a state in turns. Nothing of it is part of the state."""

    def __init__(self, state: SubnetState, processing: Processing) -> None:
        self._state = state
        self._processing = processing
        self._suspended: dict[bytes, Work] = {}  # by canister, in the order of their turns

    def __repr__(self) -> str:
        return f"<Schedule suspended={len(self._suspended)}>"

    @property
    def more(self) -> bool:
        """Whether a round would find something to execute just now."""
        state = self._state
        if any(canister_id not in self._suspended for canister_id in state.begun):
            return True
        return any(map(_is_ready, self._suspended.values())) or state.queue.any_for_others_than(state.begun)

    @property
    def awaited(self) -> list[Future[Any]]:
        """What messages wait for."""
        return [work.awaited for work in self._suspended.values() if work.awaited is not None and not _is_ready(work)]

    def work(self, max_messages: int, pace: Pace) -> list[Done]:
        """Executes a round's share, at most `max_messages` new messages; what it did, for `repeat`."""
        done: list[Done] = []
        share = pace.round()
        for canister_id, begun in self._state.begun.items():  # those of a former process, or given up
            if canister_id not in self._suspended:
                self._suspended[canister_id] = Work(Turn(), begun)
        while not share.is_over:
            # One turn for a message that was suspended, one for new ones: neither can crowd out the other.
            # Where nobody else could use it, the rest of the round is one turn: to process a message again isn't free.
            resumed = self._resume_next(done, pace.turn(share) if self._several_wait else share)
            began = self._begin_some(max_messages, done, pace.turn(share))
            max_messages -= began
            if not resumed and not began:
                break
        return done

    def repeat(self, done: list[Done]) -> None:
        """Does again what `work` did on the same state."""
        for item in done:
            if isinstance(item, int):
                for _ in range(item):
                    self._begin_next(Turn())
            elif item is None:
                work = self._begin_next(Turn(slices=0))
                assert work is not None, "a message that was suspended ended without executing anything"
            else:
                self._process(self._state.begun[item].message, Work(Turn(), self._state.begun[item]))

    def give_up(self) -> None:
        """Undoes what messages in progress did; they begin again with the next round."""
        suspended, self._suspended = self._suspended, {}
        for work in suspended.values():
            work.close()

    @property
    def _several_wait(self) -> bool:
        """Whether others could be executed than the one message that is suspended."""
        return len(self._suspended) > 1 or self._state.queue.any_for_others_than(self._state.begun)

    def _resume_next(self, done: list[Done], turn: Turn) -> bool:
        canister_id = next((key for key, work in self._suspended.items() if _is_ready(work)), None)
        if canister_id is None:
            return False
        work = self._suspended.pop(canister_id)
        work.turn = turn
        if self._process(work.begun.message, work) is None:
            done.append(canister_id)
        else:
            self._suspended[canister_id] = work  # behind the others
        return True

    def _begin_some(self, max_messages: int, done: list[Done], turn: Turn) -> int:
        """Begins messages for one turn; how many."""
        began = 0
        while began < max_messages and not turn.is_over and self._state.queue.any_for_others_than(self._state.begun):
            began += 1
            turn.use()
            work = self._begin_next(turn)
            if work is not None:
                self._suspended[work.begun.canister_id] = work
                done.append(None)
            elif done and isinstance(done[-1], int):
                done[-1] += 1
            else:
                done.append(1)
        return began

    def _begin_next(self, turn: Turn) -> Work | None:
        """Begins the next message; its work, if it is suspended."""
        message = self._next()
        return None if message is None else self._process(message, Work(turn))

    def _process(self, message: Message, work: Work) -> Work | None:
        suspended = self._processing.process(message, work)
        if suspended is None:
            self._state.messages_executed += 1
        return suspended

    def _next(self) -> Message | None:
        state = self._state
        while (message := state.queue.take(state.begun)) is not None:
            busy = self._affected(message)
            if busy is None:
                return message
            state.queue.append(message, busy)
        return None

    def _affected(self, message: Message) -> bytes | None:
        """The busy canister that a call of the management canister would change: it waits in that one's queue."""
        if not self._state.begun or not isinstance(message, Request) or message.callee != MANAGEMENT_CANISTER:
            return None
        if message.method in HARMLESS_METHODS:
            return None
        try:
            canister_id = target(message.method, message.arg)
        except CanisterError:  # said when it is executed
            return None
        return canister_id if canister_id in self._state.begun else None


def _is_ready(work: Work) -> bool:
    return work.awaited is None or work.awaited.done()
