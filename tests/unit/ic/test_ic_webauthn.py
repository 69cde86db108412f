"""Signatures of passkeys, in each of the three schemes that the specification allows."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from canister_factory.ic.errors import SignatureError
from canister_factory.ic.public_key import encode_subject_public_key, webauthn_key
from canister_factory.ic.webauthn import verify_webauthn_signature

ALGORITHM = bytes.fromhex("300c060a2b0601040183b8430101")
# The key in the specification's example of a DER-wrapped COSE key.
EXAMPLE = bytes.fromhex(
    "305e300c060a2b0601040183b8430101034e00a50102032620012158207ffd83632072fd1bfeaf3fbaa43146e0ef95c3f55e3994a41bbf2b"
    "5174d771da22582032497eed0a7f6f000928765b8318162cfd80a94e525a6a368c2363063d04e6ed"
)

P256, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


POINT, MODULUS = P256.public_key().public_numbers(), RSA.public_key().public_numbers()
COSE: dict[str, dict[int, Any]] = {
    "ecdsa": {1: 2, 3: -7, -1: 1, -2: POINT.x.to_bytes(32, "big"), -3: POINT.y.to_bytes(32, "big")},
    "rsa": {1: 3, 3: -257, -1: number(MODULUS.n), -2: number(MODULUS.e)},
    "eddsa": {1: 1, 3: -8, -1: 6, -2: ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)},
}
SIGN: dict[str, Callable[[bytes], bytes]] = {
    "ecdsa": lambda data: P256.sign(data, ec.ECDSA(hashes.SHA256())),
    "rsa": lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA256()),
    "eddsa": ED25519.sign,
}


def signature(scheme: str, message: bytes, **changes: Any) -> bytes:
    challenge = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
    client = json.dumps({"type": "webauthn.get", "challenge": challenge, "origin": "https://example.com"})
    data = b"authenticator data"
    fields = {
        "authenticator_data": data,
        "client_data_json": client,
        "signature": SIGN[scheme](data + sha256(client.encode()).digest()),
    }
    return cbor2.dumps(cbor2.CBORTag(55799, fields | changes))


def test_a_cose_key_is_wrapped_as_the_specification_shows() -> None:
    key = webauthn_key(EXAMPLE)
    assert key is not None
    assert cbor2.loads(key)[3] == -7
    assert encode_subject_public_key(ALGORITHM, key) == EXAMPLE
    assert webauthn_key(EXAMPLE[:-1]) is None


@pytest.mark.parametrize("scheme", COSE)
def test_a_passkey_signs_its_challenge_and_nothing_else(scheme: str) -> None:
    key = cbor2.dumps(COSE[scheme])
    verify_webauthn_signature(key, b"\xfb\xff message", signature(scheme, b"\xfb\xff message"))
    with pytest.raises(SignatureError, match="challenge"):
        verify_webauthn_signature(key, b"another", signature(scheme, b"message"))
    with pytest.raises(SignatureError, match="does not verify"):
        verify_webauthn_signature(key, b"message", signature(scheme, b"message", authenticator_data=b"other"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client_data_json": "no JSON"}, "challenge"),
        ({"client_data_json": "[]"}, "challenge"),
        ({"client_data_json": b"bytes"}, "missing"),
        ({"authenticator_data": None}, "missing"),
        ({"signature": b"short"}, "does not verify"),
    ],
)
@pytest.mark.parametrize("scheme", COSE)
def test_what_is_no_assertion_is_refused(scheme: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SignatureError, match=says):
        verify_webauthn_signature(cbor2.dumps(COSE[scheme]), b"message", signature(scheme, b"message", **changes))


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"no CBOR",
        cbor2.dumps([1]),
        cbor2.dumps({}),
        cbor2.dumps(COSE["ecdsa"] | {-1: 2}),
        cbor2.dumps(COSE["ecdsa"] | {-2: bytes(32)}),
        cbor2.dumps(COSE["ecdsa"] | {3: -257}),
        cbor2.dumps(COSE["rsa"] | {-1: b"\x01" * 1025}),
        cbor2.dumps(COSE["eddsa"] | {-2: b"short"}),
    ],
    ids=range(9),  # the keys differ from process to process, and both processes must collect the same tests
)
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(SignatureError, match="public key"):
        verify_webauthn_signature(key, b"message", signature("ecdsa", b"message"))


def test_a_key_that_would_be_remembered_with_much_beside_it_is_refused() -> None:
    key = cbor2.dumps(COSE["eddsa"] | {-9: bytes(4096)})
    with pytest.raises(SignatureError, match="at most 4096"):
        verify_webauthn_signature(key, b"message", signature("eddsa", b"message"))
