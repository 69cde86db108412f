"""Certificates: the signed root of the state tree, the subnet's delegation, and what a canister looks like in the tree.

Owns signing (once a round, when the first certificate is asked for) and the encoding of certificates.
Does not own the tree (`state_tree`), the keys (`keys`), nor who may read what (`read_state`).

Source: interface specification, "Certification", "Delegation" and "The system state tree".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final

from canister_factory.ic.cbor import SELF_DESCRIBE, dumps, head
from canister_factory.replica.node.keys import BlsKey, ReplicaKeys
from canister_factory.replica.node.requests_tree import RequestsTree
from canister_factory.replica.node.routes import CANISTER_RANGES
from canister_factory.replica.node.state_tree import Node, StateTree, build, find, witness

__all__ = ["SUBNET_TYPE", "CertifiedState", "Certifier", "Delegation", "RangesLayout"]

SUBNET_TYPE: Final = b"application"

_DELEGATION_LIFETIME_NS: Final = 24 * 3600 * 10**9  # then it is signed anew: clients refuse one that is weeks old


class RangesLayout(Enum):
    """Where a delegation shows the subnet's canister ranges.

    The flat leaf `/subnet/<id>/canister_ranges` is what `/api/v2` and `/api/v3/…/call` promise; the sharded leaves
    `/canister_ranges/<id>/<first>` are what the newer endpoints promise; requests about a subnet need neither. Data
    certificates are passed on to clients of any age, so they carry both.
    """

    FLAT = "flat"
    SHARDED = "sharded"
    BOTH = "both"
    NONE = "none"


class Delegation:
    """The root subnet's statement that our subnet key speaks for our canister ids, made anew when it grows old."""

    def __init__(self, keys: ReplicaKeys, clock_ns: Callable[[], int]) -> None:
        self._root = keys.root
        self._subnet_id = keys.subnet.principal
        self._subnet_key = keys.subnet.public_key
        self._clock_ns = clock_ns
        self._encoded: dict[RangesLayout, bytes] = {}
        self._expires_ns = 0

    def __repr__(self) -> str:
        return f"<Delegation subnet={self._subnet_id.hex()}>"

    def encoded(self, layout: RangesLayout) -> bytes:
        """The CBOR map `{subnet_id, certificate}` with the ranges where `layout` wants them."""
        now = self._clock_ns()
        if now >= self._expires_ns:
            self._encoded = self._make(now)
            self._expires_ns = now + _DELEGATION_LIFETIME_NS
        return self._encoded[layout]

    def renew(self) -> None:
        """Has it made anew when it is next asked for."""
        self._expires_ns = 0

    def _make(self, now_ns: int) -> dict[RangesLayout, bytes]:
        subnet_id = self._subnet_id
        tree = StateTree({subnet_id: range_shards()})
        facts = {b"public_key": self._subnet_key, b"type": SUBNET_TYPE, b"canister_ranges": encoded_ranges()}
        tree.set_subnet({subnet_id: facts})
        state = CertifiedState(tree.root(now_ns), now_ns, self._root, None)
        # The type says whether canisters may sign there ("Canister signatures").
        always: list[tuple[bytes, ...]] = [(b"subnet", subnet_id, b"public_key"), (b"subnet", subnet_id, b"type")]
        flat = (b"subnet", subnet_id, b"canister_ranges")
        sharded = (b"canister_ranges", subnet_id)
        shown = {
            RangesLayout.FLAT: [*always, flat],
            RangesLayout.SHARDED: [*always, sharded],
            RangesLayout.BOTH: [*always, flat, sharded],
            RangesLayout.NONE: always,
        }
        return {
            layout: dumps({"subnet_id": subnet_id, "certificate": state.certificate(paths, layout)})[
                len(SELF_DESCRIBE) :
            ]
            for layout, paths in shown.items()
        }


class CertifiedState:
    """One signed state of the tree; gives any number of certificates under one signature.

    Attributes:
        superseded: the tree has changed since, so that this state can't be shown any more.
    """

    __slots__ = ("_around", "_delegation", "_key", "_signature", "root", "superseded", "time_ns")

    def __init__(self, root: Node, time_ns: int, key: BlsKey, delegation: Delegation | None) -> None:
        self.root = root
        self.time_ns = time_ns
        self._key = key
        self._delegation = delegation
        self._signature: bytes | None = None
        self._around: dict[RangesLayout, tuple[bytes, bytes]] = {}
        self.superseded = False

    def __repr__(self) -> str:
        return f"<CertifiedState time_ns={self.time_ns} root={self.root.digest().hex()[:12]}>"

    def certificate(self, paths: Iterable[Sequence[bytes]], layout: RangesLayout) -> bytes:
        """An encoded certificate that shows `/time` and what is at `paths`, or proves that nothing is there."""
        if self.superseded:
            raise RuntimeError(f"{self!r} is superseded by a newer one")
        signature = self.signature()
        parts = [
            SELF_DESCRIBE,
            b"\xa2" if self._delegation is None else b"\xa3",
            b"\x64tree",
            witness(self.root, [(b"time",), *paths]),
            b"\x69signature",
            head(2, len(signature)),
            signature,
        ]
        if self._delegation is not None:
            parts += (b"\x6adelegation", self._delegation.encoded(layout))
        return b"".join(parts)

    def signature(self) -> bytes:
        """The subnet's signature; made when it is first asked for."""
        if self._signature is None:
            self._signature = self._key.sign_state_root(self.root.digest())
        return self._signature

    def certificate_of_request(self, request_id: bytes, layout: RangesLayout) -> bytes:
        """A certificate of a request's status: what is around the requests is made once for all of them."""
        requests = find(self.root, b"request_status")
        if not isinstance(requests, RequestsTree) or self.superseded or request_id not in requests:
            return self.certificate([(b"request_status", request_id)], layout)
        shown = requests.witness_of(request_id)
        around = self._around.get(layout)
        if around is None:
            before, _, after = self.certificate([(b"request_status", request_id)], layout).partition(shown)
            around = self._around[layout] = before, after
        return shown.join(around)


class Certifier:
    """Signs states of one subnet."""

    def __init__(self, keys: ReplicaKeys, clock_ns: Callable[[], int]) -> None:
        self._key = keys.subnet
        self.delegation = Delegation(keys, clock_ns)

    def certify(self, tree: StateTree, time_ns: int) -> CertifiedState:
        """The state as of now; signed when its first certificate is made."""
        return CertifiedState(tree.root(time_ns), time_ns, self._key, self.delegation)


def encoded_ranges() -> bytes:
    """`CANISTER_RANGES` as the value of a leaf (CBOR, tagged)."""
    return dumps([list(bounds) for bounds in CANISTER_RANGES])


def range_shards() -> Node:
    """The content of `/canister_ranges/<subnet id>`: a single shard, labelled by the lowest id in it."""
    return build({CANISTER_RANGES[0][0]: encoded_ranges()})
