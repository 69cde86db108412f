"""Private keys of the kinds that sign requests: made, and read from PEM and from hexadecimal digits.

Owns their forms. Does not own reading files (`key_file`), signing with them or keeping them to themselves (`identity`).
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from canister_factory.candid.hexadecimal import from_hex
from canister_factory.ic.encrypted_key import AskPassword, decrypted_pbes2
from canister_factory.ic.errors import IdentityError
from canister_factory.ic.key_file import described

KeyKind = Literal["ed25519", "secp256k1", "p256"]

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
CURVES: dict[str, ec.EllipticCurve] = {"secp256k1": ec.SECP256K1(), "p256": ec.SECP256R1()}
# Ed25519 in PKCS#8 version 2, which carries the public key too (RFC 5958): how dfx and ring write it. The two bytes
# before this are the outer sequence's header; the 32-byte key follows.
_PKCS8_V2_ED25519 = bytes.fromhex("020101300506032b657004220420")


def new_key(kind: str) -> PrivateKey:
    """A new key.

    Raises:
        IdentityError: there is no such kind.
    """
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_curve(kind))


def key_from_hex(digits: str, kind: str) -> PrivateKey:
    """The key that 64 hexadecimal digits are.

    Raises:
        IdentityError: they are none of this kind; quotes nothing of them.
    """
    curve = None if kind == "ed25519" else _curve(kind)
    try:
        raw = from_hex(digits, 32)
        if curve is None:
            return ed25519.Ed25519PrivateKey.from_private_bytes(raw)
        return ec.derive_private_key(int.from_bytes(raw, "big"), curve)
    except (ValueError, TypeError):
        pass  # told of below, where nothing that may quote the key is chained
    raise IdentityError("not a private key of this kind: expected 64 hexadecimal digits within the curve's range")


def _curve(kind: str) -> ec.EllipticCurve:
    curve = CURVES.get(kind)
    if curve is None:
        # Not quoted: somebody may have given the key in place of its kind.
        raise IdentityError("there is no such kind of key; there are ed25519, secp256k1 and p256")
    return curve


def kind_of(key: object) -> KeyKind | None:
    """The kind of a key; `None` where it is none that signs requests."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if isinstance(key.curve, ec.SECP256K1):
            return "secp256k1"
        if isinstance(key.curve, ec.SECP256R1):
            return "p256"
    return None


def load_pem(data: bytes, source: str, ask_password: AskPassword | None = None) -> PrivateKey:
    """The key in `data`, the content of a PEM file; `source` names it in errors and to whoever is asked.

    `ask_password` is called once, if the key is encrypted.

    Raises:
        IdentityError: there is none; nothing is chained to it, since a cause could carry the content.
    """
    key: object = None
    problem = ""
    try:
        key = _pkcs8_v2_key(data) or ser.load_pem_private_key(data, None)
    except TypeError:
        if ask_password is None:
            problem = "is encrypted, and no password was given"
    except (ValueError, UnsupportedAlgorithm):
        problem = described(data)
    if key is None and not problem:
        assert ask_password is not None
        key, problem = _decrypted(data, ask_password(source))
    if not problem:
        kind = kind_of(key)
        if kind is not None:
            assert isinstance(key, PrivateKey)
            return key
        problem = "holds an unsupported kind of private key: Ed25519, secp256k1 and P-256 are supported"
    raise IdentityError(f"{source} {problem}")


def _decrypted(pem: bytes, password: bytes) -> tuple[object, str]:
    """The key in an encrypted PEM, and what is wrong if anything."""
    try:
        return ser.load_pem_private_key(pem, password), ""
    except (TypeError, ValueError):
        pass  # it may be of version 2
    except UnsupportedAlgorithm:
        return None, "is encrypted in a way that isn't supported: 'openssl pkcs8 -topk8' encrypts it in one that is"
    der = _der(pem, b"ENCRYPTED PRIVATE KEY")
    opened = None if der is None else decrypted_pbes2(der, password)
    key: object = None
    if opened is not None:
        with suppress(ValueError, UnsupportedAlgorithm):  # what was encrypted needn't be a key
            key = _version_2(opened)
    return key, "" if key is not None else "can't be decrypted: the password is wrong, or the file is damaged"


def _pkcs8_v2_key(pem: bytes) -> object:
    """The key in a PKCS#8 PEM of version 2, which OpenSSL doesn't read; `None` for other PEM. May raise ValueError."""
    der = _der(pem, b"PRIVATE KEY")
    return None if der is None else _version_2(der)


def _der(pem: bytes, label: bytes) -> bytes | None:
    block = re.search(rb"-----BEGIN %b-----(.*?)-----END %b-----" % (label, label), pem, re.DOTALL)
    if block is None:
        return None
    try:
        return base64.b64decode(block[1])
    except binascii.Error:
        return None


def _version_2(der: bytes) -> object:
    if der[2:16] == _PKCS8_V2_ED25519 and len(der) >= 48:
        return ed25519.Ed25519PrivateKey.from_private_bytes(der[16:48])
    version = 2 + (der[1] & 0x7F if der[1:2] >= b"\x80" else 0)
    if der[version : version + 3] != b"\x02\x01\x01":
        return None
    # What version 2 adds is optional, and python-ecdsa (ic-py's `to_pem`) leaves it out: the rest is version 1.
    return ser.load_der_private_key(der[:version] + b"\x02\x01\x00" + der[version + 3 :], None)
