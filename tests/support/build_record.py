"""Whether `canisters/dist` was built from the Motoko that is here: tests of an older build say nothing about it.

Reads the records that a build leaves (`dist/*.sources`: one line `SHA-256  path` for each file). Owns no build.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def changed_since_build(canisters: Path) -> list[str]:
    """Files that differ from a build's record, are new or are missing; paths are relative to `canisters`."""
    changed: set[str] = set()
    for record in (canisters / "dist").glob("*.sources"):
        lines = (line.split("  ", 1) for line in record.read_text().splitlines())
        built = {path: checksum for checksum, path in lines}
        folders = {(canisters / path).parent for path in built if path.endswith(".mo")}
        present = {str(path.relative_to(canisters)) for folder in folders for path in folder.glob("*.mo")}
        changed |= present - built.keys()
        changed |= {path for path, checksum in built.items() if _checksum(canisters / path) != checksum}
    return sorted(changed)


def complaint(canisters: Path) -> str | None:
    """One line that says which files are newer than the build and how to build; None when none is."""
    changed = changed_since_build(canisters)
    if not changed:
        return None
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return (
        f"the canisters in canisters/dist are older than their sources ({', '.join(changed[:5])}{more}); "
        "build them: scripts/build-canisters"
    )


def _checksum(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
