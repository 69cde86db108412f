"""The state tree against a naive model, and its witnesses against the client's own lookups."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import hash_tree
from canister_factory.replica.node.state_tree import (
    EMPTY,
    Leaf,
    Node,
    StateTree,
    build,
    find,
    insert,
    remove,
    witness,
)

# Short alphabets make prefixes, neighbours and repeated labels likely.
labels = st.binary(max_size=3) | st.lists(st.sampled_from([0, 1, 127, 128, 255]), max_size=5).map(bytes)
Content: TypeAlias = "bytes | Mapping[bytes, Content]"
contents: st.SearchStrategy[Content] = st.recursive(
    st.binary(max_size=4), lambda inner: st.dictionaries(labels, inner, max_size=6), max_leaves=20
)


def decoded(encoded: bytes) -> hash_tree.Node:
    return hash_tree.decode_tree(encoded)  # checks the order of labels too


def naive_digest(content: Content, bit: int = 0) -> bytes:
    """The digest from the specification's definition over a trie that is built from scratch by splitting label sets."""
    if isinstance(content, bytes):
        return sha256(b"\x10ic-hashtree-leaf" + content).digest()
    if not content:
        return sha256(b"\x11ic-hashtree-empty").digest()
    if len(content) == 1:
        ((label, below),) = content.items()
        return sha256(b"\x13ic-hashtree-labeled" + label + naive_digest(below)).digest()
    zeros = {label: below for label, below in content.items() if not nine_bit(label, bit)}
    ones = {label: below for label, below in content.items() if nine_bit(label, bit)}
    if not zeros or not ones:
        return naive_digest(content, bit + 1)
    return sha256(b"\x10ic-hashtree-fork" + naive_digest(zeros, bit + 1) + naive_digest(ones, bit + 1)).digest()


def nine_bit(label: bytes, bit: int) -> int:
    index, position = divmod(bit, 9)
    if index >= len(label):
        return 0
    return 1 if position == 0 else label[index] >> (8 - position) & 1


@given(contents)
def test_the_digest_is_that_of_a_tree_rebuilt_from_scratch(content: Content) -> None:
    assert build(content).digest() == naive_digest(content)


@given(st.lists(st.tuples(labels, st.binary(max_size=3) | st.none()), max_size=40))
def test_any_history_of_changes_ends_in_the_tree_of_what_is_there(changes: list[tuple[bytes, bytes | None]]) -> None:
    tree: Node = EMPTY
    model: dict[bytes, bytes] = {}
    for label, value in changes:
        if value is None:
            tree = remove(tree, label)
            model.pop(label, None)
        else:
            tree = insert(tree, label, Leaf(value))
            model[label] = value
        assert tree.digest() == naive_digest(model)
    for label in [*model, b"", b"\xff\xff\xff\xff"]:
        leaf = find(tree, label)
        assert (leaf.value if isinstance(leaf, Leaf) else None) == model.get(label)


@given(contents, st.lists(st.lists(labels, max_size=3), max_size=4))
def test_a_witness_shows_what_was_asked_and_keeps_the_root(content: Content, paths: list[list[bytes]]) -> None:
    tree = build(content)
    shown = decoded(witness(tree, paths))
    assert shown.digest == tree.digest()
    for path in paths:
        at = at_path(content, path)
        result = hash_tree.lookup_subtree(shown, path)
        if at is None or at == {}:
            assert result is hash_tree.ABSENT
        else:
            assert isinstance(result, hash_tree.Found)
            assert result.value.digest == naive_digest(at)
            assert not hides_anything(result.value)


def at_path(content: Content, path: list[bytes]) -> Content | None:
    at: Content | None = content
    for label in path:
        at = at.get(label) if isinstance(at, Mapping) else None
    return at


def hides_anything(tree: hash_tree.Node) -> bool:
    match tree:
        case hash_tree.Pruned():
            return True
        case hash_tree.Fork():
            return hides_anything(tree.left) or hides_anything(tree.right)
        case hash_tree.Labeled():
            return hides_anything(tree.subtree)
    return False


@given(st.dictionaries(labels, st.binary(min_size=5, max_size=5), min_size=2), st.data())
def test_a_witness_shows_no_value_that_was_not_asked_for(content: dict[bytes, bytes], data: st.DataObject) -> None:
    asked = data.draw(labels)
    shown = witness(build(content), [[asked]])
    for label, value in content.items():
        if label != asked and value != content.get(asked):
            assert value not in shown.replace(label, b"")  # a neighbour's label may show, its value may not


def test_absence_is_proven_by_the_labels_on_both_sides_of_the_gap() -> None:
    tree = build({bytes([label]): b"value" for label in range(0, 200, 10)})
    shown = decoded(witness(tree, [[b"\x05"]]))
    assert hash_tree.lookup_path(shown, [b"\x05"]) is hash_tree.ABSENT
    assert hash_tree.lookup_subtree(shown, [b"\x00"]) is hash_tree.UNKNOWN, "the neighbour's value stays hidden"
    assert hash_tree.lookup_path(shown, [b"\x19"]) is hash_tree.UNKNOWN


def test_time_is_in_every_root() -> None:
    shown = decoded(witness(StateTree({}).root(624485), [[b"time"]]))
    assert hash_tree.lookup_path(shown, [b"time"]) == hash_tree.Found(b"\xe5\x8e\x26")


def test_deep_labels_do_not_lose_their_order() -> None:
    content = {b"a" * length: b"%d" % length for length in range(60)}
    shown = decoded(witness(build(content), [[]]))
    assert hash_tree.labels(shown) == sorted(content)


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_values_of_every_length_class_survive_encoding(size: int) -> None:
    shown = decoded(witness(build({b"value": bytes(size)}), [[b"value"]]))
    assert hash_tree.lookup_path(shown, [b"value"]) == hash_tree.Found(bytes(size))
