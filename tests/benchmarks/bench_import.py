"""What `import canister_factory` adds to the start of an interpreter."""

from __future__ import annotations

import sys

from support.process_cost import costs_of, median

REPEATS = 40


def measure() -> dict[str, object]:
    """Medians in milliseconds: an interpreter with the import less one without, each pair one after the other."""
    bare, imported = costs_of(
        [sys.executable, "-c", ""], [sys.executable, "-c", "import canister_factory"], repeats=REPEATS
    )
    added = median([more - less for more, less in zip(imported, bare, strict=True)])
    return {
        "import_wall_ms": added.wall_ms,
        "import_cpu_ms": added.cpu_ms,
        "bare_interpreter_wall_ms": median(bare).wall_ms,
        "bare_interpreter_cpu_ms": median(bare).cpu_ms,
        "runs": REPEATS,
    }
