"""Hash trees: the specification's example, absence and unknown, hostile encodings."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import cbor
from canister_factory.ic.errors import HashTreeError, IcError
from canister_factory.ic.hash_tree import (
    ABSENT,
    EMPTY,
    MAX_DEPTH,
    UNKNOWN,
    Fork,
    Found,
    Labeled,
    Leaf,
    Node,
    Pruned,
    decode_tree,
    encode_tree,
    fork_all,
    labels,
    lookup_path,
    lookup_subtree,
    siblings,
    tree_from_items,
)
from support.ic_test_support import tree_of

FULL = bytes.fromhex(
    "8301830183024161830183018302417882034568656c6c6f810083024179820345776f726c6483024162820344676f6f64"
    "8301830241638100830241648203476d6f726e696e67"
)
PRUNED = bytes.fromhex(
    "83018301830241618301820458201b4feff9bef8131788b0c9dc6dbad6e81e524249c879e9f10f71ce3749f5a6388302417982034577"
    "6f726c6483024162820458207b32ac0c6ba8ce35ac82c255fc7906f7fc130dab2a090f80fe12f9c2cae83ba6830182045820ec8324b8"
    "a1f1ac16bd2e806edba78006479c9877fed4eb464a25485465af601d830241648203476d6f726e696e67"
)
ROOT_HASH = "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0"

LABELS = st.binary(min_size=1, max_size=4)
STATES = st.recursive(
    st.binary(max_size=8), lambda inner: st.dictionaries(LABELS, inner, min_size=1, max_size=6), max_leaves=20
)


def path(text: str) -> list[bytes]:
    return [label.encode() for label in text.split("/")]


def prune(node: Node, keep: set[bytes]) -> Node:
    """Prunes what is under top-level labels that are not to be kept, merging pruned neighbours."""
    if isinstance(node, Fork):
        left, right = prune(node.left, keep), prune(node.right, keep)
        both = isinstance(left, Pruned) and isinstance(right, Pruned)
        return Pruned(node.digest) if both else Fork(left, right)
    return node if isinstance(node, Labeled) and node.label in keep else Pruned(node.digest)


@pytest.mark.parametrize("data", [FULL, PRUNED])
def test_the_specifications_example_has_the_specified_root_hash_and_encoding(data: bytes) -> None:
    tree = decode_tree(data)
    assert tree.digest.hex() == ROOT_HASH
    assert encode_tree(tree) == data


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("a/a", UNKNOWN),
        ("a/y", Found(b"world")),
        ("aa", ABSENT),
        ("ax", ABSENT),
        ("b", UNKNOWN),
        ("bb", UNKNOWN),
        ("d", Found(b"morning")),
        ("e", ABSENT),
    ],
)
def test_lookups_in_the_specifications_pruned_example(where: str, expected: Any) -> None:
    assert lookup_path(decode_tree(PRUNED), path(where)) == expected


def test_a_label_with_nothing_under_it_is_absent_and_a_subtree_is_no_value() -> None:
    tree = decode_tree(FULL)
    assert lookup_path(tree, path("c")) is ABSENT
    assert lookup_path(tree, path("b/below a leaf")) is ABSENT
    assert isinstance(lookup_subtree(tree, path("a")), Found)
    assert labels(tree, path("a")) == [b"x", b"y"]
    assert labels(tree) == [b"a", b"b", b"c", b"d"]
    assert labels(tree, path("nowhere")) == []
    with pytest.raises(HashTreeError, match="/a names a subtree"):
        lookup_path(tree, path("a"))


@given(STATES)
def test_trees_survive_their_encoding_and_every_value_is_found(state: Any) -> None:
    tree = decode_tree(encode_tree(tree_of(state)))
    assert tree.digest == tree_of(state).digest

    def check(node: Any, where: list[bytes]) -> None:
        if isinstance(node, bytes):
            assert lookup_path(tree, where) == Found(node)
        else:
            assert labels(tree, where) == sorted(node)
            for label, inner in node.items():
                check(inner, [*where, label])

    check(state, [])


@given(st.dictionaries(LABELS, st.binary(max_size=4), min_size=1, max_size=12), st.data())
def test_pruning_keeps_the_root_hash_and_never_makes_a_lookup_lie(
    state: dict[bytes, bytes], data: st.DataObject
) -> None:
    full = tree_of(state)
    keep = data.draw(st.sets(st.sampled_from(sorted(state))))
    pruned = prune(full, keep)
    assert pruned.digest == full.digest
    probe = data.draw(LABELS | st.sampled_from(sorted(state)))
    result = lookup_path(pruned, [probe])
    allowed = [Found(state[probe])] if probe in keep else [UNKNOWN] if probe in state else [UNKNOWN, ABSENT]
    assert result in allowed


@given(st.lists(LABELS, unique=True, max_size=40))
def test_a_balanced_tree_has_all_its_labels_in_order(names: list[bytes]) -> None:
    tree = fork_all([Labeled(name, Leaf(name)) for name in sorted(names)])
    assert [node.label for node in siblings(tree) if isinstance(node, Labeled)] == sorted(names)
    assert (tree is EMPTY) == (not names)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [5],
        [0, 0],
        [1, [0]],
        [2, "label", [0]],
        [2, b"label"],
        [3, "value"],
        [4, b"short"],
        "tree",
        {},
        None,
        [1, [2, b"b", [0]], [2, b"a", [0]]],
        [1, [2, b"a", [0]], [2, b"a", [0]]],
        [1, [3, b"leaf"], [2, b"a", [0]]],
        [2, b"x", [1, [2, b"b", [0]], [1, [4, bytes(32)], [2, b"a", [0]]]]],
    ],
)
def test_malformed_trees_are_refused(items: Any) -> None:
    with pytest.raises(HashTreeError):
        decode_tree(cbor.dumps(items))


def nested(depth: int) -> list[Any]:
    tree: list[Any] = [0]
    for _ in range(depth - 1):
        tree = [2, b"x", tree]
    return tree


def test_a_tree_that_is_nested_too_deeply_is_refused() -> None:
    tree_from_items(nested(MAX_DEPTH), max_nodes=MAX_DEPTH)
    with pytest.raises(HashTreeError, match="nested deeper than 512"):
        tree_from_items(nested(MAX_DEPTH + 1), max_nodes=MAX_DEPTH + 1)


def test_bytes_that_are_nested_too_deeply_are_refused_before_they_are_a_tree() -> None:
    deep = b"\x83\x02\x41x" * (MAX_DEPTH + 1) + b"\x81\x00"
    with pytest.raises(IcError, match=r"hash tree: not valid CBOR: .*nesting depth"):
        decode_tree(deep)


def test_a_tree_that_shares_its_branches_to_become_exponentially_large_is_refused() -> None:
    bomb = b"\xd8\x1c\x81\x00"
    for level in range(60, 0, -1):
        bomb = b"\xd8\x1c\x83\x01" + bomb + b"\xd8\x1d" + cbor.head(0, level)
    with pytest.raises(HashTreeError, match="more nodes than bytes"):
        decode_tree(bomb)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_a_tree_or_refused_with_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(IcError):
        decode_tree(data)


def test_a_big_tree_is_built_encoded_and_read_without_recursion() -> None:
    chain: Node = EMPTY
    for number in range(20_000, 0, -1):
        chain = Fork(Labeled(number.to_bytes(4, "big"), Leaf(b"")), chain)
    assert len(labels(chain)) == 20_000
    assert len(encode_tree(chain)) > 20_000
    assert lookup_path(chain, [(19_999).to_bytes(4, "big")]) == Found(b"")


def test_nodes_say_what_they_are_without_their_contents() -> None:
    leaf = Leaf(b"x" * 1000)
    assert repr(leaf) == f"Leaf(1000 bytes, digest={leaf.digest.hex()[:8]})"
    assert repr(Labeled(b"time", leaf)).startswith("Labeled(b'time', digest=")
    assert repr(EMPTY) == "Empty()"
