"""Somebody who always has a message to send through a gateway, at the pace that a pacer finds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from canister_factory.ic.pacer import Pacer
from support import virtual_time
from support.mainnet_pace import Gateway
from support.virtual_time import VirtualTimeLoop

ANSWER_S, REFUSAL_S = 1.8, 0.05


@dataclass(frozen=True, slots=True)
class Sent:
    """When messages were let through, seconds, and how many were refused."""

    times: list[float]
    refused: int
    pacer: Pacer

    def rate(self, size_bytes: int) -> float:
        """Bytes a second from the first to the last."""
        return size_bytes * (len(self.times) - 1) / (self.times[-1] - self.times[0])


def send(size_bytes: int, count: int, *, cap: float, burst_s: float = 4.0, window: int = 24) -> Sent:
    """Sends so many messages through a gateway with this cap, bytes a second; `window` at once."""

    async def main(loop: VirtualTimeLoop) -> Sent:
        gateway, pacer, places = (
            Gateway(None, cap, burst_s),
            Pacer(loop.now_ns, asyncio.sleep),
            asyncio.Semaphore(window),
        )
        times: list[float] = []
        refused = 0

        async def one() -> None:
            nonlocal refused
            async with places:
                while True:
                    turn = await pacer.turn(size_bytes)
                    wait_s = gateway.retry_after_s(size_bytes, loop.time())
                    if wait_s is None:
                        break
                    await asyncio.sleep(REFUSAL_S)
                    refused += 1
                    pacer.refused(turn, size_bytes, float(wait_s))
                times.append(loop.time())
                await asyncio.sleep(ANSWER_S)
                pacer.let_through(size_bytes)

        await asyncio.gather(*(one() for _ in range(count)))
        return Sent(times, refused, pacer)

    return virtual_time.run(main)
