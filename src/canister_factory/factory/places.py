"""How many creations run at once, so that long ones don't keep short ones waiting.

Owns the places. Does not own: which creations there are, and in which order they ask for one (`worker`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from canister_factory.factory.retry import Sleep


class Places:
    """`parallel` places, and `long` besides for what has run for `patient_seconds` already, where it gives its place to
    the next. Whoever makes a creation take long, by size, by writes or by a canister that doesn't answer, holds back
    nobody until there are so many of them.
    """

    def __init__(self, parallel: int, long: int, patient_seconds: float, sleep: Sleep) -> None:
        self._short, self._long = asyncio.Semaphore(parallel), asyncio.Semaphore(long)
        self._patient_seconds = patient_seconds
        self._sleep = sleep
        self.taken = self.taken_long = 0

    def __repr__(self) -> str:
        return f"Places({self.taken} taken, {self.taken_long} by long ones)"

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits for a place, and has it for the time of the block."""
        await self._short.acquire()
        self.taken += 1
        is_long = False

        async def move() -> None:
            nonlocal is_long
            await self._sleep(self._patient_seconds)
            await self._long.acquire()
            is_long = True
            self.taken_long += 1
            self._short.release()

        moving = asyncio.create_task(move())
        try:
            yield
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)
            self.taken -= 1
            self.taken_long -= is_long
            (self._long if is_long else self._short).release()
