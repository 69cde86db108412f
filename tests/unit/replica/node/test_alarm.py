"""When the rounds are woken by nobody but time; and the rounds that come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from canister_factory.replica.node.alarm import REST_S, Alarm
from support.replica_http_support import Caller, Network, url
from support.virtual_time import VirtualTimeLoop, run

Life = Callable[["World"], Coroutine[Any, Any, None]]


class World:
    """An alarm, and when it woke somebody: seconds, and whether that was for the rest."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.loop = loop
        self.woken: list[tuple[float, bool]] = []
        self.alarm = Alarm(lambda: self.woken.append((loop.time(), self.alarm.take_rest())))


def lived(life: Life) -> list[tuple[float, bool]]:
    """What an alarm did in a life, and in the ten hours after it."""

    async def whole(loop: VirtualTimeLoop) -> list[tuple[float, bool]]:
        world = World(loop)
        await life(world)
        await asyncio.sleep(36_000)
        return world.woken

    return run(whole)


def test_the_last_time_that_was_set_counts_and_none_is_later_than_an_hour() -> None:
    async def life(world: World) -> None:
        world.alarm.wake_in(5)
        world.alarm.wake_in(7)
        await asyncio.sleep(10)
        world.alarm.wake_in(1e9)

    assert lived(life) == [(7, False), (3610, False)]


def test_rest_comes_once_after_the_last_of_what_happens() -> None:
    async def life(world: World) -> None:
        for _ in range(10):
            assert not world.alarm.take_rest()
            world.alarm.expect_rest()
            await asyncio.sleep(0.9 * REST_S)

    ((at, is_rest),) = lived(life)
    assert is_rest
    assert at == pytest.approx(9.1 * REST_S)


def test_what_has_begun_and_not_ended_is_no_rest() -> None:
    async def life(world: World) -> None:
        world.alarm.expect_rest()
        await asyncio.sleep(0.9 * REST_S)
        world.alarm.take_rest()  # a round that has another one follow it

    assert lived(life) == []


def test_nobody_is_woken_after_the_end() -> None:
    async def life(world: World) -> None:
        world.alarm.expect_rest()
        world.alarm.wake_in(5)
        world.alarm.cancel()

    assert lived(life) == []


def test_the_rounds_tell_of_a_rest_once_and_again_when_something_has_happened() -> None:
    async def life(loop: VirtualTimeLoop) -> list[tuple[int, int]]:
        counts = []
        async with Network() as network:
            for _ in range(2):
                for _ in range(5):
                    await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
                    await asyncio.sleep(0.9 * REST_S)
                counts.append((network.subnet.executed_messages, network.subnet.rests))
                await asyncio.sleep(1000)
                counts.append((network.subnet.executed_messages, network.subnet.rests))
        return counts

    assert run(life) == [(5, 0), (5, 1), (10, 1), (10, 2)]


def test_a_computation_of_many_rounds_is_no_rest() -> None:
    async def life(loop: VirtualTimeLoop) -> tuple[int, int]:
        async with Network() as network:
            await asyncio.sleep(0.5 * REST_S)  # after the first round
            network.subnet.more_rounds = 10_000
            await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
            loop._go_on(REST_S)
            while network.subnet.more_rounds > 1:  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0)
            rests = network.subnet.rests
            await asyncio.sleep(1000)
            return rests, network.subnet.rests

    assert run(life) == (0, 1)
