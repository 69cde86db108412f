"""Places for creations: so many at once, and more for those that take long, which then hold back nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from canister_factory.factory.places import Places


class Patience:
    """Each creation's patience ends when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Event] = []

    async def sleep(self, seconds: float) -> None:
        assert seconds == 60
        self.waiting.append(asyncio.Event())
        await self.waiting[-1].wait()


async def settle() -> None:
    """Lets all tasks come to where they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


class Crowd:
    """Creations that ask for places, and run until they are let go."""

    def __init__(self, parallel: int, long: int) -> None:
        self.patience = Patience()
        self.places = Places(parallel, long, 60, self.patience.sleep)
        self.running: list[int] = []
        self.gates: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, count: int) -> None:
        for _ in range(count):
            self.gates.append(asyncio.Event())
            self.tasks.append(asyncio.create_task(self._run(len(self.tasks))))
        await settle()

    async def _run(self, number: int) -> None:
        async with self.places.one():
            self.running.append(number)
            try:
                await self.gates[number].wait()
            finally:
                self.running.remove(number)

    async def end(self, number: int) -> None:
        self.gates[number].set()
        await settle()

    async def grow_long(self, number: int) -> None:
        self.patience.waiting[number].set()
        await settle()


@pytest.fixture
def crowd() -> Callable[[int, int], Crowd]:
    return Crowd


async def test_no_more_run_at_once_than_there_are_places(crowd: Callable[[int, int], Crowd]) -> None:
    here = crowd(2, 4)
    await here.come(3)
    assert here.running == [0, 1]
    await here.end(0)
    assert here.running == [1, 2]
    assert repr(here.places) == "Places(2 taken, 0 by long ones)"


async def test_what_takes_long_gives_its_place_to_the_next(crowd: Callable[[int, int], Crowd]) -> None:
    here = crowd(1, 2)
    await here.come(3)
    for number in range(2):
        assert here.running == list(range(number + 1))
        await here.grow_long(number)
    assert here.running == [0, 1, 2]
    assert (here.places.taken, here.places.taken_long) == (3, 2)


async def test_of_long_ones_there_are_only_so_many_and_the_next_takes_the_place_of_one_that_ends(
    crowd: Callable[[int, int], Crowd],
) -> None:
    here = crowd(1, 1)
    await here.come(3)
    await here.grow_long(0)
    await here.grow_long(1)
    assert here.running == [0, 1]
    await here.end(0)
    assert here.running == [1, 2]
    assert here.places.taken_long == 1
    await here.end(1)
    await here.end(2)
    assert (here.places.taken, here.places.taken_long) == (0, 0)
    await here.come(2)
    assert here.running == [3], "as many places as before"


async def test_a_creation_that_is_cancelled_gives_its_place_back(crowd: Callable[[int, int], Crowd]) -> None:
    here = crowd(1, 1)
    await here.come(2)
    here.tasks[0].cancel()
    await settle()
    assert here.running == [1]
    assert here.places.taken == 1
