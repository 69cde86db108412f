"""What single steps cost a client: a 1.9 MB blob through the codec, a certificate verified, a request signed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

from canister_factory.candid import leb128
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import BLOB, TEXT, Record
from canister_factory.ic.certificate import CertificateVerifier, encode_certificate
from canister_factory.ic.hash_tree import Fork, Labeled, Leaf, Node, fork_all
from canister_factory.ic.identity import Identity
from canister_factory.replica.node.keys import BlsKey, ReplicaKeys

BLOB_BYTES = 1_900_000


def milliseconds(action: Callable[[], object], repeats: int) -> float:
    """The median of single runs, after one that isn't counted."""
    action()
    runs = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        runs.append(time.perf_counter() - started)
    return round(1000 * statistics.median(runs), 4)


def certified(key: BlsKey, entries: int) -> bytes:
    """A certificate over a tree with some thousand bytes of values, as an answer of a call is."""
    statuses = fork_all([Labeled(b"%04d" % number, Leaf(os.urandom(32))) for number in range(entries)])
    tree: Node = Fork(Labeled(b"request_status", statuses), Labeled(b"time", Leaf(leb128.unsigned(time.time_ns()))))
    return encode_certificate(tree, key.sign_state_root(tree.digest))


def measure() -> dict[str, object]:
    """Medians in milliseconds."""
    blob = os.urandom(BLOB_BYTES)
    types = [Record({"name": TEXT, "bytes": BLOB})]
    values = [{"name": "chunk", "bytes": blob}]
    message = encode(types, values)
    identity = Identity.generate()
    key = ReplicaKeys.generate().root
    certificate = certified(key, 20)
    return {
        "blob_bytes": BLOB_BYTES,
        "candid_encode_blob_ms": milliseconds(lambda: encode(types, values), 50),
        "candid_decode_blob_ms": milliseconds(lambda: decode(message, types), 50),
        "certificate_verify_ms": milliseconds(
            lambda: CertificateVerifier(key.public_key).verify(certificate, now_ns=time.time_ns(), canister_id=b"\x01"),
            50,
        ),
        "ed25519_sign_ms": milliseconds(lambda: identity.sign(bytes(43)), 500),
    }
