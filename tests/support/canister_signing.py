"""Callers whose key is one of canister signatures, as a canister of the replica's subnet would sign for them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from canister_factory.ic import cbor
from canister_factory.ic.hash_tree import Labeled, Leaf, encode_tree
from canister_factory.ic.public_key import CanisterKey, encode_canister_key, self_authenticating_id
from canister_factory.replica.node.certification import Certifier, RangesLayout, range_shards
from canister_factory.replica.node.state_tree import StateTree
from support.replica_http_support import FIRST, KEYS, NOW

SIGNER = CanisterKey(FIRST, b"seed")


def canister_signature(key: CanisterKey, message: bytes, *, certified: bytes | None = None) -> bytes:
    """The signature; `certified`: what the canister certified instead of the tree of its signatures."""
    path = (b"sig", sha256(key.seed).digest(), sha256(message).digest())
    tree: Any = Leaf(b"")
    for label in reversed(path):
        tree = Labeled(label, tree)
    state = StateTree({KEYS.subnet.principal: range_shards()})
    state.set_canister(key.canister_id, {b"certified_data": tree.digest if certified is None else certified})
    certificate = (
        Certifier(KEYS, lambda: NOW)
        .certify(state, NOW)
        .certificate([(b"canister", key.canister_id, b"certified_data")], RangesLayout.BOTH)
    )
    return (
        cbor.SELF_DESCRIBE
        + b"\xa2\x6bcertificate"
        + cbor.head(2, len(certificate))
        + certificate
        + b"\x64tree"
        + encode_tree(tree)
    )


@dataclass
class CanisterSigned:
    """A caller for whom a canister signs."""

    key: CanisterKey = SIGNER

    @property
    def public_key(self) -> bytes:
        return encode_canister_key(self.key)

    @property
    def principal(self) -> bytes:
        return self_authenticating_id(self.public_key)

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        return self.public_key, canister_signature(self.key, msg)

    def sender_info(self, info: bytes) -> dict[str, bytes]:
        """The field of a request, with what the canister says of this caller."""
        signature = canister_signature(self.key, b"\x0eic-sender-info" + info)
        return {"info": info, "signer": self.key.canister_id, "sig": signature}
