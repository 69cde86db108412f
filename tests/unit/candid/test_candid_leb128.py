from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError


def reference_unsigned(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes((number & 127 | 128,)), number >> 7
    return out + bytes((number,))


SIZES = st.one_of(st.integers(0, 300), st.integers(0, 2**64), st.integers(2**100, 2**130), st.integers(0, 2**2000))


@settings(deadline=None)
@given(SIZES)
def test_unsigned_numbers_are_minimal_and_read_back(number: int) -> None:
    raw = leb128.unsigned(number)
    assert raw == reference_unsigned(number)
    assert leb128.read_unsigned(b"x" + raw + b"y", 1) == (number, 1 + len(raw))


@settings(deadline=None)
@given(SIZES, st.booleans())
def test_signed_numbers_read_back_and_are_minimal(number: int, negative: bool) -> None:
    number = -number if negative else number
    raw = leb128.signed(number)
    assert leb128.read_signed(raw, 0) == (number, len(raw))
    # A last byte of sign bits alone is there only when the byte before has the other sign.
    padding = {0x00: 0, 0x7F: 64}.get(raw[-1]) if len(raw) > 1 else None
    assert padding != raw[-2:][0] & 64


@settings(deadline=None)
@given(st.integers(0, 2**70), st.integers(1, 40))
def test_overlong_forms_are_read(number: int, padding: int) -> None:
    raw = bytearray(leb128.unsigned(number))
    raw[-1] |= 128
    raw += b"\x80" * (padding - 1) + b"\x00"
    assert leb128.read_unsigned(bytes(raw), 0) == (number, len(raw))


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xff" * 9, b"\xff" * 50])
def test_a_number_that_never_ends_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="ends within a number"):
        leb128.read_unsigned(raw, 0)


def test_a_number_twice_as_long_takes_twice_the_steps(count_calls: Callable[[Callable[[], object]], int]) -> None:
    def steps(bits: int) -> int:
        encoded = leb128.unsigned(1 << bits)
        return count_calls(lambda: leb128.read_unsigned(leb128.unsigned(1 << bits), 0)) + len(encoded)

    assert steps(400_000) < 2.2 * steps(200_000)


def test_huge_numbers_survive() -> None:
    number = 1 << 800_000
    assert leb128.read_unsigned(leb128.unsigned(number), 0)[0] == number
    assert leb128.read_signed(leb128.signed(-number), 0)[0] == -number


@pytest.mark.parametrize("number", [-1, -128, -(2**200)])
def test_negative_numbers_have_no_unsigned_form(number: int) -> None:
    with pytest.raises(ValueError, match=f"only natural numbers have an unsigned LEB128 form, not {number}"):
        leb128.unsigned(number)
