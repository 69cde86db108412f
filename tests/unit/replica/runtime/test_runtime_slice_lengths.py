"""Slices take about a millisecond by the clock, whatever the code does."""

from __future__ import annotations

from canister_factory.replica.runtime.slices import SLICE_INSTRUCTIONS, Slices

MILLISECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 5

    def __call__(self) -> int:
        return self.now_ns


def lengths(ns_for_each: float, count: int = 40) -> list[int]:
    """Of slices of code that takes so long for each instruction."""
    clock = Clock()
    slices = Slices(clock)
    found = [slices.first]
    for _ in range(count):
        started_ns = slices.now_ns()
        clock.now_ns += int(found[-1] * ns_for_each)
        found.append(slices.after(found[-1], started_ns))
    return found


def test_without_a_clock_all_have_the_same_length() -> None:
    slices = Slices()
    assert slices.first == slices.after(slices.first, slices.now_ns()) == SLICE_INSTRUCTIONS


def test_fast_code_gets_longer_slices_up_to_a_limit_and_slow_code_shorter_ones() -> None:
    assert lengths(0.1)[:6] == [100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000]
    for slow_ns in (20, 100):
        first, *others = lengths(slow_ns)
        assert first * slow_ns <= 10 * MILLISECOND
        assert all(length * slow_ns <= 2 * MILLISECOND for length in others)
    assert lengths(10_000)[1] == 10_000, "but not shorter than that"


def test_usual_code_keeps_the_length_that_takes_a_millisecond() -> None:
    found = lengths(2)
    assert found[2:] == found[2:3] * 39
    assert 0.5 * MILLISECOND <= found[-1] * 2 <= 2 * MILLISECOND
