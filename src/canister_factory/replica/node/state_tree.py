"""The certified state as a hash tree that changes in O(log n): digests are computed once and kept.

Owns the shape of the tree, its digests, and witnesses (pruned trees in CBOR form) for given paths.
Does not own which paths somebody may read (`read_state`) nor signatures (`certification`).

Labels are kept in a critical-bit trie, whose shape depends on the set of labels only, not on the history; request ids
are hashes and spread evenly, which bounds the depth. A change is made in place, where copying the path would make many
nodes: a root shows what was signed until the next change only (which `certified_view` makes with each new state).

Source: interface specification, "Certification" (hash trees, their digests, pruning and lookup).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from canister_factory.candid import leb128
from canister_factory.ic.cbor import head
from canister_factory.ic.hash_tree import FORK, LABELED, LEAF

__all__ = [
    *("EMPTY", "Compact", "Fork", "Labeled", "Labels", "Leaf", "Node", "Pruned", "StateTree"),
    *("Subtree", "build", "critical_bit", "find", "insert", "remove", "witness"),
]

_EMPTY: Final = b"\x11ic-hashtree-empty"
_SAME_LABEL: Final = 1 << 62

Subtree: TypeAlias = "Node | bytes | Mapping[bytes, Subtree]"


class Node:
    """A node of a hash tree; `digest()` is computed on first use and kept until something below changes."""

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
        digest = sha256(LEAF)
        digest.update(self.value)  # not concatenated: a reply may be megabytes
        return digest.digest()


class Labels(Node):
    """A non-empty set of labels: one `Labeled`, a `Fork`, or `Pruned`."""

    __slots__ = ()


class Labeled(Labels):
    """One label and the tree below it."""

    __slots__ = ("label", "subtree")

    def __init__(self, label: bytes, subtree: Node) -> None:
        self._digest = None
        self.label = label
        self.subtree = subtree

    def _compute(self) -> bytes:
        return sha256(LABELED + self.label + self.subtree.digest()).digest()


class Fork(Labels):
    """Two sets of labels, all of the left below all of the right, which part at the critical bit `bit`.

    `at` and `mask` say the same: which byte, and the bit in it; 0 for the bit that says whether the byte is there.
    """

    __slots__ = ("at", "bit", "left", "mask", "right")

    def __init__(self, bit: int, left: Labels, right: Labels) -> None:
        self._digest = None
        self.bit = bit
        self.at, position = divmod(bit, 9)
        self.mask = 0x100 >> position if position else 0
        self.left = left
        self.right = right

    def goes_right(self, label: bytes) -> bool:
        """On which side the label is, if it is here."""
        at = self.at
        return at < len(label) and (not self.mask or bool(label[at] & self.mask))

    def _compute(self) -> bytes:
        left, right = self.left, self.right  # without `digest`, which would be a call more for each level
        of_left, of_right = left._digest, right._digest
        if of_left is None:
            of_left = left._digest = left._compute()
        if of_right is None:
            of_right = right._digest = right._compute()
        return sha256(FORK + of_left + of_right).digest()


class Pruned(Labels):
    """A set of labels of which only the digest is there."""

    __slots__ = ()

    def __init__(self, digest: bytes) -> None:
        self._digest = digest


class Compact(Node):
    """A set of labels that is kept in another form, from which as much is made as somebody wants to look at."""

    __slots__ = ()

    def __contains__(self, label: bytes) -> bool:
        raise NotImplementedError

    def neighbours(self, label: bytes) -> Iterable[bytes]:
        """The labels next to where one would be that isn't there."""
        raise NotImplementedError

    def witness_of(self, label: bytes) -> bytes:
        """`witness` for one label that is there, with all that is below it."""
        raise NotImplementedError

    def opened(self, labels: Iterable[bytes] | None) -> Node:
        """The tree with these labels, which are there, and what is below them; None: with all."""
        raise NotImplementedError


EMPTY: Final = Node()


def critical_bit(one: bytes, other: bytes) -> int:
    """Where two labels first differ, in an encoding of nine bits a byte whose first bit says that the byte is there.

    The presence bit makes a label that is a prefix of another sort before it, as labels of a hash tree do.
    """
    shared = min(len(one), len(other))
    difference = int.from_bytes(one[:shared], "big") ^ int.from_bytes(other[:shared], "big")
    if difference:
        bits = difference.bit_length()
        return 9 * (shared - (bits + 7) // 8) + 1 + (-bits) % 8
    return _SAME_LABEL if len(one) == len(other) else 9 * shared


def _leaf_towards(tree: Labels, label: bytes) -> Labeled:
    """The label itself if it is there, else one of those that it shares the longest beginning with."""
    length = len(label)
    while type(tree) is Fork:  # written out: it is where most of the time for a request goes
        at, mask = tree.at, tree.mask
        tree = tree.right if at < length and (not mask or label[at] & mask) else tree.left
    assert type(tree) is Labeled
    return tree


def _outermost(tree: Labels, *, last: bool) -> bytes:
    """The first or the last label."""
    while isinstance(tree, Fork):
        tree = tree.right if last else tree.left
    assert isinstance(tree, Labeled)
    return tree.label


def insert(tree: Node, label: bytes, subtree: Node) -> Node:
    """Puts `subtree` at `label`, added or replaced; the tree, which is changed, or another one in its place."""
    if not isinstance(tree, Labels):
        return Labeled(label, subtree)
    path: list[Fork] = []
    node: Labels = tree
    length = len(label)
    while type(node) is Fork:  # as `_leaf_towards`, in one walk with what is to be changed
        path.append(node)
        at, mask = node.at, node.mask
        node = node.right if at < length and (not mask or label[at] & mask) else node.left
    assert type(node) is Labeled
    nearest = node
    bit = critical_bit(label, nearest.label)
    while path and path[-1].bit > bit:
        node = path.pop()
    for fork in path:
        fork._digest = None
    if bit == _SAME_LABEL:
        nearest._digest = None
        nearest.subtree = subtree
        return tree
    new = Labeled(label, subtree)
    fork = Fork(bit, new, node) if label < nearest.label else Fork(bit, node, new)
    return _replaced(tree, path[-1] if path else None, label, fork)


def _replaced(tree: Node, above: Fork | None, label: bytes, node: Labels) -> Node:
    """Puts a node below another one, on the label's side; or in the place of the whole tree."""
    if above is None:
        return node
    if above.goes_right(label):
        above.right = node
    else:
        above.left = node
    return tree


def remove(tree: Node, label: bytes) -> Node:
    """Takes `label` away, if it is there; the tree, which is changed, or another one in its place."""
    if not isinstance(tree, Labels) or _leaf_towards(tree, label).label != label:
        return tree
    above: Fork | None = None
    parent: Fork | None = None
    node: Labels = tree
    while isinstance(node, Fork):
        node._digest = None
        above, parent = parent, node
        node = node.right if node.goes_right(label) else node.left
    if parent is None:
        return EMPTY
    return _replaced(tree, above, label, parent.left if parent.goes_right(label) else parent.right)


def find(tree: Node, label: bytes) -> Node | None:
    """The subtree at `label`, or None."""
    if not isinstance(tree, Labels):
        return None
    nearest = _leaf_towards(tree, label)
    return nearest.subtree if nearest.label == label else None


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
    digest = tree.digest()
    return b"\x81\x00" if digest == EMPTY.digest() else b"\x82\x04\x58\x20" + digest


def _whole(tree: Node) -> bytes:
    if isinstance(tree, Compact):
        return _whole(tree.opened(None))
    if isinstance(tree, Fork):
        return b"\x83\x01" + _whole(tree.left) + _whole(tree.right)
    if isinstance(tree, Labeled):
        return b"\x83\x02" + _cbor_bytes(tree.label) + _whole(tree.subtree)
    if isinstance(tree, Leaf):
        return b"\x82\x03" + _cbor_bytes(tree.value)
    return _pruned(tree)


def _neighbours(tree: Node, label: bytes) -> Iterable[bytes]:
    """The labels next to where `label` would be: showing both proves that it is absent."""
    if isinstance(tree, Compact):
        return tree.neighbours(label)
    before: bytes | None = None
    after: bytes | None = None
    while isinstance(tree, Fork):
        right_low = _outermost(tree.right, last=False)
        if label < right_low:
            after = right_low
            tree = tree.left
        else:
            before = _outermost(tree.left, last=True)
            tree = tree.right
    if isinstance(tree, Labeled):
        if tree.label < label:
            before = tree.label
        else:
            after = tree.label
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
        if path[0] in tree if isinstance(tree, Compact) else find(tree, path[0]) is not None:
            wanted.setdefault(path[0], []).append(path[1:])
        else:
            for neighbour in _neighbours(tree, path[0]):
                wanted.setdefault(neighbour, [])
    if isinstance(tree, Compact) and asked:
        if len(wanted) == 1 and [()] in wanted.values():
            return tree.witness_of(*wanted)
        tree = tree.opened(wanted)
    if isinstance(tree, Labels):
        return _reveal(tree, sorted(wanted), wanted)
    return _whole(tree) if asked else _pruned(tree)


def _reveal(tree: Labels, labels: Sequence[bytes], wanted: Mapping[bytes, list[Sequence[bytes]]]) -> bytes:
    """Shows what is wanted below some of the tree's labels, which are sorted."""
    if not labels:
        return _pruned(tree)
    if len(labels) == 1:
        return _reveal_one(tree, labels[0], wanted[labels[0]])
    assert isinstance(tree, Fork)
    split = 0
    while split < len(labels) and not tree.goes_right(labels[split]):
        split += 1
    return b"\x83\x01" + _reveal(tree.left, labels[:split], wanted) + _reveal(tree.right, labels[split:], wanted)


def _reveal_one(tree: Labels, label: bytes, wanted: list[Sequence[bytes]]) -> bytes:
    """The same for one label: the path to it, and digests beside that."""
    before: list[bytes] = []
    after: list[bytes] = []
    length = len(label)
    while type(tree) is Fork:
        at, mask, left, right = tree.at, tree.mask, tree.left, tree.right
        if at < length and (not mask or label[at] & mask):
            before.append(b"\x83\x01\x82\x04\x58\x20" + (left._digest or left.digest()))
            tree = right
        else:
            before.append(b"\x83\x01")
            after.append(b"\x82\x04\x58\x20" + (right._digest or right.digest()))
            tree = left
    assert type(tree) is Labeled
    before.append(b"\x83\x02" + _cbor_bytes(label) + witness(tree.subtree, wanted))
    after.reverse()
    return b"".join(before + after)


class StateTree:
    """The replica's state tree: `/canister`, `/canister_ranges`, `/request_status` (`requests`), `/subnet`, `/time`."""

    def __init__(self, canister_ranges: Subtree, requests: Node = EMPTY) -> None:
        self._canisters: Node = EMPTY
        self.requests = requests
        self._ranges = build(canister_ranges)
        self._subnet: Node = EMPTY

    def __repr__(self) -> str:
        return f"<StateTree canisters={self._canisters!r} requests={self.requests!r}>"

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
        """The tree as it is until the next change, with `time_ns` (nanoseconds since 1970) at `/time`."""
        return build(
            {
                b"canister": self._canisters,
                b"canister_ranges": self._ranges,
                b"request_status": self.requests,
                b"subnet": self._subnet,
                b"time": leb128.unsigned(time_ns),
            }
        )
