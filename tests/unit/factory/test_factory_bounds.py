"""What a run may take, by the size of its capsule; and that a look ends what would never end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.factory.bounds import Bounds, Extent, looking
from canister_factory.factory.errors import BoundsError, VerifyError
from canister_factory.factory.run import Run
from canister_factory.ic.trace import Event
from support.backend_script import BackendScript, Clock, run_on

CONFIG: dict[str, Any] = {
    "base_seconds": 100,
    "bytes_per_second": 10,
    "base_bytes": 1_000,
    "most_copies": 2,
    "look_seconds": 7,
}


def run_by(clock: Clock, **config: Any) -> Run:
    return run_on(BackendScript(), clock, **{**CONFIG, **config})


def moved(run: Run, sent: int, received: int) -> None:
    run.traffic(Event("call", "", "put", b"", True, 1, sent, received, "replied"))


def test_time_is_allowed_by_the_size_and_counts_from_the_beginning() -> None:
    clock = Clock()
    clock.now = 5_000.0
    bounds = Bounds(run_by(clock))
    clock.now += 130
    bounds.check(Extent(300, 0))
    with pytest.raises(BoundsError, match=r"took 130 s, above the limit of 129 s for 290 bytes") as raised:
        bounds.check(Extent(290, 0))
    assert raised.value.retry_helps


def test_bytes_both_ways_are_allowed_by_size_and_items() -> None:
    run = run_by(Clock())
    bounds = Bounds(run)
    moved(run, 900, 100)
    bounds.check(Extent(0, 0))
    moved(run, 0, 1)
    with pytest.raises(BoundsError, match="moved 1,001 bytes, above the limit of 1,000 for a capsule of 0"):
        bounds.check(Extent(0, 0))
    moved(run, 400, 7_999)
    bounds.check(Extent(100, 1))
    with pytest.raises(BoundsError, match="moved 9,400 bytes, above the limit of 9,396"):
        bounds.check(Extent(99, 1))


async def test_a_look_every_now_and_then_ends_work_that_would_never_end() -> None:
    clock, cancelled, looks = Clock(), asyncio.Event(), list[float]()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def look() -> None:
        looks.append(clock.now)
        if len(looks) == 3:
            raise VerifyError("another module")

    with pytest.raises(VerifyError, match="another module"):
        await looking(forever, look, run_by(clock))
    assert looks == [7, 14, 21]
    assert cancelled.is_set()


async def test_work_that_ends_is_looked_at_no_more() -> None:
    clock, looks = Clock(), list[float]()

    async def look() -> None:
        looks.append(clock.now)

    async def four() -> int:
        return 4

    assert await looking(four, look, run_by(clock)) == 4
    before = list(looks)
    await asyncio.sleep(0)
    assert looks == before


async def test_the_failure_of_the_work_is_raised_as_it_is() -> None:
    async def look() -> None:
        return None

    async def fails() -> None:
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        await looking(fails, look, run_by(Clock()))


def test_its_repr_shows_time_and_traffic() -> None:
    clock = Clock()
    bounds = Bounds(run_by(clock))
    clock.now = 3.0
    assert repr(bounds) == "Bounds(3 s, Traffic(0 requests, 0 failures, 0 attempts))"
