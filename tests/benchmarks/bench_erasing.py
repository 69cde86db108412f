"""What it takes the backend to erase 1 GB in 100,000 memories: messages, instructions, and the network's time.

The built modules run on the replica's subnet without HTTP, signatures or a disk. All figures repeat exactly; filling
both canisters takes some minutes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from support.erasing_gauge import MovedCapsule  # noqa: E402 - found by the line above

SIZES = ((1_000, 10_000), (10_000, 10_000), (100_000, 10_000))
"""Memories, bytes of each."""


def measure() -> dict[str, object]:
    """Messages, instructions, seconds of the network's."""
    figures: dict[str, object] = {}
    for memories, size in SIZES:
        world = MovedCapsule(memories, size)
        took = world.erase()
        figures |= {
            f"erase.{memories}_memories.megabytes": memories * size // 10**6,
            f"erase.{memories}_memories.messages": took.messages,
            f"erase.{memories}_memories.instructions": took.instructions,
            f"erase.{memories}_memories.longest_message_instructions": took.longest,
            f"erase.{memories}_memories.seconds_of_the_network": took.seconds,
        }
    return figures


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write(os.linesep)
