"""How many messages are in flight: a window that shrinks under pressure and grows again while all goes well.

Owns the pace of a transfer. Does not own: what is sent, and retrying it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from canister_factory.ic.task_group import task_group

T = TypeVar("T")


class Window:
    """Additive increase, multiplicative decrease, as in TCP's congestion avoidance (RFC 5681, section 3.1).

    Pressure (an answer 503, a broken connection) halves `size`; once per window, since the messages that were in flight
    together feel the same pressure. A window's worth of successes adds one, up to `maximum`. Where the network says how
    much it takes (429), the transport's pacer keeps to that, and `ease` takes away what would only wait for it.
    """

    def __init__(self, start: int, maximum: int) -> None:
        self.size = start
        self.maximum = maximum
        self.in_flight = 0
        self._successes = 0
        self._deaf_for = 0
        self._wake = asyncio.Event()

    def __repr__(self) -> str:
        return f"Window({self.in_flight} of {self.size} in flight, at most {self.maximum})"

    def pressure(self) -> None:
        """The network asked for less."""
        if self._deaf_for == 0:
            self._deaf_for = self.in_flight
            self.size = max(1, self.size // 2)
        self._successes = 0

    def ease(self) -> None:
        """One message less in flight: more than enough wait for their turn."""
        self.size = max(1, self.size - 1)
        self._successes = 0

    async def enter(self) -> None:
        """Waits for a free place and takes it."""
        while self.in_flight >= self.size:
            self._wake.clear()
            await self._wake.wait()
        self.in_flight += 1

    def leave(self) -> None:
        """Gives a place back."""
        self.in_flight -= 1
        self._deaf_for = max(0, self._deaf_for - 1)
        self._successes += 1
        if self._successes >= self.size:
            self._successes = 0
            self.size = min(self.maximum, self.size + 1)
        self._wake.set()

    async def run(self, jobs: AsyncIterable[T] | Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Does `work` for each job, at most `size` at once. A job is only asked for when there is a place for it.

        Raises:
            Exception: the first failure of a job, or of what has the jobs, as it is; it cancels the rest.
        """

        async def one(job: T) -> None:
            try:
                await work(job)
            finally:
                self.leave()

        try:
            async with task_group() as group:
                await self.enter()
                async for job in jobs if isinstance(jobs, AsyncIterable) else _each(jobs):
                    group.create_task(one(job))
                    await self.enter()
                self.leave()
        finally:
            self.in_flight = 0  # places of tasks that were cancelled before they began


async def _each(jobs: Iterable[T]) -> AsyncIterator[T]:
    for job in jobs:
        yield job
