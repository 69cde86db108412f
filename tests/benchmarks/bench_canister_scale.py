"""What calls cost on canisters with 10, 1,000 and 10,000 entries: instructions of the Wasm, and time in process.

The built modules run on the replica's subnet without HTTP, signatures or a disk: the figures are the canisters' own.
Instructions are deterministic but for the garbage collection, which takes steps in some updates: a call's figure is the
median of five, and `most` is the worst.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from support.backend_world import OWNER, World  # noqa: E402 - found by the line above
from support.contents_gauge import CHUNK_BYTES, different_chunks  # noqa: E402
from support.personal_world import inline, sha256  # noqa: E402
from support.scale_gauge import Cost, Gauge  # noqa: E402
from support.scale_world import (  # noqa: E402
    GrowingCapsule,
    GrowingImport,
    GrowingRegistry,
    upload,
)

SIZES = (10, 1_000, 10_000)
MOST_CONNECTIONS = 4_000  # what a capsule has room for beside galleries that name 10,000 memories
LARGE_BYTES = 100_000_000
CHURN_BYTES = 100_000
CHURN_CALLS = 3_000  # enough that the garbage collection runs


def megabytes(count: int) -> float:
    return round(count / 1e6, 1)


def growth(prefix: str, costs: dict[int, dict[str, Cost]]) -> dict[str, object]:
    """One figure for each call: how its cost grows."""
    figures: dict[str, object] = {}
    for name, last in costs[SIZES[-1]].items():
        figures[f"{prefix}.{name}"] = {
            **{f"instructions_at_{size}": costs[size][name].instructions for size in SIZES},
            "most": last.most,
            f"milliseconds_at_{SIZES[-1]}": round(last.milliseconds, 2),
        }
    return figures


def grown(world: GrowingRegistry | GrowingImport) -> dict[int, dict[str, Cost]]:
    """What calls cost at each of the sizes."""
    costs = {}
    for size in SIZES:
        world.grow(size)
        costs[size] = world.costs()
    return costs


def of_capsule() -> dict[str, object]:
    world = GrowingCapsule()
    costs = {}
    for size in SIZES:
        world.grow(size, connections=min(size, MOST_CONNECTIONS))
        costs[size] = world.costs() | world.export_costs()
    return growth("capsule", costs) | of_garbage_collection(world)


def of_garbage_collection(world: GrowingCapsule) -> dict[str, object]:
    """100 kB replaced again and again in the largest capsule: the worst message holds a step of the collection."""
    gauge = Gauge(world, world.backend, "backend")
    change = (world.memory_ids[0], {"data": inline(bytes(CHURN_BYTES))})
    started = time.perf_counter()
    gauge.calls("replace", "update_memory_in_capsule", [change] * CHURN_CALLS)
    cost = gauge.costs["replace"]
    return {
        "collection.replace_100_kb_instructions": cost.instructions,
        "collection.worst_message_instructions": cost.most,
        "collection.seconds_of_all": round(time.perf_counter() - started, 1),
        "collection.heap_megabytes": megabytes(world.backend_state.memory_bytes),
    }


def of_registry() -> dict[str, object]:
    return growth("owners", grown(GrowingRegistry()))


def of_import() -> dict[str, object]:
    world = GrowingImport()
    figures = growth("import", grown(world))
    figures["import.of_a_note_instructions"] = world.instructions_of_notes // world.count
    for name, cost in world.finalize_costs().items():
        figures[f"import.{name}_instructions"] = cost.instructions
    return figures


def of_imported_bytes() -> dict[str, object]:
    """Record, chunks and commit of one memory, in instructions for each of its bytes."""
    figures: dict[str, object] = {}
    world = GrowingImport()
    started = time.perf_counter()
    for size in (LARGE_BYTES, 1_900_000, 100_000, 10_000):
        figures[f"import.memory_of_{size}_bytes_instructions_per_byte"] = round(world.instructions_per_byte(size), 1)
        if size == LARGE_BYTES:
            figures[f"import.memory_of_{size}_bytes_seconds"] = round(time.perf_counter() - started, 2)
    return figures


def of_large_memory() -> dict[str, object]:
    """100 MB by an upload session, read back by chunks, and deleted."""
    world = World()
    world.capsule()
    before, started = world.subnet.state.instructions, time.perf_counter()
    memory_id, chunks = upload(world, LARGE_BYTES)
    stored = time.perf_counter()
    instructions = world.subnet.state.instructions - before
    expected = [sha256(chunk) for chunk in different_chunks(LARGE_BYTES)]
    reading = time.perf_counter()
    found = [sha256(world.ok("read_memory_chunk", memory_id, index, sender=OWNER)) for index in range(len(expected))]
    read = time.perf_counter()
    if found != expected:
        raise RuntimeError(f"of {len(expected)} chunks some came back with other bytes")
    heap = world.backend_state.memory_bytes
    gauge = Gauge(world, world.backend, "backend")
    gauge.calls("delete", "delete_memory_from_capsule", [(memory_id,)])
    return {
        "memory_of_100_mb.upload_seconds": round(stored - started, 2),
        "memory_of_100_mb.upload_instructions_per_byte": round(instructions / LARGE_BYTES, 1),
        "memory_of_100_mb.worst_chunk_instructions": max(chunks),
        "memory_of_100_mb.chunk_bytes": CHUNK_BYTES,
        "memory_of_100_mb.read_seconds": round(read - reading, 2),
        "memory_of_100_mb.heap_megabytes": megabytes(heap),
        "memory_of_100_mb.delete_instructions": gauge.costs["delete"].instructions,
    }


def measure() -> dict[str, object]:
    """Instructions and milliseconds by call; entries are memories, or owners for what concerns the whole backend."""
    return of_capsule() | of_registry() | of_import() | of_imported_bytes() | of_large_memory()


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write(os.linesep)
