"""Signatures of Web Authentication: passkeys sign a payload as the challenge of an assertion.

Owns COSE keys and checking such signatures. Does not own DER, or plain signatures (`public_key`).
Source: interface specification, "Web Authentication"; RFC 8152 for COSE keys.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from canister_factory.ic import cbor
from canister_factory.ic.errors import MalformedCborError, SignatureError

_MAX_RSA_BYTES = 1024  # beyond that, checking takes long
_MAX_KEY_BYTES = 4096  # keys are remembered, and a longer one has what no check needs

Check = Callable[[bytes, bytes], None]
"""Checks a signature, given it and what was signed; raises InvalidSignature."""


def verify_webauthn_signature(cose_key: bytes, message: bytes, signature: bytes) -> None:
    """Checks that the holder of a COSE key signed `message`.

    Raises:
        SignatureError: it doesn't verify, or the key is of no supported kind; the message says why.
    """
    if len(cose_key) > _MAX_KEY_BYTES:
        raise SignatureError(
            f"Invalid public key: the COSE key has {len(cose_key)} bytes, at most {_MAX_KEY_BYTES} may be"
        )
    check = _check_of(cose_key)
    try:
        fields = cbor.loads_map(signature, "WebAuthn signature")
    except MalformedCborError as error:
        raise SignatureError(f"Invalid WebAuthn signature: {error}") from None
    data, client, inner = (fields.get(name) for name in ("authenticator_data", "client_data_json", "signature"))
    if type(data) is not bytes or type(client) is not str or type(inner) is not bytes:
        raise SignatureError("Invalid WebAuthn signature: authenticator_data, client_data_json or signature is missing")
    if _challenge(client) != message:
        raise SignatureError("Invalid WebAuthn signature: its challenge isn't what was to be signed")
    try:
        check(inner, data + sha256(client.encode()).digest())
    except InvalidSignature:
        raise SignatureError("Invalid signature: it does not verify with the given public key") from None


def _challenge(client_data_json: str) -> bytes | None:
    try:
        encoded = json.loads(client_data_json)["challenge"]
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@lru_cache(maxsize=1000)
def _check_of(cose_key: bytes) -> Check:
    """How signatures of a COSE key are checked."""
    try:
        fields: Any = cbor.loads(cose_key, "COSE key")
        match fields:  # 1 is the kind of key, 3 the scheme; what the others are depends on the kind
            case {1: 2, 3: -7, -1: 1, -2: bytes(x), -3: bytes(y)} if len(x) == len(y) == 32:
                point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
                return lambda signature, data: point.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            case {1: 3, 3: -257, -1: bytes(modulus), -2: bytes(exponent)} if len(modulus) <= _MAX_RSA_BYTES:
                numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
                key = numbers.public_key()
                return lambda signature, data: key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            case {1: 1, 3: -8, -1: 6, -2: bytes(raw)}:
                return ed25519.Ed25519PublicKey.from_public_bytes(raw).verify
    except (MalformedCborError, ValueError) as error:
        raise SignatureError(f"Invalid public key: the COSE key can't be read: {error}") from None
    raise SignatureError(
        "Unsupported public key: of COSE keys ECDSA on P-256, RSA PKCS#1 v1.5 and Ed25519, with SHA-256, are supported"
    )
