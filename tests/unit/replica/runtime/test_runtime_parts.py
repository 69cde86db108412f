"""Bytes that come in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canister_factory.replica.runtime.parts import Parts

SIZES = st.integers(0, 40) | st.integers(16_000, 17_000)


@given(st.lists(st.tuples(st.integers(0, 255), SIZES), max_size=30))
def test_the_whole_is_all_parts_in_their_order(sizes: list[tuple[int, int]]) -> None:
    parts, expected = Parts(), b""
    for byte, size in sizes:
        parts.add(bytes((byte,)) * size)
        expected += bytes((byte,)) * size
        assert parts.size == len(expected)
        assert parts.whole() == expected


def test_a_single_part_is_not_copied_and_small_ones_take_no_object_each() -> None:
    parts, large = Parts(), bytes(100_000)
    parts.add(large)
    assert parts.whole() is large
    for _ in range(1000):
        parts.add(b"ab")
    parts.add(large)
    for _ in range(1000):
        parts.add(b"c")
    assert repr(parts) == "<Parts size=203000 kept=4>"
    assert parts.whole() == large + b"ab" * 1000 + large + b"c" * 1000
