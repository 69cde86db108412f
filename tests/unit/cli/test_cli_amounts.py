"""Amounts and durations as people type them."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.cli.amounts import CYCLES, DURATION


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("5T", 5 * 10**12),
        ("500B", 500 * 10**9),
        ("1.5t", 1_500_000_000_000),
        ("2M", 2_000_000),
        ("3k", 3_000),
        ("1_000_000", 1_000_000),
        ("1,000,000", 1_000_000),
        ("0", 0),
    ],
)
def test_cycles_are_read_as_people_write_them(text: str, cycles: int) -> None:
    assert CYCLES.convert(text, None, None) == cycles


@pytest.mark.parametrize("text", ["", "T", "-5T", "5 X", "five", "1.5", "0.0001K", "1e12", "\u0665T", "_5", "5TB"])
def test_what_is_no_number_of_cycles_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="5T, 500B or 1_000_000"):
        CYCLES.convert(text, None, None)


@given(st.integers(min_value=0, max_value=10**30))
def test_any_whole_number_of_cycles_is_read_exactly(amount: int) -> None:
    assert CYCLES.convert(str(amount), None, None) == amount
    assert CYCLES.convert(f"{amount:_}", None, None) == amount
    assert CYCLES.convert(f"{amount}B", None, None) == amount * 10**9


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("0.5h", 1_800)]
)
def test_durations_are_nanoseconds(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "5", "-1h", "1y", "h", "1h30m"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90s, 30m, 24h or 7d"):
        DURATION.convert(text, None, None)
