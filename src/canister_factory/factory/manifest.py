"""Manifest entries as the factory keeps them, and the manifest hash computed from them by the contract's formula.

Owns the formula in Python (`canisters/*/*.did`, "Manifests"). Does not own: reading entries, comparing both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.type_table import encode_header
from canister_factory.contract.artifacts import personal_interface
from canister_factory.contract.manifest_models import ExportItem, ItemKind, ItemRef, ManifestEntry

SCHEME = "canister-factory-manifest-2"
CERTIFIED_SCHEME = "canister-factory-certified-1"
CHECKSUM_BYTES = 32
NOTHING = bytes(CHECKSUM_BYTES)
"""In the place of a hash where there is nothing to be hashed."""


class Kind(IntEnum):
    """The kinds of items by their number in the formula, which is also their order."""

    CAPSULE = 0
    MEMORY = 1
    GALLERY = 2
    CONNECTION = 3
    CONNECTION_GROUP = 4


_KINDS = {
    ItemKind.Capsule: Kind.CAPSULE,
    ItemKind.Memory: Kind.MEMORY,
    ItemKind.Gallery: Kind.GALLERY,
    ItemKind.Connection: Kind.CONNECTION,
    ItemKind.ConnectionGroup: Kind.CONNECTION_GROUP,
}
_RECORD_TYPES = {kind: kind.value for kind in ItemKind} | {
    ItemKind.Capsule: "CapsuleRecord",
    ItemKind.Memory: "MemoryRecord",
}
_ITEM_KINDS = {number: kind for kind, number in _KINDS.items()}


class ItemKey(NamedTuple):
    """Names one item; sorts as the manifest does: by kind, then by the id's code points."""

    kind: Kind
    id: str

    @classmethod
    def of(cls, named: ItemRef | ManifestEntry) -> ItemKey:
        """From the contract's form."""
        return cls(_KINDS[named.kind], named.id)

    @classmethod
    def memory(cls, memory_id: str) -> ItemKey:
        """Of a memory."""
        return cls(Kind.MEMORY, memory_id)

    def ref(self) -> ItemRef:
        """The contract's form of it."""
        return ItemRef(kind=_ITEM_KINDS[self.kind], id=self.id)

    def digest(self) -> bytes:
        """Where the item is in the tree: the key of the formula."""
        return hashlib.sha256(bytes((self.kind,)) + self.id.encode()).digest()


class Entry(NamedTuple):
    """One item's checksums (32 bytes each) and sizes (bytes). An entry has no content when its bytes live elsewhere."""

    key: ItemKey
    record_checksum: bytes
    content_checksum: bytes | None
    size: int
    chunk_size: int
    total_chunks: int

    @classmethod
    def of(cls, entry: ManifestEntry) -> Entry:
        """From the contract's form."""
        return cls(
            ItemKey.of(entry),
            entry.record_checksum,
            entry.content_checksum,
            entry.size,
            entry.chunk_size,
            entry.total_chunks,
        )

    def told(self) -> ManifestEntry:
        """The contract's form of it."""
        return ManifestEntry(
            kind=_ITEM_KINDS[self.key.kind],
            id=self.key.id,
            record_checksum=self.record_checksum,
            content_checksum=self.content_checksum,
            size=self.size,
            chunk_size=self.chunk_size,
            total_chunks=self.total_chunks,
        )

    @property
    def content(self) -> tuple[bytes | None, int, int, int]:
        """What is equal exactly when the bytes and their division into chunks are."""
        return self.content_checksum, self.size, self.chunk_size, self.total_chunks

    def digest(self) -> bytes:
        """The entry hash of the formula."""
        name = self.key.id.encode()
        return hashlib.sha256(
            b"".join(
                (
                    bytes((self.key.kind,)),
                    len(name).to_bytes(4, "big"),
                    name,
                    self.record_checksum,
                    self.content_checksum or NOTHING,
                    self.size.to_bytes(8, "big"),
                    self.chunk_size.to_bytes(4, "big"),
                    self.total_chunks.to_bytes(4, "big"),
                )
            )
        ).digest()


def key_of(item: ExportItem) -> ItemKey:
    """The key of a record; a connection's id is made of its peer."""
    kind, record = _KINDS[ItemKind(item.tag)], item.value
    if kind is not Kind.CONNECTION:
        return ItemKey(kind, record.id)
    return ItemKey(kind, f"{record.peer.tag.lower()}:{record.peer.value}")


def record_checksum(item: ExportItem) -> bytes:
    """The checksum of a record: SHA-256 of its value in Candid, without the type table in front of it.

    Raises:
        EncodeError: the record isn't of the contract's type.
    """
    record = item.value
    type_ = personal_interface().types[_RECORD_TYPES[ItemKind(item.tag)]]
    encoded = encode([type_], [to_candid(type(record), record)])
    return hashlib.sha256(encoded[len(encode_header([type_])) :]).digest()


def tree_root(items: Mapping[bytes, bytes]) -> bytes:
    """The root of items' hashes by their keys (32 bytes each): of all of them `NOTHING` when there are none.

    Keys are taken in their order. The keys of a subtree have more bits in common than any other key has with them, so a
    subtree is whole as soon as the next key has fewer.
    """
    # Subtrees that wait for what is on their right: their hash, and how many bits the next key has in common with them.
    waiting: list[tuple[bytes, int]] = []
    root, last = NOTHING, None
    for key in sorted(items):
        number = int.from_bytes(key, "big")
        if last is not None:
            common = 8 * CHECKSUM_BYTES - (last ^ number).bit_length()
            while waiting and waiting[-1][1] > common:
                root = _joined(waiting.pop()[0], root)
            waiting.append((root, common))
        root, last = items[key], number
    while waiting:
        root = _joined(waiting.pop()[0], root)
    return root


def _joined(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\xff" + left + right).digest()


class Totals(NamedTuple):
    """What a manifest counts; `content_size` in bytes."""

    memories: int
    galleries: int
    connections: int
    connection_groups: int
    content_size: int


def manifest_hash(entries: Iterable[Entry]) -> bytes:
    """The manifest hash of these entries, in whatever order they come: those of one capsule, of which all keys differ.

    Raises:
        ValueError: there is more than one capsule.
    """
    own, items = [], {}
    for entry in entries:
        if entry.key.kind is Kind.CAPSULE:
            own.append(entry.digest())
        else:
            items[entry.key.digest()] = entry.digest()
    if len(own) > 1:
        raise ValueError(f"a manifest is of one capsule, these entries are of {len(own)}")
    return hashlib.sha256(SCHEME.encode() + (own[0] if own else NOTHING) + tree_root(items)).digest()


def certified_data(live: bytes, imported: bytes) -> bytes:
    """What a personal canister certifies: of the manifest hashes of what it holds and of its finished import."""
    return hashlib.sha256(CERTIFIED_SCHEME.encode() + live + imported).digest()


def totals(entries: Iterable[Entry]) -> Totals:
    """Counts and bytes of these entries."""
    counts = dict.fromkeys(Kind, 0)
    content_size = 0
    for entry in entries:
        counts[entry.key.kind] += 1
        content_size += entry.size if entry.content_checksum is not None else 0
    return Totals(
        counts[Kind.MEMORY],
        counts[Kind.GALLERY],
        counts[Kind.CONNECTION],
        counts[Kind.CONNECTION_GROUP],
        content_size,
    )


def content_checksum(chunk_checksums: Iterable[bytes]) -> bytes:
    """The checksum of a memory's bytes: SHA-256 of its chunks' SHA-256 checksums, one after the other."""
    return hashlib.sha256(b"".join(chunk_checksums)).digest()
