"""Keys derived from seed phrases: BIP-39 words, SLIP-0010 derivation, the Internet Computer's path.

Owns the derivation, which is the one of icp-cli, dfx and wallets. Does not own: the word list and the seed
(`mnemonic`), and reading phrases.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from mnemonic import Mnemonic

from canister_factory.ic.errors import IdentityError
from canister_factory.ic.private_key import CURVES, KeyKind, PrivateKey

LENGTHS = (12, 15, 18, 21, 24)
"""So many words a phrase can have (BIP-39)."""

HARDENED = 1 << 31
_MASTER = {"secp256k1": b"Bitcoin seed", "p256": b"Nist256p1 seed", "ed25519": b"ed25519 seed"}
# m/44'/223'/0'/0/0, coin type 223 (SLIP-0044). Ed25519 has hardened steps only: m/44'/223'/0'/0'/0'.
_PATH = (44 | HARDENED, 223 | HARDENED, 0 | HARDENED, 0, 0)
_ORDERS = {
    "secp256k1": 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141,
    "p256": 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551,
}


def key_from_phrase(phrase: str, kind: KeyKind = "secp256k1") -> PrivateKey:
    """The key that icp-cli derives from a phrase; wallets and dfx have the one of the kind `secp256k1`.

    Raises:
        IdentityError: it is no phrase; the message counts words and quotes none.
    """
    path = [step | HARDENED for step in _PATH] if kind == "ed25519" else _PATH
    return derived_key(Mnemonic.to_seed(" ".join(_checked(phrase))), path, kind)


def _checked(phrase: str) -> list[str]:
    english = Mnemonic("english")
    words = english.normalize_string(phrase).lower().split()
    if len(words) not in LENGTHS:
        raise IdentityError(f"a seed phrase has 12, 15, 18, 21 or 24 words; this one has {len(words)}")
    known = set(english.wordlist)
    unknown = [str(number) for number, word in enumerate(words, 1) if word not in known]
    if unknown:
        which = f"word {unknown[0]}" if len(unknown) == 1 else f"words {', '.join(unknown)}"
        raise IdentityError(f"{which} of the seed phrase can't be: not in the English list of BIP-39")
    if not english.check(" ".join(words)):
        raise IdentityError(
            "the checksum of the seed phrase is wrong: a word is another one of the list, or two have changed places"
        )
    return words


def derived_key(seed: bytes, path: Sequence[int], kind: KeyKind) -> PrivateKey:
    """The key at a path below a seed, by SLIP-0010; for secp256k1 that is BIP-32. Hardened steps are above 2^31."""
    key, chain = _split(_MASTER[kind], seed)
    while kind != "ed25519" and not 0 < int.from_bytes(key, "big") < _ORDERS[kind]:
        key, chain = _split(_MASTER[kind], key + chain)
    for index in path:
        key, chain = _child(key, chain, index, kind)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(key)
    return ec.derive_private_key(int.from_bytes(key, "big"), CURVES[kind])


def _child(key: bytes, chain: bytes, index: int, kind: KeyKind) -> tuple[bytes, bytes]:
    start = b"\0" + key if index & HARDENED else _public_point(key, kind)
    while True:
        left, right = _split(chain, start + index.to_bytes(4, "big"))
        if kind == "ed25519":
            return left, right
        order = _ORDERS[kind]
        sum_ = (int.from_bytes(left, "big") + int.from_bytes(key, "big")) % order
        if int.from_bytes(left, "big") < order and sum_:
            return sum_.to_bytes(32, "big"), right
        start = b"\x01" + right


def _split(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    digest = hmac.digest(key, data, "sha512")
    return digest[:32], digest[32:]


def _public_point(key: bytes, kind: KeyKind) -> bytes:
    private = ec.derive_private_key(int.from_bytes(key, "big"), CURVES[kind])
    return private.public_key().public_bytes(ser.Encoding.X962, ser.PublicFormat.CompressedPoint)
