"""The manifest hash by the contract's formula, and what both sides are compared by."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.candid.principal import Principal
from canister_factory.contract.manifest_models import ExportItem, ItemKind, ManifestEntry
from canister_factory.contract.person_models import Connection, ConnectionGroup, ConnectionStatus, PersonRef
from canister_factory.factory.manifest import (
    Entry,
    ItemKey,
    Kind,
    content_checksum,
    key_of,
    manifest_hash,
    totals,
    tree_root,
)
from support import personal_world

CHECKSUM = st.binary(min_size=32, max_size=32)
KEYS = st.builds(ItemKey, st.sampled_from(Kind), st.text(max_size=20))
ENTRIES = st.builds(
    Entry,
    KEYS,
    CHECKSUM,
    st.none() | CHECKSUM,
    st.integers(0, 2**40),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
CAPSULES = st.lists(
    ENTRIES, max_size=12, unique_by=lambda entry: "the capsule" if entry.key.kind is Kind.CAPSULE else entry.key
)


def memory(id: str, content: bytes | None = b"c" * 32, size: int = 10) -> Entry:
    return Entry(ItemKey(Kind.MEMORY, id), b"r" * 32, content, size, 4, 3)


def test_the_hash_of_two_entries_is_the_one_written_out_by_hand() -> None:
    capsule = Entry(ItemKey(Kind.CAPSULE, "k"), b"\x01" * 32, None, 0, 0, 0)
    image = Entry(ItemKey(Kind.MEMORY, "é"), b"\x02" * 32, b"\x03" * 32, 258, 256, 2)
    first = hashlib.sha256(b"\x00" + b"\x00\x00\x00\x01" + b"k" + b"\x01" * 32 + bytes(32) + bytes(16)).digest()
    second = hashlib.sha256(
        b"\x01"
        + b"\x00\x00\x00\x02"
        + "é".encode()
        + b"\x02" * 32
        + b"\x03" * 32
        + b"\x00\x00\x00\x00\x00\x00\x01\x02"
        + b"\x00\x00\x01\x00"
        + b"\x00\x00\x00\x02"
    ).digest()
    expected = hashlib.sha256(b"canister-factory-manifest-2" + first + second).digest()
    assert manifest_hash([image, capsule]) == expected


def test_the_tree_of_three_items_is_the_one_written_out_by_hand() -> None:
    # The first bits of their keys are 0000 0101, 0000 0110 and 1000 0000: they part at bit 0, then at bit 6.
    keys = [bytes([first]) + bytes(31) for first in (0b0000_0101, 0b0000_0110, 0b1000_0000)]
    first, second, third = hashes = [bytes([number]) * 32 for number in (1, 2, 3)]
    pair = hashlib.sha256(b"\xff" + first + second).digest()
    assert tree_root(dict(zip(keys, hashes, strict=True))) == hashlib.sha256(b"\xff" + pair + third).digest()


@given(st.dictionaries(CHECKSUM, CHECKSUM, max_size=40))
def test_the_root_of_any_items_is_what_the_definition_gives(items: dict[bytes, bytes]) -> None:
    assert tree_root(items) == personal_world.tree_root(list(items.items()))


def test_a_tree_may_be_as_deep_as_a_key_has_bits() -> None:
    items = {(1 << bit).to_bytes(32, "big"): bytes([bit]) * 32 for bit in range(256)}
    assert tree_root(items) == personal_world.tree_root(list(items.items()))


def test_entries_of_two_capsules_have_no_manifest() -> None:
    capsules = [Entry(ItemKey(Kind.CAPSULE, id), b"\x01" * 32, None, 0, 0, 0) for id in ("a", "b")]
    with pytest.raises(ValueError, match="these entries are of 2"):
        manifest_hash(capsules)


def test_each_kind_has_its_number_in_the_formula() -> None:
    assert dict(Kind.__members__) == {
        "CAPSULE": 0,
        "MEMORY": 1,
        "GALLERY": 2,
        "CONNECTION": 3,
        "CONNECTION_GROUP": 4,
    }
    assert [ItemKey(kind, "x").ref().kind for kind in Kind] == list(ItemKind)


@given(CAPSULES, st.randoms())
def test_the_order_in_which_entries_come_does_not_matter(entries: list[Entry], chance: random.Random) -> None:
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert manifest_hash(shuffled) == manifest_hash(entries)


@given(CAPSULES.filter(bool), st.data())
def test_every_field_of_every_entry_counts(entries: list[Entry], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    changes: list[dict[str, Any]] = [
        {"record_checksum": bytes(b ^ 1 for b in entries[index].record_checksum)},
        {"size": entries[index].size + 1},
        {"chunk_size": entries[index].chunk_size ^ 1},
        {"total_chunks": entries[index].total_chunks ^ 1},
        {"content_checksum": bytes(b ^ 1 for b in entries[index].content_checksum or bytes(32))},
    ]
    changed = entries[index]._replace(**data.draw(st.sampled_from(changes)))
    others = [*entries[:index], changed, *entries[index + 1 :]]
    assert manifest_hash(others) != manifest_hash(entries)


def test_a_missing_entry_changes_the_hash() -> None:
    assert manifest_hash([memory("a"), memory("b")]) != manifest_hash([memory("a")])


def test_bytes_that_live_elsewhere_are_not_counted() -> None:
    counted = totals([memory("a"), memory("b", content=None, size=99), memory("c", size=7)])
    assert (counted.memories, counted.content_size) == (3, 17)


def test_a_content_checksum_is_the_hash_of_the_chunk_hashes() -> None:
    chunks = [hashlib.sha256(part).digest() for part in (b"ab", b"c")]
    assert content_checksum(chunks) == hashlib.sha256(chunks[0] + chunks[1]).digest()


def test_an_entry_of_the_contract_keeps_all_its_fields() -> None:
    wire = ManifestEntry(
        kind=ItemKind.ConnectionGroup,
        id="g",
        record_checksum=b"r" * 32,
        content_checksum=None,
        size=1,
        chunk_size=2,
        total_chunks=3,
    )
    entry = Entry.of(wire)
    assert entry == Entry(ItemKey(Kind.CONNECTION_GROUP, "g"), b"r" * 32, None, 1, 2, 3)
    assert entry.key.ref().kind == ItemKind.ConnectionGroup


def test_any_other_record_is_named_by_its_id() -> None:
    group = ConnectionGroup(id="near", name="Near", members=[], created_at=1, updated_at=1)
    assert key_of(ExportItem(ConnectionGroup=group)) == ItemKey(Kind.CONNECTION_GROUP, "near")


def test_a_connection_is_named_by_its_peer() -> None:
    def connection(peer: PersonRef) -> ExportItem:
        return ExportItem(
            Connection=Connection(peer=peer, status=ConnectionStatus.Accepted, created_at=1, updated_at=1)
        )

    assert key_of(connection(PersonRef(Opaque="Jan"))) == ItemKey(Kind.CONNECTION, "opaque:Jan")
    someone = Principal(b"\x01\x02")
    assert key_of(connection(PersonRef(Principal=someone))).id == f"principal:{someone}"
