"""Request ids and the CBOR that carries them."""

import contextlib
from random import Random
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from canister_factory.candid import leb128
from canister_factory.ic import cbor
from canister_factory.ic import request_id as request_ids
from canister_factory.ic.errors import MalformedCborError
from canister_factory.ic.request_id import hash_of_map, request_id

SCALARS = st.binary(max_size=300) | st.text(max_size=50) | st.integers(0, 2**64 - 1)
# Making nested values takes long on a busy machine, which says nothing about them.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def test_the_specifications_example_call_has_the_specified_request_id() -> None:
    content = {
        "request_type": "call",
        "sender": b"\x04",
        "ingress_expiry": 1_685_570_400_000_000_000,
        "canister_id": bytes.fromhex("00000000000004d2"),
        "method_name": "hello",
        "arg": b"DIDL\x00\xfd*",
    }
    assert request_id(content).hex() == "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101"


@pytest.mark.parametrize(("number", "encoded"), [(0, "00"), (624485, "e58e26"), (127, "7f"), (128, "8001")])
def test_numbers_are_hashed_in_their_shortest_leb128_form(number: int, encoded: str) -> None:
    assert leb128.unsigned(number).hex() == encoded


@UNHURRIED
@given(st.dictionaries(st.text(), VALUES, max_size=6), st.randoms())
def test_the_order_of_fields_and_left_out_fields_do_not_matter(fields: dict[str, Any], random: Random) -> None:
    names = list(fields)
    random.shuffle(names)
    shuffled = {"\0absent": None, **{name: fields[name] for name in names}}
    assert hash_of_map(shuffled) == hash_of_map(fields)


@UNHURRIED
@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), VALUES)
def test_another_value_gives_another_hash(fields: dict[str, Any], other: object) -> None:
    name = next(iter(fields))
    assume(hash_of_map({"": other}) != hash_of_map({"": fields[name]}))
    assert hash_of_map({**fields, name: other}) != hash_of_map(fields)


def test_long_names_are_not_remembered() -> None:
    hash_of_map({"sender": b""})
    before = request_ids._remembered_name_hash.cache_info().currsize
    assert hash_of_map({"long" * 1000: 1}) != hash_of_map({"long" * 1001: 1})
    assert request_ids._remembered_name_hash.cache_info().currsize == before


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError), (object(), TypeError)]
)
def test_values_without_a_representation_independent_hash_are_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        hash_of_map({"x": value})


@UNHURRIED
@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_cbor_is_what_other_decoders_read_and_we_read_back(value: dict[str, Any]) -> None:
    data = cbor.dumps(value)
    assert data.startswith(cbor.SELF_DESCRIBE)
    assert cbor2.loads(data) == value
    assert cbor.loads(data) == value


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_decoded_or_refused_with_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(MalformedCborError):
        cbor.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa1",
        b"\xa0\x00",  # something after the map
        b"\x81" * 5000 + b"\x00",  # nested too deeply
        b"\x5b\x7f" + b"\xff" * 7,  # a byte string of nearly 2**63 bytes
        b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",  # a decimal with an absurd exponent
    ],
)
def test_malformed_cbor_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCborError):
        cbor.loads(data)


@pytest.mark.parametrize("data", [b"\x80", b"\xa1\x00\x00"])
def test_what_is_not_a_map_with_text_keys_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCborError, match="expected a CBOR map"):
        cbor.loads_map(data)
