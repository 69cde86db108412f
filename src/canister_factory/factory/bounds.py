"""What a run may take: time and bytes, by the capsule's size; and that its canister stays what it was.

A canister that its owner controls may answer slowly, hugely, wrongly, and for ever. Owns these bounds, and ending a run
at them. Does not own: what its canister has become (`condition`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from canister_factory.factory.errors import BoundsError
from canister_factory.factory.run import Run

T = TypeVar("T")

_BYTES_OF_AN_ITEM = 4_000
"""Of a record, its entries on both sides, and its messages' share, in one pass."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a capsule is: bytes of its contents, and items."""

    size: int
    items: int


class Bounds:
    """The bounds of one run, which begins now."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began = run.clock()

    def __repr__(self) -> str:
        return f"Bounds({self._run.clock() - self._began:.0f} s, {self._run.traffic})"

    def check(self, extent: Extent) -> None:
        """Sees to it that a run for a capsule of this size is within them.

        Raises:
            BoundsError: it isn't.
        """
        config, total = self._run.config, self._run.traffic.total
        seconds = config.base_seconds + extent.size / config.bytes_per_second
        if (taken := self._run.clock() - self._began) > seconds:
            raise BoundsError(
                f"the run took {taken:,.0f} s, above the limit of {seconds:,.0f} s for {extent.size:,} bytes; what "
                "was copied stays for a retry"
            )
        most = config.base_bytes + config.most_copies * (2 * extent.size + _BYTES_OF_AN_ITEM * extent.items)
        if (moved := total.bytes_sent + total.bytes_received) > most:
            raise BoundsError(
                f"the run moved {moved:,} bytes, above the limit of {most:,} for a capsule of {extent.size:,}; what "
                "was copied stays for a retry"
            )


async def looking(work: Callable[[], Awaitable[T]], look: Callable[[], Awaitable[None]], run: Run) -> T:
    """Does `work`, and looks now and then, whatever the work waits for.

    Raises:
        Exception: the failure of `work`, or of a look, which ends the work at once.
    """

    async def keep() -> None:
        while True:
            await run.sleep(run.config.look_seconds)
            await look()

    task, watch = asyncio.ensure_future(work()), asyncio.create_task(keep())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            watch.result()
        return await task
    finally:
        for pending in (task, watch):
            pending.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)
