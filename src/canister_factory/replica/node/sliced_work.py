"""Queries, or checks of messages, a slice at a time, so that long ones hold up nobody.

Owns whose turn it is, and how many may be under way. Does not own what they do (`subnet.queries`), or rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from canister_factory.replica.node.round_failed import RoundFailedError
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Steps

T = TypeVar("T")

AT_ONCE_NS: Final = 2_000_000
"""What takes less is done without letting others in between."""
TURN_NS: Final = 2_000_000
FIRST_TURNS: Final = 10
"""So many everybody has before waiting for a place among the few that go on: what ends soon waits for no long work."""
MAX_UNDER_WAY: Final = 8
MAX_WAITING: Final = 200


class SlicedWork:
    """Does work in the event loop: short work at once, long work in turns, one turn for each go of the loop.

    Args:
        clock_ns: measures turns.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock_ns = clock_ns
        self._places = asyncio.Semaphore(MAX_UNDER_WAY)
        self._turn = asyncio.Lock()  # whoever waits for it gets it in the order of waiting
        self._waiting = 0
        self._stopping = False

    def __repr__(self) -> str:
        return f"<SlicedWork waiting={self._waiting}>"

    def stop(self) -> None:
        """Gives up what is under way."""
        self._stopping = True

    def at_once(self, steps: Steps[T]) -> list[T]:
        """The result of work that is short; nothing where it isn't: then it has begun, and `in_turns` finishes it.

        Raises:
            CanisterError: what the work raises.
        """
        result: list[T] = []
        try:
            self._advance(steps, AT_ONCE_NS, result)
        except BaseException:
            steps.close()
            raise
        return result

    async def in_turns(self, steps: Steps[T]) -> T:
        """The result of work that `at_once` has begun.

        Raises:
            CanisterError: SYS_TRANSIENT, IC0204: too much waits already; and what the work raises.
            RoundFailedError: the replica is stopping.
        """
        try:
            result: list[T] = []
            if self._waiting >= MAX_WAITING:
                raise CanisterError(
                    RejectCode.SYS_TRANSIENT,
                    f"{MAX_WAITING} long queries or checks wait already; try again later.",
                    "IC0204",
                )
            self._waiting += 1
            try:
                for _ in range(FIRST_TURNS):
                    if await self._take_turn(steps, result):
                        return result[0]
                async with self._places:
                    while not await self._take_turn(steps, result):
                        pass
                return result[0]
            finally:
                self._waiting -= 1
        finally:
            steps.close()

    async def finish(self, steps: Steps[T]) -> T:
        """The result of the work: of `at_once`, else of `in_turns`."""
        result = self.at_once(steps)
        return result[0] if result else await self.in_turns(steps)

    async def _take_turn(self, steps: Steps[T], result: list[T]) -> bool:
        async with self._turn:
            if self._stopping:
                raise RoundFailedError("The replica is stopping", retry_helps=True)
            awaited = self._advance(steps, TURN_NS, result)
            if awaited is None and not result:
                await asyncio.sleep(0)  # with the turn: others have theirs in later goes of the loop
        if awaited is not None:
            done = asyncio.wrap_future(awaited)
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()  # `steps` raises it
        return bool(result)

    def _advance(self, steps: Steps[T], time_ns: int, result: list[T]) -> Future[Any] | None:
        """Does the next of the work, up to its end, so long, or until it waits for what is returned."""
        end_ns = self._clock_ns() + time_ns
        try:
            while self._clock_ns() < end_ns:
                awaited = next(steps)
                if awaited is not None:
                    return awaited
        except StopIteration as end:
            result.append(end.value)
        return None
