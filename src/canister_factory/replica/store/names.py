"""The names of the files in a state directory.

Owns these names only, so that whoever looks at a directory needs no replica.
"""

from __future__ import annotations

import re
from typing import Final

MANIFEST: Final = "manifest"
CREATING: Final = "creating"
"""There from the first file of a new state to its first manifest: what is there then was never used."""

KEYS: Final = "keys.json"
IMAGES: Final = "images"
MODULES: Final = "modules"
DAMAGED_PREFIX: Final = "damaged-"
"""How directories begin that hold what a repair has put aside."""

FIRST_FORMAT: Final = "state.sqlite"
"""A file that only states of the first format have."""


def state_name(generation: int) -> str:
    """Of the file with a snapshot's state."""
    return f"state-{generation}"


def journal_name(generation: int) -> str:
    """Of the file with the inputs since a snapshot."""
    return f"journal-{generation}"


def changes_name(generation: int) -> str:
    """Of the file with what a snapshot changes in images of an earlier one."""
    return f"changes-{generation}"


def statuses_name(generation: int) -> str:
    """Of a file with statuses of requests, written by a snapshot and valid for later ones, too."""
    return f"statuses-{generation}"


def module_name(module_hash: bytes) -> str:
    """Of the file with a module."""
    return f"{MODULES}/{module_hash.hex()}.wasm"


_IMAGE: Final = re.compile(r"[0-9a-f]+-(main|stable)-[0-9]+")
_OURS: Final = re.compile(
    rf"({MANIFEST}|{re.escape(KEYS)}|{CREATING}|(state|journal|changes|statuses)-[0-9]+)(\.new)?|{IMAGES}|{MODULES}"
    rf"|{IMAGES}/{_IMAGE.pattern}|{MODULES}/[0-9a-f]+\.wasm"
)


def is_image(name: str) -> bool:
    """Whether a file in `images` has a name like this one. Others never name a file, whatever a state says."""
    return _IMAGE.fullmatch(name) is not None


def is_ours(name: str) -> bool:
    """Whether a file of this name, from a state directory on, belongs to its state, now or formerly."""
    return _OURS.fullmatch(name) is not None
