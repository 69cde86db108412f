"""What a person waits for when they type `canister-factory --help`."""

from __future__ import annotations

import sys
from pathlib import Path

from support.process_cost import costs_of, median

REPEATS = 20


def measure() -> dict[str, object]:
    """Medians in milliseconds, of the whole process."""
    command = [str(Path(sys.executable).with_name("canister-factory")), "--help"]
    bare, asked = map(median, costs_of([sys.executable, "-c", ""], command, repeats=REPEATS))
    return {
        "help_wall_ms": asked.wall_ms,
        "help_cpu_ms": asked.cpu_ms,
        "of_which_bare_interpreter_wall_ms": bare.wall_ms,
        "runs": REPEATS,
    }
