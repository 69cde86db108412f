"""Slices take about a millisecond by the clock, whatever the code does."""

from __future__ import annotations

from canister_factory.replica.runtime.slices import SLICE_INSTRUCTIONS, Groups, Slices

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


class Call:
    """Ends after so many slices, each of which takes some time."""

    def __init__(self, clock: Clock, slices: int, ns_for_each: int) -> None:
        self.clock, self.slices, self.ns_for_each = clock, slices, ns_for_each
        self.lengths: list[int] = []

    def resume(self) -> bool:
        self.clock.now_ns += self.ns_for_each
        self.slices -= 1
        return not self.slices

    def next_slice(self, instructions: int) -> None:
        self.lengths.append(instructions)


def groups(slices: int, ns_for_each: int, *, with_clock: bool = True) -> tuple[Groups, Call]:
    clock = Clock()
    call = Call(clock, slices, ns_for_each)
    return Groups(Slices(clock if with_clock else None), call, call), call


def sizes(slices: int, ns_for_each: int, *, with_clock: bool = True, beside: bool = False) -> list[int]:
    """How many slices each group has."""
    together, call = groups(slices, ns_for_each, with_clock=with_clock)
    found, ended = [], False
    while not ended:
        before = call.slices
        ended = together.execute_beside() if beside else together.execute()
        found.append(before - call.slices)
    return found


def test_short_slices_are_executed_together_up_to_half_a_millisecond() -> None:
    assert sizes(10, MILLISECOND // 8) == [4, 4, 2]
    assert sizes(3, MILLISECOND) == [1, 1, 1], "long ones are not"
    assert sizes(3, 0, with_clock=False) == [1, 1, 1], "nor does anything follow a clock that isn't there"


def test_in_another_thread_more_of_them_are_executed_together_unless_it_is_to_stop() -> None:
    assert sizes(50, MILLISECOND, beside=True) == [20, 20, 10]
    together, call = groups(50, MILLISECOND)
    together.stopping = True
    assert not together.execute_beside()
    assert call.slices == 49


def test_each_slice_but_the_first_is_announced() -> None:
    together, call = groups(6, MILLISECOND // 8)
    assert (together.execute(), together.execute()) == (False, True)
    assert call.lengths == [200_000, 400_000, 800_000, 1_000_000, 1_000_000]


def test_slices_in_another_thread_become_longer() -> None:
    together, call = groups(8, MILLISECOND // 8)
    assert together.execute_beside()
    assert call.lengths == [200_000, 400_000, 800_000, 1_600_000, 3_200_000, 4_000_000, 4_000_000]
