"""The certified state as a hash tree that changes in O(log n): persistent nodes with digests computed once.

Owns the shape of the tree, its digests, and witnesses (pruned trees in CBOR form) for given paths.
Does not own which paths somebody may read (`read_state`) nor signatures (`certification`).

Trees are persistent: a change makes new nodes along one path and shares all others, so a root taken after a round stays
what was signed while the next round goes on. Labels are kept in a critical-bit trie, whose shape depends on the set of
labels only, not on the history; request ids are hashes and spread evenly, which bounds the depth.

Source: interface specification, "Certification" (hash trees, their digests, pruning and lookup).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from canister_factory.candid import leb128
from canister_factory.ic.cbor import head

__all__ = ["EMPTY", "Node", "StateTree", "Subtree", "build", "find", "insert", "remove", "witness"]

_LEAF: Final = b"\x10ic-hashtree-leaf"
_LABELED: Final = b"\x13ic-hashtree-labeled"
_FORK: Final = b"\x10ic-hashtree-fork"
_EMPTY: Final = b"\x11ic-hashtree-empty"
_SAME_LABEL: Final = 1 << 62

Subtree: TypeAlias = "Node | bytes | Mapping[bytes, Subtree]"


class Node:
    """A node of a hash tree; `digest()` is computed on first use and kept."""

    __slots__ = ("_digest",)

    def __init__(self) -> None:
        self._digest: bytes | None = None

    def digest(self) -> bytes:
        """The 32-byte digest of this tree."""
        digest = self._digest
        if digest is None:
            digest = self._digest = self._compute()
        return digest

    def _compute(self) -> bytes:
        return sha256(_EMPTY).digest()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.digest().hex()[:12]}>"


class Leaf(Node):
    """A value."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self._digest = None
        self.value = value

    def _compute(self) -> bytes:
        digest = sha256(_LEAF)
        digest.update(self.value)  # not concatenated: a reply may be megabytes
        return digest.digest()


class _Labels(Node):
    """A non-empty set of labels: one `Labeled`, or a `Fork`. `low` and `high` are the outermost labels."""

    __slots__ = ("high", "low")

    low: bytes
    high: bytes


class Labeled(_Labels):
    """One label and the tree below it."""

    __slots__ = ("subtree",)

    def __init__(self, label: bytes, subtree: Node) -> None:
        self._digest = None
        self.low = self.high = label
        self.subtree = subtree

    def _compute(self) -> bytes:
        return sha256(_LABELED + self.low + self.subtree.digest()).digest()


class Fork(_Labels):
    """Two sets of labels, all of the left below all of the right, which part at the critical bit `bit`."""

    __slots__ = ("bit", "left", "right")

    def __init__(self, bit: int, left: _Labels, right: _Labels) -> None:
        self._digest = None
        self.bit = bit
        self.left = left
        self.right = right
        self.low = left.low
        self.high = right.high

    def _compute(self) -> bytes:
        return sha256(_FORK + self.left.digest() + self.right.digest()).digest()


EMPTY: Final = Node()


def _critical_bit(one: bytes, other: bytes) -> int:
    """Where two labels first differ, in an encoding of nine bits a byte whose first bit says that the byte is there.

    The presence bit makes a label that is a prefix of another sort before it, as labels of a hash tree do.
    """
    shared = min(len(one), len(other))
    difference = int.from_bytes(one[:shared], "big") ^ int.from_bytes(other[:shared], "big")
    if difference:
        bits = difference.bit_length()
        return 9 * (shared - (bits + 7) // 8) + 1 + (-bits) % 8
    return _SAME_LABEL if len(one) == len(other) else 9 * shared


def _insert(tree: _Labels, new: Labeled) -> _Labels:
    label = new.low
    bit = _critical_bit(label, tree.low)
    if isinstance(tree, Fork):
        if bit > tree.bit:
            return Fork(tree.bit, _insert(tree.left, new), tree.right)
        if bit == tree.bit:
            return Fork(tree.bit, tree.left, _insert(tree.right, new))
    elif bit == _SAME_LABEL:
        return new
    return Fork(bit, new, tree) if label < tree.low else Fork(bit, tree, new)


def insert(tree: Node, label: bytes, subtree: Node) -> Node:
    """The tree with `subtree` at `label`, added or replaced. `tree` itself stays as it was."""
    new = Labeled(label, subtree)
    return _insert(tree, new) if isinstance(tree, _Labels) else new


def _remove(tree: _Labels, label: bytes) -> _Labels | None:
    if isinstance(tree, Fork):
        if label <= tree.left.high:
            left = _remove(tree.left, label)
            if left is tree.left:
                return tree
            return tree.right if left is None else Fork(tree.bit, left, tree.right)
        right = _remove(tree.right, label)
        if right is tree.right:
            return tree
        return tree.left if right is None else Fork(tree.bit, tree.left, right)
    return None if tree.low == label else tree


def remove(tree: Node, label: bytes) -> Node:
    """The tree without `label`; the same tree where it has no such label."""
    return (_remove(tree, label) or EMPTY) if isinstance(tree, _Labels) else tree


def find(tree: Node, label: bytes) -> Node | None:
    """The subtree at `label`, or None."""
    while isinstance(tree, Fork):
        tree = tree.left if label <= tree.left.high else tree.right
    return tree.subtree if isinstance(tree, Labeled) and tree.low == label else None


def build(content: Subtree) -> Node:
    """A tree from nested mappings: bytes become leaves, mappings become labels, nodes are taken as they are."""
    if isinstance(content, Node):
        return content
    if isinstance(content, bytes):
        return Leaf(content)
    tree: Node = EMPTY
    for label, below in content.items():
        tree = insert(tree, label, build(below))
    return tree


# Witnesses are written as CBOR at once: [0] empty, [1, left, right] fork, [2, label, tree], [3, value], [4, digest].


def _cbor_bytes(value: bytes) -> bytes:
    return head(2, len(value)) + value


def _pruned(tree: Node) -> bytes:
    return b"\x81\x00" if tree is EMPTY else b"\x82\x04\x58\x20" + tree.digest()


def _whole(tree: Node) -> bytes:
    if isinstance(tree, Fork):
        return b"\x83\x01" + _whole(tree.left) + _whole(tree.right)
    if isinstance(tree, Labeled):
        return b"\x83\x02" + _cbor_bytes(tree.low) + _whole(tree.subtree)
    if isinstance(tree, Leaf):
        return b"\x82\x03" + _cbor_bytes(tree.value)
    return _pruned(tree)


def _neighbours(tree: Node, label: bytes) -> Iterable[bytes]:
    """The labels next to where `label` would be: showing both proves that it is absent."""
    before: bytes | None = None
    after: bytes | None = None
    while isinstance(tree, Fork):
        if label <= tree.left.high:
            after = tree.right.low
            tree = tree.left
        else:
            before = tree.left.high
            tree = tree.right
    if isinstance(tree, Labeled):
        if tree.low < label:
            before = tree.low
        else:
            after = tree.low
    return [neighbour for neighbour in (before, after) if neighbour is not None]


def witness(tree: Node, paths: Iterable[Sequence[bytes]]) -> bytes:
    """The CBOR form of `tree` with everything pruned that `paths` don't ask for; its digest is that of `tree`.

    A path reveals all below it. A path that doesn't exist reveals the labels around the gap, from which a client can
    tell "absent" from "not shown". No path at all gives the pruned root.
    """
    wanted: dict[bytes, list[Sequence[bytes]]] = {}
    asked = False
    for path in paths:
        if not path:
            return _whole(tree)
        asked = True
        if find(tree, path[0]) is not None:
            wanted.setdefault(path[0], []).append(path[1:])
        else:
            for neighbour in _neighbours(tree, path[0]):
                wanted.setdefault(neighbour, [])
    if isinstance(tree, _Labels):
        return _reveal(tree, sorted(wanted), wanted)
    return _whole(tree) if asked else _pruned(tree)


def _reveal(tree: _Labels, labels: Sequence[bytes], wanted: Mapping[bytes, list[Sequence[bytes]]]) -> bytes:
    if not labels:
        return _pruned(tree)
    if isinstance(tree, Fork):
        split = 0
        while split < len(labels) and labels[split] <= tree.left.high:
            split += 1
        return b"\x83\x01" + _reveal(tree.left, labels[:split], wanted) + _reveal(tree.right, labels[split:], wanted)
    assert isinstance(tree, Labeled)
    return b"\x83\x02" + _cbor_bytes(tree.low) + witness(tree.subtree, wanted[tree.low])


class StateTree:
    """The replica's state tree: `/canister`, `/canister_ranges`, `/request_status`, `/subnet`, `/time`."""

    def __init__(self, canister_ranges: Subtree) -> None:
        self._canisters: Node = EMPTY
        self._requests: Node = EMPTY
        self._fixed = build({b"canister_ranges": build(canister_ranges)})
        self._subnet: Node = EMPTY

    def __repr__(self) -> str:
        return f"<StateTree canisters={self._canisters!r} requests={self._requests!r}>"

    def set_request_status(self, request_id: bytes, status: Subtree) -> None:
        """Put a request's status: `status`, and `reply` or `reject_code`, `reject_message`, `error_code`."""
        self._requests = insert(self._requests, request_id, build(status))

    def forget_request(self, request_id: bytes) -> None:
        """Drop a request's status; nothing happens where there is none."""
        self._requests = remove(self._requests, request_id)

    def set_canister(self, canister_id: bytes, content: Subtree) -> None:
        """Put a canister's subtree: `controllers`, `module_hash`, `metadata`, `certified_data`, timestamps."""
        self._canisters = insert(self._canisters, canister_id, build(content))

    def remove_canister(self, canister_id: bytes) -> None:
        """Drop a canister; nothing happens where there is none."""
        self._canisters = remove(self._canisters, canister_id)

    def set_subnet(self, content: Subtree) -> None:
        """Put everything below `/subnet`."""
        self._subnet = build(content)

    def root(self, time_ns: int) -> Node:
        """The tree as it is now, with `time_ns` (nanoseconds since 1970) at `/time`; later changes don't show in it."""
        tree = insert(self._fixed, b"canister", self._canisters)
        tree = insert(tree, b"request_status", self._requests)
        tree = insert(tree, b"subnet", self._subnet)
        return insert(tree, b"time", Leaf(leb128.unsigned(time_ns)))
