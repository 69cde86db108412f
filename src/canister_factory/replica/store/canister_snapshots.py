"""Canister snapshots in the database of a checkpoint: each is written once, since a snapshot never changes.

Owns the tables of their contents: module, Wasm memory, stable memory. Does not own when they are written
(`checkpoint`), or the rest of a snapshot, which is part of the state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from canister_factory.replica.runtime.memory import Extent, MemoryState
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.store.state_codec import StateFormatError
from canister_factory.replica.subnet.snapshot import Snapshot
from canister_factory.replica.subnet.state import SubnetState

SCHEMA = """
CREATE TABLE canister_snapshot (
  id BLOB PRIMARY KEY, wasm_bytes INTEGER NOT NULL, main_bytes INTEGER NOT NULL, stable_bytes INTEGER NOT NULL);
CREATE TABLE snapshot_piece (
  snapshot BLOB NOT NULL, kind INTEGER NOT NULL, offset INTEGER NOT NULL, content BLOB NOT NULL,
  PRIMARY KEY (snapshot, kind, offset));
"""
_WASM, _MAIN, _STABLE = range(3)
_PIECE_BYTES = 1 << 20


def save_snapshots(
    database: sqlite3.Connection, saved: dict[bytes, Snapshot], state: SubnetState
) -> dict[bytes, Snapshot]:
    """Writes the snapshots that the database doesn't have yet, and deletes those that are gone; what is there now.

    Args:
        database: within a transaction.
        saved: what this function returned when it last committed, or `load_snapshots`.
        state: the state that is written.
    """
    present = {key: snapshot for canister in state.canisters.values() for key, snapshot in canister.snapshots.items()}
    for key in saved.keys() | present.keys():
        if saved.get(key) is present.get(key):
            continue
        database.execute("DELETE FROM canister_snapshot WHERE id = ?", (key,))
        database.execute("DELETE FROM snapshot_piece WHERE snapshot = ?", (key,))
        if key in present:
            _write(database, present[key])
    return present


def _write(database: sqlite3.Connection, snapshot: Snapshot) -> None:
    sizes = (len(snapshot.wasm), snapshot.main.size_bytes, snapshot.stable.size_bytes)
    database.execute("INSERT INTO canister_snapshot VALUES (?, ?, ?, ?)", (snapshot.id, *sizes))
    wasm = ((at, snapshot.wasm[at : at + _PIECE_BYTES]) for at in range(0, len(snapshot.wasm), _PIECE_BYTES))
    contents = (
        (_WASM, wasm),
        (_MAIN, _joined(snapshot.main.export_state().extents)),
        (_STABLE, _joined(snapshot.stable.export_state().extents)),
    )
    for kind, pieces in contents:
        rows = ((snapshot.id, kind, offset, content) for offset, content in pieces)
        database.executemany("INSERT INTO snapshot_piece VALUES (?, ?, ?, ?)", rows)


def _joined(extents: tuple[Extent, ...]) -> Iterator[Extent]:
    """The same content in fewer and longer extents."""
    start, parts, length = 0, [], 0  # type: int, list[bytes], int
    for offset, data in extents:
        if parts and (offset != start + length or length >= _PIECE_BYTES):
            yield start, b"".join(parts)
            parts, length = [], 0
        if not parts:
            start = offset
        parts.append(data)
        length += len(data)
    if parts:
        yield start, b"".join(parts)


def load_snapshots(database: sqlite3.Connection, state: SubnetState) -> dict[bytes, Snapshot]:
    """Gives the snapshots of a restored state their contents; what the database has.

    Raises:
        StateFormatError: it lacks one.
    """
    loaded: dict[bytes, Snapshot] = {}
    for canister in state.canisters.values():
        for key, snapshot in canister.snapshots.items():
            row = database.execute(
                "SELECT wasm_bytes, main_bytes, stable_bytes FROM canister_snapshot WHERE id = ?", (key,)
            ).fetchone()
            if row is None:
                raise StateFormatError(f"the content of snapshot {key.hex()} is missing")
            wasm = bytearray(row[0])
            for offset, content in _pieces(database, key, _WASM):
                wasm[offset : offset + len(content)] = content
            main, stable = StableMemory(), StableMemory()
            main.restore(MemoryState(row[1], tuple(_pieces(database, key, _MAIN))))
            stable.restore(MemoryState(row[2], tuple(_pieces(database, key, _STABLE))))
            loaded[key] = replace(snapshot, wasm=bytes(wasm), main=main, stable=stable)
        canister.snapshots.update((key, loaded[key]) for key in canister.snapshots)
    return loaded


def _pieces(database: sqlite3.Connection, snapshot_id: bytes, kind: int) -> Iterator[Extent]:
    query = "SELECT offset, content FROM snapshot_piece WHERE snapshot = ? AND kind = ? ORDER BY offset"
    yield from database.execute(query, (snapshot_id, kind))
