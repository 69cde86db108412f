"""What tests of the HTTP endpoints share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cbor2
import pyblst

from canister_factory.ic import hash_tree
from support.replica_http_support import (
    FIRST,
    KEYS,
    Network,
    decoded,
    url,
)

SUBNET = KEYS.subnet.principal


NODE = KEYS.node.principal


FLAT = (b"subnet", SUBNET, b"canister_ranges")


SHARD = (b"canister_ranges", SUBNET, bytes(8) + b"\x01\x01")


@dataclass
class Shown:
    """A certificate whose signatures hold, up to the root key."""

    tree: hash_tree.Node
    delegation: hash_tree.Node

    def value(self, *path: bytes) -> Any:
        value = hash_tree.lookup_path(self.tree, path)
        return value.value if isinstance(value, hash_tree.Found) else value


def verified(certificate: bytes) -> Shown:
    outer = cbor2.loads(certificate)
    inner = cbor2.loads(outer["delegation"]["certificate"])
    delegation = checked_tree(inner, KEYS.root.public_key)
    key = hash_tree.lookup_path(delegation, [b"subnet", outer["delegation"]["subnet_id"], b"public_key"])
    assert isinstance(key, hash_tree.Found)
    return Shown(checked_tree(outer, key.value), delegation)


def checked_tree(certificate: dict[str, Any], public_key: bytes) -> hash_tree.Node:
    tree = hash_tree.tree_from_items(certificate["tree"], 10_000)
    message = pyblst.BlstP1Element.hash_to_group(
        b"\x0dic-state-root" + tree.digest, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
    )
    generator = pyblst.BlstP2Element().uncompress(
        bytes.fromhex(
            "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
            "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        )
    )
    signature = pyblst.BlstP1Element().uncompress(certificate["signature"])
    key = pyblst.BlstP2Element().uncompress(public_key[-96:])
    assert pyblst.final_verify(pyblst.miller_loop(signature, generator), pyblst.miller_loop(message, key))
    return tree


async def call(network: Network, caller: Any, version: int = 4, **content: Any) -> Shown:
    content = {"request_type": "call", "method_name": "append", **content}
    answer = decoded(await network.post(url(version, "call"), caller, **content))
    assert answer["status"] == "replied"
    return verified(answer["certificate"])


async def read(
    network: Network, caller: Any, paths: list[list[bytes]], version: int = 3, effective_id: bytes = FIRST
) -> Shown:
    kind = "subnet" if effective_id == SUBNET else "canister"
    answer = decoded(
        await network.post(
            url(version, "read_state", effective_id, kind), caller, request_type="read_state", paths=paths
        )
    )
    return verified(answer["certificate"])
