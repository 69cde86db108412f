"""Public keys and signatures of canisters, checked down to the root key."""

from __future__ import annotations

import pytest

from canister_factory.ic.canister_signature import MAX_BYTES, verify_canister_signature
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.errors import SignatureError
from canister_factory.ic.identity import Identity
from canister_factory.ic.public_key import ED25519_DER_PREFIX, CanisterKey, canister_key, encode_canister_key
from canister_factory.ic.signatures import verifying_with
from canister_factory.replica.node.keys import ReplicaKeys
from support.canister_signing import canister_signature
from support.replica_http_support import FIRST, KEYS, OTHER

KEY = CanisterKey(FIRST, b"seed")
NETWORK = CertificateVerifier(KEYS.root.public_key)


@pytest.mark.parametrize("seed", [b"", b"seed", bytes(100), bytes(300)])
def test_a_key_names_its_canister_and_its_seed(seed: bytes) -> None:
    key = CanisterKey(FIRST, seed)
    assert canister_key(encode_canister_key(key)) == key


def test_the_form_of_a_key_is_the_specified_one() -> None:
    expected = "301d300c060a2b0601040183b8430102030d00" + "0a" + FIRST.hex() + "01"
    assert encode_canister_key(CanisterKey(FIRST, b"\x01")).hex() == expected


@pytest.mark.parametrize("der", [b"", b"\x30", ED25519_DER_PREFIX + bytes(32), encode_canister_key(KEY)[:-1]])
def test_other_keys_are_told_apart(der: bytes) -> None:
    assert canister_key(der) is None


@pytest.mark.parametrize("bits", ["", "00", "010a", "001e" + "00" * 30, "000a00"])
def test_malformed_keys_are_refused(bits: str) -> None:
    content = bytes.fromhex("300c060a2b0601040183b843010203") + bytes((len(bits) // 2,)) + bytes.fromhex(bits)
    with pytest.raises(SignatureError, match="form"):
        canister_key(b"\x30" + bytes((len(content),)) + content)


def test_what_a_canister_certified_is_signed_and_plain_keys_are_checked_as_ever() -> None:
    verify = verifying_with(NETWORK)
    verify(encode_canister_key(KEY), b"message", canister_signature(KEY, b"message"))
    key, signature = Identity.generate().sign(b"message")
    verify(key or b"", b"message", signature or b"")
    for public_key in (encode_canister_key(KEY), key or b""):
        with pytest.raises(SignatureError):
            verify(public_key, b"message", bytes(64))


@pytest.mark.parametrize(
    ("key", "message", "signature", "says"),
    [
        (KEY, b"another", canister_signature(KEY, b"message"), "doesn't have this message"),
        (CanisterKey(FIRST, b"other seed"), b"message", canister_signature(KEY, b"message"), "this message"),
        (CanisterKey(OTHER, b"seed"), b"message", canister_signature(KEY, b"message"), "certify"),
        (KEY, b"message", canister_signature(KEY, b"message", certified=bytes(32)), "certify"),
        (KEY, b"message", b"no CBOR", "Invalid canister signature"),
        (KEY, b"message", bytes.fromhex("d9d9f7a0"), "no certificate"),
        (KEY, b"message", b"\x81" * (MAX_BYTES + 1), f"at most {MAX_BYTES}"),
    ],
    ids=["message", "seed", "canister", "certified data", "no CBOR", "empty", "long"],
)
def test_what_isnt_signed_is_refused(key: CanisterKey, message: bytes, signature: bytes, says: str) -> None:
    with pytest.raises(SignatureError, match=says):
        verify_canister_signature(key, message, signature, NETWORK)


def test_another_networks_canisters_sign_nothing_here() -> None:
    stranger = CertificateVerifier(ReplicaKeys.generate().root.public_key)
    with pytest.raises(SignatureError, match="does not verify"):
        verify_canister_signature(KEY, b"message", canister_signature(KEY, b"message"), stranger)
