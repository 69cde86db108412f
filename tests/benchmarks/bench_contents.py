"""What contents take on a personal canister and on the backend: memory, instructions, the longest message, the upgrade.

The built modules run on the replica's subnet without HTTP, signatures or a disk. Memory is `canister_status`'s;
instructions are the embedded replica's count. Both repeat exactly.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from support.backend_world import OWNER, World  # noqa: E402 - found by the line above
from support.contents_gauge import FilledImport, different_chunks  # noqa: E402
from support.scale_gauge import Gauge  # noqa: E402
from support.scale_world import NOTE, GrowingBackend, upload  # noqa: E402

MB = 1_000_000
SIZES = ((0, 0), (1, 10), (10, 100), (100, 1_000), (1_000, 1_000))
"""Megabytes, memories."""
CURVE = (1_000, 10_000, 30_000, 60_000, 100_000)
GALLERIES = 10_000
"""Of one memory each: about as many as a capsule may have."""
READ_BYTES = 19 * MB


def megabytes(count: int) -> float:
    return round(count / MB, 1)


def of_sizes() -> dict[str, object]:
    """Memory and instructions by the size of the contents."""
    figures: dict[str, object] = {}
    for size, memories in SIZES:
        world = FilledImport()
        instructions = world.fill(size * MB, memories)
        figures[f"personal.{size}_mb.memory_size_megabytes"] = megabytes(world.memory_size)
        if size:
            figures[f"personal.{size}_mb.instructions_per_byte"] = round(instructions / size / MB, 1)
    return figures


def of_ten_thousand() -> dict[str, object]:
    """1 GB in 10,000 memories: after an upgrade, and after half of it was exchanged three times."""
    world = FilledImport()
    figures: dict[str, object] = {
        "10_000_memories.instructions_per_byte": round(world.fill(1_000 * MB, 10_000) / 1e9, 1)
    }
    figures["10_000_memories.memory_size_megabytes"] = megabytes(world.memory_size)
    figures["10_000_memories.upgrade_instructions"] = world.upgrade_instructions()
    figures["10_000_memories.memory_size_after_the_upgrade_megabytes"] = megabytes(world.memory_size)
    for number in (1, 2, 3):
        world.exchange_half()
        figures[f"10_000_memories.memory_size_after_exchange_{number}_megabytes"] = megabytes(world.memory_size)
    return figures


def of_many_memories() -> dict[str, object]:
    """The longest message of an import, by the number of notes, and the upgrade of the largest."""
    world = FilledImport()
    figures: dict[str, object] = {}
    for count in CURVE:
        missing = count - len(world.sizes)
        world.fill(len(NOTE) * missing, missing)
        figures[f"personal.{count}_notes.longest_message_instructions"] = world.worst_message
    world.add_galleries(GALLERIES, 1)
    figures["personal.upgrade_with_galleries_instructions"] = world.upgrade_instructions()
    figures["personal.memory_size_after_it_megabytes"] = megabytes(world.memory_size)
    figures["personal.finalize_import_instructions"] = world.finalize_instructions()
    figures["personal.upgrade_when_final_instructions"] = world.upgrade_instructions()
    return figures


def of_backend() -> dict[str, object]:
    """The longest message of a backend, by the number of notes, and its upgrade."""
    world = GrowingBackend()
    figures: dict[str, object] = {}
    longest = 0
    for count in CURVE:
        longest = max(longest, world.grow(count))
        figures[f"backend.{count}_notes.longest_message_instructions"] = longest
    before = world.subnet.state.instructions
    world.upgrade_backend()
    figures["backend.upgrade_instructions"] = world.subnet.state.instructions - before
    return figures


def of_reading() -> dict[str, object]:
    """What it costs that a chunk is compared with its hash wherever it is read."""
    world = World()
    world.capsule()
    memory_id, _ = upload(world, READ_BYTES)
    gauge = Gauge(world, world.backend, "backend")
    gauge.calls("read", "read_memory_chunk", [(memory_id, index) for index in range(5)], OWNER)
    cost = gauge.costs["read"]
    return {
        "read_chunk.instructions_per_byte": round(cost.instructions / len(next(different_chunks(READ_BYTES))), 1),
        "read_chunk.milliseconds": round(cost.milliseconds, 1),
    }


def measure() -> dict[str, object]:
    """Memory in megabytes (10^6), instructions."""
    return of_sizes() | of_ten_thousand() | of_many_memories() | of_backend() | of_reading()


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write(os.linesep)
