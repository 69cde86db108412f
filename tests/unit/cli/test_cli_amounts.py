"""Amounts and durations as people type them."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.cli.amounts import CYCLES, CYCLES_PRICE, DURATION, SECONDS, SIZE


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
        ("3TC", 3 * 10**12),
        ("3 TC", 3 * 10**12),
        ("1.5 bc", 1_500_000_000),
        ("1,500T", 1_500 * 10**12),
        ("1_000.5K", 1_000_500),
    ],
)
def test_cycles_are_read_as_people_write_them(text: str, cycles: int) -> None:
    assert CYCLES.convert(text, None, None) == cycles


@pytest.mark.parametrize(
    "text",
    ["", "T", "-5T", "5 X", "five", "1.5", "0.0001K", "1e12", "\u0665T", "_5", "5_", "1__0", "5TB", "5C", "5TCC"],
)
def test_what_is_no_number_of_cycles_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="5T, 500B or 1_000_000"):
        CYCLES.convert(text, None, None)


@given(st.integers(min_value=0, max_value=10**29))
def test_any_whole_number_of_cycles_is_read_exactly(amount: int) -> None:
    assert CYCLES.convert(str(amount), None, None) == amount
    assert CYCLES.convert(f"{amount:_}", None, None) == amount
    assert CYCLES.convert(f"{amount:,}", None, None) == amount
    for text in (f"{amount}B", f"{amount}BC", f"{amount} bc", f"{amount:,}B", f"{amount}.000B"):
        assert CYCLES.convert(text, None, None) == amount * 10**9


def test_no_more_cycles_are_taken_than_a_canister_can_hold() -> None:
    assert CYCLES.convert(str(2**128 - 1), None, None) == 2**128 - 1
    for text in (str(2**128), "1" + "0" * 40, "340282366920938463463374608T"):
        with pytest.raises(click.BadParameter, match="more cycles than a canister can hold"):
            CYCLES.convert(text, None, None)


@pytest.mark.parametrize("text", ["1,5T", "1,50T", "1,5000", "12,3456,789", "1.000,5T", "1,000_000", ",500", "1,"])
def test_a_comma_that_may_be_a_decimal_comma_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="the decimal sign is a point"):
        CYCLES.convert(text, None, None)


@given(st.integers(0, 10**6), st.text("0123456789,", max_size=8), st.sampled_from(["", "T", "TC", " B"]))
def test_commas_are_taken_only_between_groups_of_three_digits(first: int, rest: str, unit: str) -> None:
    text = f"{first},{rest}"
    groups = text.split(",")
    grouped = 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    try:
        read = CYCLES.convert(text + unit, None, None)
    except click.BadParameter:
        assert not grouped
    else:
        assert grouped
        assert read == int("".join(groups)) * {"": 1, "T": 10**12, "TC": 10**12, " B": 10**9}[unit]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("0.5h", 1_800)]
)
def test_durations_are_nanoseconds(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "5", "-1h", "1y", "h", "1h30m"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90s, 30m, 24h or 7d"):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90d", 7_776_000), ("0.5h", 1_800), ("0s", 0)])
def test_durations_of_settings_are_seconds(text: str, seconds: int) -> None:
    assert SECONDS.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["0.5s", "1.0001h"])
def test_a_part_of_a_second_is_refused_where_settings_have_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="whole seconds"):
        SECONDS.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1_000_000", 10**6),
        ("12 B", 12),
        ("5kB", 5_000),
        ("2GB", 2 * 10**9),
        ("1.5gb", 1_500_000_000),
        ("3GiB", 3 * 2**30),
        ("0.5 MiB", 2**19),
        ("1TiB", 2**40),
        ("1,500MB", 1_500 * 10**6),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 XB", "1G", "1iB", "1,5GB", "0.1B", "five"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="number of bytes"):
        SIZE.convert(text, None, None)


@pytest.mark.parametrize("text", ["12345,678MB", "1,000_000", "1_000,500", "1,000.5,5kB"])
def test_a_comma_in_a_size_that_may_be_a_decimal_comma_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a number of bytes"):
        SIZE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "per_trillion", "unit"),
    [
        ("1.36USD", 1.36, "USD"),
        ("1.36 usd", 1.36, "USD"),
        ("USD 1.36", 1.36, "USD"),
        ("1XDR", 1.0, "XDR"),
        ("0.95", 0.95, ""),
        ("1,300 JPY", 1300.0, "JPY"),
    ],
)
def test_a_price_is_read_as_people_write_it(text: str, per_trillion: float, unit: str) -> None:
    price = CYCLES_PRICE.convert(text, None, None)
    assert (float(price.per_trillion), price.unit) == (per_trillion, unit)
    assert float(price.of(5 * 10**11)) == per_trillion / 2
    assert CYCLES_PRICE.convert(price, None, None) is price


@pytest.mark.parametrize(
    "text", ["", "USD", "0USD", "-1USD", "1,36USD", "USD 1 USD", "1e3", "$1", "1USDOLLAR", "10000000000"]
)
def test_what_is_no_price_of_cycles_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not the price of a trillion cycles"):
        CYCLES_PRICE.convert(text, None, None)
