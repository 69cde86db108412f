"""What foreign text can do to a terminal or a log line: nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic.foreign_text import escaped, quoted


@given(st.text(st.characters()))
def test_no_control_or_direction_character_survives(text: str) -> None:
    shown = escaped(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [
        c for c in shown if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI")
    ]
    shown.encode("utf-8")


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_text_of_any_script_is_left_alone(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tag\U000e0041", "tag\\U000e0041"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("\ud83d", "\\ud83d"),
    ],
)
def test_each_kind_is_written_as_in_python(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_lines_may_be_kept() -> None:
    assert escaped("one\n\ttwo\x1b[K", keep_lines=True) == "one\n\ttwo\\x1b[K"


def test_a_long_quotation_is_cut_and_the_rest_is_counted() -> None:
    assert quoted("x" * 1_500, limit=10) == "xxxxxxxxxx… (1,490 more characters)"
    assert quoted("short") == "short"
