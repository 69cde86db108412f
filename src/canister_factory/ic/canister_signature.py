"""Canister signatures: a canister signs a payload by certifying it, and its public key names the canister.

Owns checking such signatures. Does not own certificates (`certificate`), or public keys and plain signatures
(`public_key`). Source: interface specification, "Canister signatures".
"""

from __future__ import annotations

from hashlib import sha256

from canister_factory.ic import cbor
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.errors import CertificateError, MalformedCborError, SignatureError
from canister_factory.ic.hash_tree import Found, lookup_path, tree_from_items
from canister_factory.ic.public_key import CanisterKey

MAX_BYTES = 64 << 10
"""Of a signature: some ten times those of Internet Identity. Reading a tree of megabytes takes seconds."""
_NOT_SIGNING = b"cloud_engine"  # the type of subnet whose canisters sign nothing


def verify_canister_signature(key: CanisterKey, message: bytes, signature: bytes, network: CertificateVerifier) -> None:
    """Checks that the canister of `key` certified that it signs `message`.

    `network` knows the root key. The certificate may be old: a signature is for good.

    Raises:
        SignatureError: it doesn't verify; the message says why.
    """
    if len(signature) > MAX_BYTES:
        raise SignatureError(f"Invalid canister signature: it has {len(signature)} bytes, at most {MAX_BYTES} may be")
    try:
        fields = cbor.loads_map(signature, "canister signature")
        data, items = fields.get("certificate"), fields.get("tree")
        if type(data) is not bytes:
            raise SignatureError("Invalid canister signature: it has no certificate")
        tree = tree_from_items(items, max_nodes=len(signature))
        certificate = network.verify(data, now_ns=None, canister_id=key.canister_id)
        certified = certificate.lookup((b"canister", key.canister_id, b"certified_data"))
        signed = lookup_path(tree, (b"sig", sha256(key.seed).digest(), sha256(message).digest()))
    except (CertificateError, MalformedCborError) as error:
        raise SignatureError(f"Invalid canister signature: {error}") from None
    if not isinstance(certified, Found) or certified.value != tree.digest:
        raise SignatureError("Invalid canister signature: the canister didn't certify the tree of its signatures")
    if not isinstance(signed, Found) or signed.value != b"":
        raise SignatureError("Invalid canister signature: the tree of signatures doesn't have this message")
    if certificate.ranges is not None and certificate.subnet_type in (None, _NOT_SIGNING):
        raise SignatureError("Invalid canister signature: canisters of this type of subnet can't sign")
