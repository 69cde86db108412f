"""What a message computes apart from the state, when that takes more than one turn.

Owns the results and what is in progress. Does not own the message's effects (`calls`) or whose turn it is (`schedule`).

A message that isn't ready when its turn is over is taken back, as one that failed is, and processed again from its
beginning in the next turn: then `Work.do` gives what was computed before instead of computing it. So all effects of a
message come at once, at its end, and until then the state doesn't know of it but that it has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from canister_factory.replica.runtime.execution import CanisterError, Steps
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.subnet.messages import Begun, Message

T = TypeVar("T")


class Suspended(BaseException):
    """The turn is over before the message's work is done. No error: nobody but `Processing` may catch it."""


class Turn:
    """So many slices, and so much time, of which a turn within it uses up its share.

    Args:
        slices: None: as many as it takes.
        time_ns: by `clock_ns`; a slice that has begun is finished.
    """

    def __init__(
        self,
        slices: int | None = None,
        time_ns: int = 0,
        clock_ns: Callable[[], int] | None = None,
        around: Turn | None = None,
    ) -> None:
        self._slices = slices
        self._clock_ns = clock_ns
        self._end_ns = 0 if clock_ns is None else clock_ns() + time_ns
        self._around = around

    @property
    def endless(self) -> bool:
        return self._slices is None

    def use(self) -> None:
        """A slice was executed."""
        if self._slices is not None:
            self._slices -= 1
        if self._around is not None:
            self._around.use()

    @property
    def is_over(self) -> bool:
        if self._slices is not None and self._slices <= 0:
            return True
        return self._clock_ns is not None and self._clock_ns() >= self._end_ns


class Work:
    """The work of one message.

    Attributes:
        turn: how much of it may be done now.
        awaited: what it can't go on without.
        kept: bytes that it began with, if these may change meanwhile.
    """

    def __init__(self, turn: Turn, begun: Begun | None = None) -> None:
        self.turn = turn
        self.awaited: Future[Any] | None = None
        self.kept = b"" if begun is None else begun.kept
        self._begun = begun
        self._results: list[Any] = []
        self._next = 0
        self._steps: Steps[Any] | None = None
        self._instances: list[Instance] = []

    def __repr__(self) -> str:
        return f"<Work results={len(self._results)} begun={self._begun is not None}>"

    @property
    def has_begun(self) -> bool:
        """Whether it was suspended before, so that it was checked and paid for."""
        return self._begun is not None

    def rewind(self) -> None:
        """The message is processed again."""
        self._next = 0

    def begin(self, canister_id: bytes, message: Message, time_ns: int, balance: int, reserved: int) -> Begun:
        """What the message found when it began, now or in an earlier turn.

        Args:
            canister_id: whose execution it is.
            message: that is being processed.
            time_ns: the subnet's.
            balance: the canister's, less what the message has taken from it.
            reserved: what it has taken.
        """
        if self._begun is None:
            self._begun = Begun(canister_id, message, time_ns, balance, reserved, self.kept)
        return self._begun

    @property
    def begun(self) -> Begun:
        assert self._begun is not None, "it was suspended before it began"
        return self._begun

    def do(self, make: Callable[[], Steps[T]], *, holds: Instance | None = None) -> T:
        """The result of a part of the work, perhaps from an earlier turn.

        Args:
            make: begins the part.
            holds: the instance that waits for its conclusion afterwards.

        Raises:
            Suspended: it isn't done when the turn is over.
            CanisterError: the part's.
        """
        if self._next == len(self._results):
            if self._steps is None:
                self._steps = make()
                if holds is not None:
                    self._instances.append(holds)
            self._results.append(self._finished(self._steps))
            self._steps = None
        result = self._results[self._next]
        self._next += 1
        if isinstance(result, CanisterError):
            raise result
        return result  # type: ignore[no-any-return]

    def amend(self, result: T) -> T:
        """Replaces the result that `do` gave last, for good."""
        self._results[self._next - 1] = result
        return result

    def _finished(self, steps: Steps[Any]) -> Any:
        turn = self.turn
        self.awaited = None
        while not turn.is_over:
            try:
                awaited = next(steps)
            except StopIteration as end:
                return end.value
            except CanisterError as error:
                return error
            turn.use()
            if awaited is not None:
                if not turn.endless:
                    self.awaited = awaited
                    break
                wait([awaited])
        raise Suspended

    def close(self) -> None:
        """Undoes what wasn't kept. Closing twice is allowed."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()
        for instance in self._instances:
            instance.conclude(keep=False)
