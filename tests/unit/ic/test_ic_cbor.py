"""Large messages are decoded here, all others by the library: nobody can tell but by the time that it takes."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import cbor
from canister_factory.ic.errors import MalformedCborError

LARGE = bytes(1 << 16)
ENVELOPE = {
    "content": {"request_type": "call", "sender": b"\x04", "ingress_expiry": 1 << 60, "arg": LARGE, "nonce": bytes(24)},
    "sender_pubkey": b"key",
    "sender_delegation": [{"delegation": {"pubkey": b"k", "expiration": 5, "targets": [b"one"]}, "signature": b"s"}],
    "é": "text",
}

ATOMS = (
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text() | st.binary()
)
VALUES = st.recursive(
    ATOMS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), values, max_size=4),
    max_leaves=12,
)


def decoded(data: bytes) -> Any:
    """What the library makes of all of the bytes; None where it refuses them."""
    decoder = cbor2.CBORDecoder(stream := BytesIO(data))
    try:
        value = decoder.decode()
    except Exception:
        return None
    return None if stream.read(1) else (value,)


def loaded(data: bytes) -> Any:
    try:
        return (cbor.loads(data),)
    except MalformedCborError:
        return None


def test_the_library_is_not_asked_for_a_large_envelope_which_it_would_copy_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = cbor.dumps(ENVELOPE)
    monkeypatch.setattr(cbor2, "CBORDecoder", None)
    assert cbor.loads(data) == ENVELOPE
    assert cbor.loads(data[len(cbor.SELF_DESCRIBE) :]) == ENVELOPE


@given(VALUES, st.booleans())
def test_whatever_stands_beside_a_large_byte_string_is_what_the_library_makes_of_it(value: Any, marked: bool) -> None:
    data = cbor.SELF_DESCRIBE * marked + cbor2.dumps({"arg": LARGE, "other": value})
    assert loaded(data) == decoded(data) == ({"arg": LARGE, "other": value},)


@given(st.data())
def test_damaged_messages_are_refused_or_read_as_the_library_does(data: st.DataObject) -> None:
    whole = cbor.dumps({**ENVELOPE, "arg": LARGE})
    head = bytearray(whole.replace(LARGE, b"\xff\xff"))  # where anything can be told apart
    at = data.draw(st.integers(0, len(head) - 1))
    head[at] = data.draw(st.integers(0, 255))
    message = bytes(head).replace(b"\xff\xff", LARGE)[: data.draw(st.sampled_from((None, -1, -70, 1 << 16)))]
    assert loaded(message) == decoded(message)


@pytest.mark.parametrize(
    "message",
    [
        b"\x81" * 70_000 + b"\x00",  # nested deeper than anything is
        b"\x9a\x00\x01\x00\x00" + bytes(1 << 16),  # more entries than are expected of a large message
        b"\x5f\x5a\x00\x01\x00\x00" + LARGE + b"\x41\x01\xff",  # of a length that isn't known before
        b"\xa2\x61a\x01\x61a\x5a\x00\x01\x00\x00" + LARGE,  # the same name twice
        b"\xa1\x5a\x00\x01\x00\x00" + LARGE + b"\x01",  # a name that is no text
        b"\x7a\x00\x01\x00\x00" + b"\xff" * (1 << 16),  # no UTF-8
        b"\x5b" + b"\xff" * 8 + LARGE,  # longer than the message
        LARGE,
    ],
)
def test_unusual_messages_are_the_librarys(message: bytes) -> None:
    assert loaded(message) == decoded(message)
