"""The pacer finds a gateway's cap, keeps to it, and holds back nobody where there is none."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.ic.pacer import Pacer
from support import virtual_time
from support.mainnet_sender import send
from support.virtual_time import VirtualTimeLoop

MESSAGE = 1_900_000


def test_without_a_refusal_only_the_first_messages_leave_one_after_another() -> None:
    sent = send(MESSAGE, 200, cap=1e12)
    assert sent.refused == 0
    assert len(set(sent.times[:24])) == 24
    assert sent.times[23] - sent.times[0] < 2.0
    assert sent.rate(MESSAGE) > 0.9 * 24 * MESSAGE / 1.8  # afterwards whoever has a place sends


@pytest.mark.parametrize("cap", [1e6, 2e6, 3e6, 3.7e6])
def test_a_long_transfer_uses_what_a_gateway_lets_through_and_is_rarely_refused(cap: float) -> None:
    count = 500_000_000 // MESSAGE
    sent = send(MESSAGE, count, cap=cap)
    assert sent.rate(MESSAGE) >= 0.98 * cap
    assert sent.refused <= 0.1 * count


@settings(max_examples=15, deadline=None)
@given(cap=st.floats(1e6, 1e7), size=st.integers(300_000, 2_000_000), burst_s=st.floats(3, 10))
def test_whatever_the_cap_nearly_all_of_it_is_used(cap: float, size: int, burst_s: float) -> None:
    count = max(20, round(60 * cap / size))
    sent = send(size, count, cap=cap, burst_s=burst_s, window=round(2.5 * cap / size) + 4)
    assert sent.rate(size) >= 0.93 * cap
    assert sent.refused <= 25 + 0.1 * count


def test_a_refusal_is_a_pause_for_all_and_counts_once() -> None:
    async def main(loop: VirtualTimeLoop) -> tuple[list[float], int]:
        pacer = Pacer(loop.now_ns, asyncio.sleep)
        turns = [await pacer.turn(MESSAGE) for _ in range(3)]
        for turn in turns:
            pacer.refused(turn, MESSAGE, 7.0)
        refused_s, times = loop.time(), []
        for size in (10, MESSAGE, MESSAGE):
            await pacer.turn(size)
            times.append(loop.time() - refused_s)
        return times, pacer.refusals

    times, refusals = virtual_time.run(main)
    assert refusals == 1
    assert times[:2] == pytest.approx([7.0, 7.0])
    assert times[2] > 7.1


def test_a_small_request_that_was_refused_is_a_pause_and_tells_nothing_of_what_large_ones_may_be_sent() -> None:
    async def main(loop: VirtualTimeLoop) -> list[float]:
        pacer = Pacer(loop.now_ns, asyncio.sleep)
        await pacer.turn(MESSAGE)
        await asyncio.sleep(3)
        pacer.refused(await pacer.turn(300), 300, 2.0)
        times = []
        for _ in range(3):
            await pacer.turn(MESSAGE)
            times.append(loop.time())
        return times

    first, second, third = virtual_time.run(main)
    assert first == pytest.approx(5.0)
    assert third - second == pytest.approx(second - first) == pytest.approx(MESSAGE / 24e6)


def test_a_small_request_does_not_wait_for_large_ones() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        pacer = Pacer(loop.now_ns, asyncio.sleep)
        pacer.refused(await pacer.turn(MESSAGE), MESSAGE, 1.0)
        order: list[str] = []

        async def ask(name: str, size: int) -> None:
            await pacer.turn(size)
            order.append(name)

        await asyncio.gather(*(ask(f"large {number}", MESSAGE) for number in range(3)), ask("small", 300))
        return order

    assert virtual_time.run(main) == ["large 0", "small", "large 1", "large 2"]


def test_it_says_what_it_does() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        pacer = Pacer(loop.now_ns, asyncio.sleep)
        shown = [repr(pacer)]
        pacer.refused(await pacer.turn(MESSAGE), MESSAGE, 1.0)
        return [*shown, repr(pacer)]

    assert virtual_time.run(main) == [
        "Pacer(as fast as can be, 0 waiting, 0 refusals)",
        "Pacer(1,900,000 bytes a second, 0 waiting, 1 refusals)",
    ]
