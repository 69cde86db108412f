"""Hash trees: nodes with their digests, the CBOR form, lookups that tell absent from unknown.

Source: interface specification, "Certification", from "Certificate" to "Encoding of certificates". Does not own:
signatures on root hashes (`certificate`), and which trees a replica keeps or how it prunes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, Generic, TypeAlias, TypeVar, final

from canister_factory.ic import cbor
from canister_factory.ic.errors import HashTreeError

MAX_DEPTH = 512
"""Nesting limit of a tree that is read. Balanced forks over any real subnet's labels stay far below it."""

LEAF: Final = b"\x10ic-hashtree-leaf"
LABELED: Final = b"\x13ic-hashtree-labeled"
FORK: Final = b"\x10ic-hashtree-fork"
"""What is hashed before the content of a node, for each kind."""

_EMPTY_DIGEST: Final = sha256(b"\x11ic-hashtree-empty").digest()


@final
class Empty:
    """No children and no value."""

    __slots__ = ()
    digest = _EMPTY_DIGEST

    def __repr__(self) -> str:
        return "Empty()"


@final
class Fork:
    """Two subtrees side by side; every label on the left is below every label on the right."""

    __slots__ = ("digest", "left", "right")
    digest: bytes

    def __init__(self, left: Node, right: Node) -> None:
        self.left = left
        self.right = right
        self.digest = sha256(FORK + left.digest + right.digest).digest()

    def __repr__(self) -> str:
        return f"Fork(digest={self.digest.hex()[:8]})"


@final
class Labeled:
    """A subtree under a label."""

    __slots__ = ("digest", "label", "subtree")
    digest: bytes

    def __init__(self, label: bytes, subtree: Node) -> None:
        self.label = label
        self.subtree = subtree
        self.digest = sha256(LABELED + label + subtree.digest).digest()

    def __repr__(self) -> str:
        return f"Labeled({self.label!r}, digest={self.digest.hex()[:8]})"


@final
class Leaf:
    """A value."""

    __slots__ = ("digest", "value")

    def __init__(self, value: bytes) -> None:
        self.value = value
        hasher = sha256(LEAF)
        hasher.update(value)
        self.digest = hasher.digest()

    def __repr__(self) -> str:
        return f"Leaf({len(self.value)} bytes, digest={self.digest.hex()[:8]})"


@final
class Pruned:
    """A subtree of which only the digest (32 bytes) is revealed."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        if len(digest) != 32:
            raise HashTreeError(f"a pruned hash-tree node has a digest of {len(digest)} bytes instead of 32")
        self.digest = digest

    def __repr__(self) -> str:
        return f"Pruned({self.digest.hex()[:8]})"


# Digests are computed once, when a node is made from its finished children: no recursion, and sharing subtrees is free.
Node: TypeAlias = Empty | Fork | Labeled | Leaf | Pruned
EMPTY = Empty()


# --- Lookup results -------------------------------------------------------------------------------------------------

T = TypeVar("T")


@final
class Found(Generic[T]):
    """The tree has this at the path."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Found({self.value!r})"


@final
class Absent:
    """The tree proves that nothing is at the path."""

    def __repr__(self) -> str:
        return "ABSENT"


@final
class Unknown:
    """The path may be in a pruned part: the tree says nothing about it."""

    def __repr__(self) -> str:
        return "UNKNOWN"


ABSENT = Absent()
UNKNOWN = Unknown()


# --- Building and encoding ------------------------------------------------------------------------------------------


def fork_all(nodes: Sequence[Node]) -> Node:
    """A balanced tree over nodes that are in label order; `EMPTY` for none."""
    level = list(nodes)
    if not level:
        return EMPTY
    while len(level) > 1:
        paired: list[Node] = [Fork(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def encode_tree(tree: Node) -> bytes:
    """The CBOR form, without the self-describe tag, ready to stand inside a certificate's map."""
    parts: list[bytes] = []
    pending: list[Node] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Fork):
            parts.append(b"\x83\x01")
            pending.append(node.right)
            pending.append(node.left)
        elif isinstance(node, Labeled):
            parts += (b"\x83\x02", cbor.head(2, len(node.label)), node.label)
            pending.append(node.subtree)
        elif isinstance(node, Leaf):
            parts += (b"\x82\x03", cbor.head(2, len(node.value)), node.value)
        elif isinstance(node, Pruned):
            parts += (b"\x82\x04\x58\x20", node.digest)
        else:
            parts.append(b"\x81\x00")
    return b"".join(parts)


def decode_tree(data: bytes) -> Node:
    """Reads the CBOR form.

    Raises:
        HashTreeError: it isn't a well-formed tree.
        MalformedCborError: it isn't CBOR at all.
    """
    return tree_from_items(cbor.loads(data, "hash tree"), max_nodes=len(data))


def tree_from_items(items: Any, max_nodes: int, max_depth: int = MAX_DEPTH) -> Node:
    """The tree of nested arrays, as decoded from CBOR; checked to be well-formed.

    `max_nodes` is the size in bytes of what was decoded: more nodes than bytes means shared structure, an attack.

    Raises:
        HashTreeError: it isn't.
    """
    done: list[Node] = []
    # (array, depth) to read; or (arity or label, -1) to build from what is done.
    pending: list[tuple[Any, int]] = [(items, 1)]
    nodes = 0
    while pending:
        item, depth = pending.pop()
        if depth == -1:
            if item is None:
                right = done.pop()
                done.append(Fork(done.pop(), right))
            else:
                done.append(Labeled(item, done.pop()))
            continue
        nodes += 1
        if depth > max_depth or nodes > max_nodes:
            raise HashTreeError(f"a hash tree nested deeper than {max_depth}, or with more nodes than bytes")
        match item:
            case [1, left, right]:
                pending += ((None, -1), (right, depth + 1), (left, depth + 1))
            case [2, bytes(label), subtree]:
                pending += ((label, -1), (subtree, depth + 1))
            case [3, bytes(value)]:
                done.append(Leaf(value))
            case [4, bytes(digest)]:
                done.append(Pruned(digest))
            case [0]:
                done.append(EMPTY)
            case _:
                raise HashTreeError(
                    "a hash-tree node is not one of [0], [1, l, r], [2, label, t], [3, value], [4, hash]"
                )
    tree = done.pop()
    check_well_formed(tree)
    return tree


def check_well_formed(tree: Node) -> None:
    """Checks that sibling labels strictly increase and aren't mixed with leaves.

    Raises:
        HashTreeError: they don't.
    """
    subtrees: list[Node] = [tree]
    while subtrees:
        level = subtrees.pop()
        if isinstance(level, Leaf):
            continue
        previous: bytes | None = None
        for node in siblings(level):
            if isinstance(node, Leaf):
                raise HashTreeError("malformed hash tree: a leaf beside other nodes")
            if isinstance(node, Labeled):
                if previous is not None and node.label <= previous:
                    raise HashTreeError(
                        f"malformed hash tree: the label {node.label[:40]!r} comes after {previous[:40]!r}"
                    )
                previous = node.label
                subtrees.append(node.subtree)


def siblings(tree: Node) -> Iterator[Labeled | Leaf | Pruned]:
    """The nodes at a tree's top, left to right, with forks dissolved."""
    pending: list[Node] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Fork):
            pending.append(node.right)
            pending.append(node.left)
        elif not isinstance(node, Empty):
            yield node


# --- Looking things up ----------------------------------------------------------------------------------------------


def lookup_subtree(tree: Node, path: Sequence[bytes]) -> Found[Node] | Absent | Unknown:
    """What a well-formed tree has at a path. A pruned node at its end is `UNKNOWN`, an empty one `ABSENT`."""
    for label in path:
        child = _find_label(tree, label)
        if not isinstance(child, Found):
            return child
        tree = child.value
    if isinstance(tree, Empty):
        return ABSENT
    return UNKNOWN if isinstance(tree, Pruned) else Found(tree)


def lookup_path(tree: Node, path: Sequence[bytes]) -> Found[bytes] | Absent | Unknown:
    """The value at a path.

    Raises:
        HashTreeError: the path leads to a subtree instead (the specification's Error).
    """
    node = lookup_subtree(tree, path)
    if not isinstance(node, Found):
        return node
    if not isinstance(node.value, Leaf):
        raise HashTreeError(f"the path {_shown(path)} names a subtree, not a value")
    return Found(node.value.value)


def labels(tree: Node, path: Sequence[bytes] = ()) -> list[bytes]:
    """The labels that are revealed below a path, in order; none where the path is absent or unknown."""
    found = lookup_subtree(tree, path)
    if not isinstance(found, Found):
        return []
    return [node.label for node in siblings(found.value) if isinstance(node, Labeled)]


def _find_label(tree: Node, label: bytes) -> Found[Node] | Absent | Unknown:
    if isinstance(tree, Leaf):
        return ABSENT
    after_pruned = False
    for node in siblings(tree):
        if isinstance(node, Labeled):
            if node.label == label:
                return Found(node.subtree)
            if node.label > label:
                break
            after_pruned = False
        else:
            after_pruned = True
    # Absence is proven by the labels on both sides or by the tree's end; a pruned node between may hide the label.
    return UNKNOWN if after_pruned else ABSENT


def _shown(path: Sequence[bytes]) -> str:
    return "/" + "/".join(label.decode() if label.isascii() and label.isalnum() else label.hex() for label in path)
