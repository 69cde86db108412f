"""The window of messages in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.factory.window import Window


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_never_more_jobs_run_at_once_than_the_window_allows() -> None:
    window = Window(3, 3)
    running = most = 0
    done: list[int] = []

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    await window.run(numbers(50), work)
    assert most == 3
    assert sorted(done) == list(range(50))
    assert window.in_flight == 0


async def test_pressure_halves_once_for_all_messages_that_were_in_flight_together() -> None:
    window = Window(8, 50)
    for _ in range(8):
        await window.enter()
    for _ in range(8):
        window.pressure()
    assert window.size == 4
    for _ in range(8):
        window.leave()
    window.pressure()
    assert window.size == 2


async def test_it_grows_by_one_for_each_window_of_successes_up_to_the_maximum() -> None:
    window = Window(2, 4)

    async def work(number: int) -> None:
        return None

    await window.run(numbers(2), work)
    assert window.size == 3
    await window.run(numbers(100), work)
    assert window.size == 4


async def test_it_never_shrinks_below_one() -> None:
    window = Window(1, 4)
    for _ in range(5):
        window.pressure()
    assert window.size == 1


async def test_what_would_only_wait_is_taken_away_one_at_a_time_and_comes_back_by_successes() -> None:
    window = Window(3, 8)
    window.ease()
    assert window.size == 2
    for _ in range(2):
        await window.enter()
        window.leave()
    assert window.size == 3
    for _ in range(9):
        window.ease()
    assert window.size == 1


@given(st.lists(st.sampled_from(["enter", "leave", "pressure", "ease"]), max_size=200), st.integers(1, 50))
async def test_the_window_stays_within_its_bounds_whatever_happens(events: list[str], start: int) -> None:
    window = Window(start, 50)
    for event in events:
        if event == "enter" and window.in_flight < window.size:
            await window.enter()
        elif event == "leave" and window.in_flight:
            window.leave()
        elif event == "pressure":
            window.pressure()
        elif event == "ease":
            window.ease()
        assert 1 <= window.size <= 50
        assert 0 <= window.in_flight <= 50


async def test_the_first_failure_stops_the_rest_and_is_raised_as_it_is() -> None:
    window = Window(4, 4)
    started: list[int] = []

    async def work(number: int) -> None:
        started.append(number)
        if number == 2:
            raise KeyError("number two")
        await asyncio.Event().wait()

    with pytest.raises(KeyError, match="number two"):
        await window.run(numbers(1_000), work)
    assert len(started) <= 5
    assert window.in_flight == 0


async def test_a_failing_source_of_jobs_is_raised_and_leaves_no_task_behind() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise OSError("no more")

    async def work(number: int) -> None:
        await asyncio.Event().wait()

    with pytest.raises(OSError, match="no more"):
        await Window(4, 4).run(broken(), work)
    assert len(asyncio.all_tasks()) == 1


def test_its_repr_shows_its_state() -> None:
    assert repr(Window(3, 9)) == "Window(0 of 3 in flight, at most 9)"
