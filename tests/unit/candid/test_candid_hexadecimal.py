"""Hexadecimal digits as people and files give them."""

from __future__ import annotations

import pytest

from canister_factory.candid.hexadecimal import from_hex


@pytest.mark.parametrize("text", ["00ff", "00FF", "0x00ff", " 00ff\n", "00 ff"])
def test_digits_are_read_however_they_are_written(text: str) -> None:
    assert from_hex(text) == from_hex(text, 2) == b"\x00\xff"


def test_no_digits_are_no_bytes() -> None:
    assert from_hex("") == b""


@pytest.mark.parametrize("text", ["0", "zz", "0x0x00", "secret", None, 5])
def test_what_is_no_digits_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not hexadecimal digits, two for each byte$") as refused:
        from_hex(text)
    assert refused.value.__context__ is None


def test_another_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"^2 bytes in hexadecimal digits instead of 32$"):
        from_hex("00ff", 32)
