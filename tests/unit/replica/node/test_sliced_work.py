"""Long queries take turns, few at a time, and end when the replica stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from canister_factory.replica.node.round_failed import RoundFailedError
from canister_factory.replica.node.sliced_work import FIRST_TURNS, MAX_UNDER_WAY, MAX_WAITING, TURN_NS, SlicedWork
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Steps

SLICE_NS = TURN_NS // 4
GOES = 3  # of the loop, in which there is a turn for certain


class Clock:
    """Each slice takes a quarter of a turn."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class Job:
    """So many slices of work; what it did is in the common diary."""

    def __init__(self, clock: Clock, name: str, slices: int, diary: list[str]) -> None:
        self._clock, self.name, self._slices, self._diary = clock, name, slices, diary
        self.closed = False

    def steps(self) -> Steps[str]:
        try:
            for _ in range(self._slices):
                self._diary.append(self.name)
                self._clock.now_ns += SLICE_NS
                yield None
            return self.name
        finally:
            self.closed = True


@pytest.fixture
def world() -> tuple[SlicedWork, Callable[[str, int], Job], list[str]]:
    clock, diary = Clock(), list[str]()
    return SlicedWork(clock), lambda name, slices: Job(clock, name, slices, diary), diary


World = tuple[SlicedWork, Callable[[str, int], Job], list[str]]


async def test_short_work_is_done_at_once(world: World) -> None:
    work, job, diary = world
    answer = work.finish(job("short", 3).steps())
    with pytest.raises(StopIteration) as done:
        answer.send(None)
    assert (done.value.value, diary) == ("short", ["short"] * 3)


async def test_long_work_takes_turns_of_four_slices_and_short_work_gets_in_between(world: World) -> None:
    work, job, diary = world
    long = [asyncio.ensure_future(work.finish(job(name, 20).steps())) for name in ("one", "two")]
    await asyncio.sleep(0)
    assert diary == ["one"] * 8 + ["two"] * 4, "both began, and one had its first turn"
    await work.finish(job("short", 1).steps())
    assert await asyncio.gather(*long) == ["one", "two"]
    later = [name for name in diary[12:] if name != "short"]
    turns = [later[at : at + 4] for at in range(0, len(later), 4)]
    assert turns[:6] == [["two"] * 4, ["one"] * 4] * 3
    assert diary.index("short") == 12


async def test_what_ends_within_a_few_turns_does_not_wait_for_the_longest(world: World) -> None:
    work, job, _ = world
    longest = [asyncio.ensure_future(work.finish(job(str(number), 10**9).steps())) for number in range(MAX_WAITING - 1)]
    for _ in range(GOES * FIRST_TURNS * MAX_WAITING):
        await asyncio.sleep(0)
    medium = asyncio.ensure_future(work.finish(job("medium", 4 * FIRST_TURNS).steps()))
    for _ in range(GOES * FIRST_TURNS * (MAX_UNDER_WAY + 1)):
        await asyncio.sleep(0)
    assert medium.done()
    assert await medium == "medium"
    work.stop()
    await asyncio.gather(*longest, return_exceptions=True)


async def test_of_many_long_ones_few_are_under_way_and_too_many_are_refused(world: World) -> None:
    work, job, diary = world
    jobs = [job(str(number), 10**9) for number in range(MAX_WAITING)]
    waiting = [asyncio.ensure_future(work.finish(each.steps())) for each in jobs]
    for _ in range(GOES * FIRST_TURNS * MAX_WAITING):
        await asyncio.sleep(0)
    diary.clear()  # of how far each got at once, and in its first turns
    for _ in range(3 * MAX_UNDER_WAY):
        await asyncio.sleep(0)
    assert set(diary) == {str(number) for number in range(MAX_UNDER_WAY)}
    with pytest.raises(CanisterError) as refused:
        await work.finish(job("one more", 50).steps())
    assert refused.value.error_code == "IC0204"
    work.stop()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(end, RoundFailedError) and end.retry_helps for end in ends)
    assert all(each.closed for each in jobs)


async def test_work_that_waits_for_something_holds_up_nobody_and_goes_on_when_it_is_there(world: World) -> None:
    work, job, diary = world
    elsewhere: Future[str] = Future()

    def waiting() -> Steps[str]:
        try:
            while not elsewhere.done():
                diary.append("waits")
                yield elsewhere
            return elsewhere.result()
        finally:
            diary.append("closed")

    answer = asyncio.ensure_future(work.finish(waiting()))
    assert await work.finish(job("other", 20).steps()) == "other"
    assert (diary.count("waits"), diary.count("other")) == (2, 20), "it was asked at first, and in its first turn"
    elsewhere.set_result("there")
    assert await answer == "there"
    assert diary[-1] == "closed"


async def test_what_failed_elsewhere_is_the_works_own_to_raise(world: World) -> None:
    work, _, _ = world
    elsewhere: Future[str] = Future()

    def waiting() -> Steps[str]:
        while not elsewhere.done():
            yield elsewhere
        return elsewhere.result()

    answer = asyncio.ensure_future(work.finish(waiting()))
    await asyncio.sleep(0)
    elsewhere.set_exception(CanisterError(RejectCode.CANISTER_ERROR, "trapped"))
    with pytest.raises(CanisterError, match="trapped"):
        await answer


async def test_what_was_cancelled_elsewhere_is_the_works_own_to_tell(world: World) -> None:
    work, _, _ = world
    elsewhere: Future[str] = Future()

    def waiting() -> Steps[str]:
        while not elsewhere.done():
            yield elsewhere
        return "given up" if elsewhere.cancelled() else ""

    answer = asyncio.ensure_future(work.finish(waiting()))
    await asyncio.sleep(0)
    elsewhere.cancel()
    assert await answer == "given up"
