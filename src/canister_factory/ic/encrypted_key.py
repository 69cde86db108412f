"""Private keys encrypted under a password, in the two forms that `cryptography` doesn't open.

Owns decrypting them. Does not own: asking for passwords, and the forms of keys (`private_key`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from canister_factory.ic.errors import IdentityError

AskPassword: TypeAlias = Callable[[str], bytes]
"""Returns the password of what the text names; raises `IdentityError` where there is none."""

# Object identifiers: PBES2 (RFC 8018), scrypt (RFC 7914), AES-256 in CBC mode (NIST).
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_AES_256_CBC = bytes.fromhex("60864801650304012a")
_MOST_MEMORY = 1 << 30
"""Bytes that scrypt may take (128 x N x r): icp-cli's keys take 128 MiB."""
_MOST_LANES = 16


def decrypted_pbes2(der: bytes, password: bytes) -> bytes | None:
    """The PKCS#8 structure in an `EncryptedPrivateKeyInfo` (RFC 5958) of scrypt and AES-256-CBC, as icp-cli writes it.

    `None` where it is something else, or where the password is wrong.
    """
    try:
        (outer,) = _items(der)
        scheme, data = _items(outer)
        pbes2, parameters = _items(scheme)
        derivation, cipher = _items(parameters)
        scrypt, costs = _items(derivation)
        aes, iv = _items(cipher)
        salt, cost, block_size, lanes, *_ = _items(costs)
    except ValueError:
        return None
    if (pbes2, scrypt, aes) != (_PBES2, _SCRYPT, _AES_256_CBC):
        return None
    n, r, p = (int.from_bytes(number, "big") for number in (cost, block_size, lanes))
    if not 0 < 128 * n * r <= _MOST_MEMORY or p > _MOST_LANES:
        return None
    try:
        key = Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(password)
        opened = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        unpadded = padding.PKCS7(128).unpadder()
        return unpadded.update(opened.update(data) + opened.finalize()) + unpadded.finalize()
    except ValueError:
        return None


def _items(der: bytes) -> list[bytes]:
    """The contents of the elements that `der` is a sequence of, without their tags.

    Raises:
        ValueError: it isn't such a sequence.
    """
    return list(_elements(der))


def _elements(der: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("cut short")
        size, at = der[at + 1], at + 2
        if size & 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(der[at : at + digits], "big"), at + digits
        if at + size > len(der):
            raise ValueError("cut short")
        yield der[at : at + size]
        at += size


@dataclass(frozen=True, slots=True)
class DfxEncryption:
    """What dfx writes beside a key that it has encrypted: salt (text) and nonce (12 bytes). Neither is secret."""

    pw_salt: str
    file_nonce: bytes

    def decrypted(self, data: bytes, password: bytes) -> bytes | None:
        """The PEM file in `data`; `None` when the password is wrong.

        dfx derives the key by Argon2id (64,000 KiB, 3 passes, 1 lane) and encrypts by AES-256-GCM. Its salt is
        hexadecimal text that the hash function's library reads as base64 without padding.

        Raises:
            IdentityError: the salt is none, or this computer's OpenSSL has no Argon2id.
        """
        try:
            salt = base64.b64decode(self.pw_salt + "=" * (-len(self.pw_salt) % 4), validate=True)
            key = Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=64_000).derive(password)
            return AESGCM(key).decrypt(self.file_nonce, data, None)
        except InvalidTag:
            return None
        except UnsupportedAlgorithm:
            problem = "needs Argon2id, which this computer's OpenSSL (older than 3.2) doesn't have"
        except (ValueError, binascii.Error):
            problem = "has a salt or a nonce that can't be used"
        raise IdentityError(f"the encryption by dfx {problem}: use the file that 'dfx identity export' writes")
