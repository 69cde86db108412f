from __future__ import annotations

import pickle
from contextlib import suppress
from copy import deepcopy

import ic.principal
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from canister_factory.candid.errors import PrincipalError
from canister_factory.candid.principal import Principal

LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai"


@settings(deadline=None)
@given(st.binary(max_size=29))
def test_the_text_form_reads_back_and_agrees_with_ic_py(raw: bytes) -> None:
    principal = Principal(raw)
    assert Principal.from_str(str(principal)) == principal
    assert str(principal) == ic.principal.Principal(raw).to_str()


@settings(deadline=None)
@given(st.binary(max_size=29), st.binary(max_size=29))
def test_equality_hash_and_order_are_those_of_the_bytes(a: bytes, b: bytes) -> None:
    p, q = Principal(a), Principal(b)
    assert (p == q) == (a == b)
    assert (p < q) == (a < b)
    assert (p >= q) == (a >= b)
    assert hash(p) == hash(Principal(bytearray(a)))


def test_it_is_an_ic_py_principal_and_equals_one() -> None:
    ours, theirs = Principal.from_str(LEDGER), ic.principal.Principal.from_str(LEDGER)
    assert isinstance(ours, ic.principal.Principal)
    assert ours == theirs
    assert theirs == ours
    assert ours.to_account_id().to_str() == theirs.to_account_id().to_str()
    assert (ours.len, ours.hex) == (theirs.len, theirs.hex)


def test_well_known_principals() -> None:
    assert str(Principal.management_canister()) == "aaaaa-aa"
    assert str(Principal.anonymous()) == "2vxsx-fae"
    assert Principal.anonymous().is_anonymous
    assert Principal.self_authenticating(b"key").bytes == ic.principal.Principal.self_authenticating(b"key").bytes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ryjl3-tyaaa-aaaaa-aaabq-cai", "checksum"),
        ("ryjl3-tyaaa-aaaaa-aaaba-caj", "canonical"),
        ("ryjl3tyaaaaaaaaaaabacai", "canonical"),
        ("ryjl3-tyaaa-aaaaa-aaaba-cai-", "canonical"),
        ("aaaaa", "too short"),
        ("", "too short"),
        ("not a principal!", "base32"),
        ("é", "base32"),
    ],
)
def test_anything_but_the_canonical_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(PrincipalError, match=why):
        Principal.from_str(text)


@settings(deadline=None)
@given(st.text(max_size=70))
def test_reading_any_text_raises_nothing_but_principal_errors(text: str) -> None:
    with suppress(PrincipalError):
        assert str(Principal.from_str(text)) == text


def test_more_than_29_bytes_are_refused() -> None:
    with pytest.raises(PrincipalError, match="at most 29 bytes, got 30"):
        Principal(bytes(30))


def test_it_cannot_be_changed() -> None:
    principal = Principal(b"\x01")
    with pytest.raises(AttributeError, match="immutable"):
        principal.anything = 1
    with pytest.raises(AttributeError, match="immutable"):
        del principal._raw


def test_it_survives_pickling_and_copying() -> None:
    principal = Principal.from_str(LEDGER)
    assert pickle.loads(pickle.dumps(principal)) == principal
    assert deepcopy(principal) is principal
    assert repr(principal) == f"Principal({LEDGER})"


def test_pydantic_fields_take_principals_and_texts_and_write_text_as_json() -> None:
    adapter = TypeAdapter(Principal)
    expected = Principal.from_str(LEDGER)
    for given_value in (expected, LEDGER, ic.principal.Principal.from_str(LEDGER)):
        assert adapter.validate_python(given_value) == expected
    assert adapter.dump_json(expected) == f'"{LEDGER}"'.encode()
    assert adapter.validate_json(f'"{LEDGER}"') == expected
    assert adapter.dump_python(expected) is expected
    assert adapter.json_schema()["type"] == "string"
    with pytest.raises(ValidationError, match="checksum"):
        adapter.validate_python("ryjl3-tyaaa-aaaaa-aaabq-cai")


@given(st.binary(max_size=29))
def test_upper_case_is_read_as_lower_case_as_the_official_parser_does(raw: bytes) -> None:
    assert Principal.from_str(str(Principal(raw)).upper()) == Principal(raw)
