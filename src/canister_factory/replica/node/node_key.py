"""Ed25519 by libsodium: the node's key, which signs query answers, and checks of users' signatures.

A check takes half of what the general library (`ic.public_key`) needs, and each request waits for one. Does not
own where the key is kept (`keys`).

Source: interface specification, "Request: Query call" and "Ed25519 and ECDSA signatures".
"""

from __future__ import annotations

from functools import lru_cache

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from canister_factory.ic.errors import SignatureError
from canister_factory.ic.public_key import ED25519_DER_PREFIX, self_authenticating_id, verify_signature
from canister_factory.ic.query_signature import RESPONSE_DOMAIN

__all__ = ["NodeKey", "verify_quickly"]

_DER_BYTES = len(ED25519_DER_PREFIX) + 32
_SIGNATURE_BYTES = 64


class NodeKey:
    """The Ed25519 key pair of the one node. `public_key` is its DER form, `principal` the node id.

    Args:
        seed: the private key, 32 bytes.
    """

    __slots__ = ("_secret", "principal", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._secret = SigningKey(seed)
        self.public_key = ED25519_DER_PREFIX + bytes(self._secret.verify_key)
        self.principal = self_authenticating_id(self.public_key)

    def __repr__(self) -> str:
        return f"<NodeKey principal={self.principal.hex()}>"

    def sign_response(self, response_hash: bytes) -> bytes:
        """Sign the hash of a query response; 64 bytes."""
        return self._secret.sign(RESPONSE_DOMAIN + response_hash).signature


@lru_cache(maxsize=10_000)
def _loaded(der: bytes) -> VerifyKey:
    return VerifyKey(der[len(ED25519_DER_PREFIX) :])


def verify_quickly(der: bytes, message: bytes, signature: bytes) -> None:
    """As `ic.public_key.verify_signature`.

    Raises:
        SignatureError: it doesn't verify.
    """
    if len(der) != _DER_BYTES or not der.startswith(ED25519_DER_PREFIX) or len(signature) != _SIGNATURE_BYTES:
        verify_signature(der, message, signature)
        return
    try:
        _loaded(der).verify(message, signature)
    except BadSignatureError:
        raise SignatureError("Invalid signature: it does not verify with the given public key") from None
