"""Public keys in DER form and the signatures made with them: Ed25519, and ECDSA on secp256k1 and P-256.

Owns the DER of canisters' and passkeys' keys as well, but not their signatures (`canister_signature`, `webauthn`),
private keys (`private_key`) or BLS (`bls`). Source: interface specification, "Signatures".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES
from canister_factory.ic.errors import SignatureError

# SubjectPublicKeyInfo up to the key itself. ECDSA points are uncompressed, which fixes the length and their first byte.
ED25519_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
SECP256K1_DER_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
P256_DER_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_COSE_IN_DER = bytes.fromhex("300c060a2b0601040183b8430101")  # SEQUENCE of the OID 1.3.6.1.4.1.56387.1.1
_CANISTER_SIGNATURE = bytes.fromhex("300c060a2b0601040183b8430102")  # SEQUENCE of the OID 1.3.6.1.4.1.56387.1.2

Verify = Callable[[bytes, bytes, bytes], None]
"""Checks a signature, given public key (DER), message and signature; raises `SignatureError`."""


@lru_cache(maxsize=10_000)
def load_public_key(der: bytes) -> PublicKey:
    """Parses a DER public key; the most recent 10,000 are remembered.

    Raises:
        SignatureError: it isn't a key of a supported kind.
    """
    try:
        if der.startswith(ED25519_DER_PREFIX) and len(der) == 44:
            return ed25519.Ed25519PublicKey.from_public_bytes(der[12:])
        if der.startswith(SECP256K1_DER_PREFIX) and len(der) == 88:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), der[23:])
        if der.startswith(P256_DER_PREFIX) and len(der) == 91:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), der[26:])
    except ValueError as error:
        raise SignatureError(f"Invalid public key: {error}") from None
    raise SignatureError(
        f"Unsupported public key ({len(der)} bytes of DER): "
        "Ed25519, and ECDSA on secp256k1 or P-256 with uncompressed points, are supported"
    )


def verify_signature(der: bytes, message: bytes, signature: bytes) -> None:
    """Checks a plain signature: 64 bytes, for ECDSA r and s.

    Raises:
        SignatureError: it doesn't verify.
    """
    key = load_public_key(der)
    if len(signature) != 64:
        raise SignatureError(f"Invalid signature: {len(signature)} bytes instead of 64")
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), message, _ECDSA_SHA256)
    except InvalidSignature:
        raise SignatureError("Invalid signature: it does not verify with the given public key") from None


def self_authenticating_id(der: bytes) -> bytes:
    """The principal (29 bytes) that belongs to a DER public key: SHA-224 and the class byte 2."""
    return hashlib.sha224(der).digest() + b"\x02"


def webauthn_key(der: bytes) -> bytes | None:
    """The COSE key in a public key (DER); `None` where it is a key of another kind."""
    return subject_public_key(der, _COSE_IN_DER)


class CanisterKey(NamedTuple):
    """What the public key of canister signatures says."""

    canister_id: bytes
    seed: bytes


def canister_key(der: bytes) -> CanisterKey | None:
    """The canister that signs for a public key (DER), and the seed; `None` where it is a key of another kind.

    Raises:
        SignatureError: it is of this kind, but malformed.
    """
    key = subject_public_key(der, _CANISTER_SIGNATURE)
    if key is None:
        return None
    size = key[0] if key else 0
    if not key or size > MAX_PRINCIPAL_BYTES or len(key) <= size:
        raise SignatureError("Invalid public key: it isn't of the form of keys of canister signatures")
    return CanisterKey(key[1 : 1 + size], key[1 + size :])


def encode_canister_key(key: CanisterKey) -> bytes:
    """The public key in DER form."""
    return encode_subject_public_key(_CANISTER_SIGNATURE, bytes((len(key.canister_id),)) + key.canister_id + key.seed)


def subject_public_key(der: bytes, algorithm: bytes) -> bytes | None:
    """The key in a `SubjectPublicKeyInfo` with this algorithm (its DER); `None` where it is of another algorithm.

    Raises:
        SignatureError: it is of this one, but malformed.
    """
    content = _content(der, 0x30)
    if content is None or not content.startswith(algorithm):
        return None
    bits = _content(content[len(algorithm) :], 0x03)
    if not bits or bits[0] != 0:
        raise SignatureError("Invalid public key: its DER isn't of the form of a SubjectPublicKeyInfo")
    return bits[1:]


def encode_subject_public_key(algorithm: bytes, key: bytes) -> bytes:
    """A key as a `SubjectPublicKeyInfo` with this algorithm (its DER)."""
    return _element(0x30, algorithm + _element(0x03, b"\0" + key))


def _content(der: bytes, tag: int) -> bytes | None:
    """What is in a DER element that fills all of `der`; `None` if it isn't one with this tag."""
    if len(der) < 2 or der[0] != tag:
        return None
    size, start = der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    return der[start:] if len(der) == start + size else None


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
