"""Who is served by which method, as `docs/security.md` has it.

Owns the page's table "Who is served" as data, and whom its words mean. Does not own: the worlds in which that is tried
(`role_matrix`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

from support.role_matrix import CALLERS, kind_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"

OPERATORS = {"operator with the lease", "operator without a lease", "operator with an expired lease"}
ADMINS = {"admin", "controller"}

WRITERS: dict[str, set[str]] = {
    "backend": {"owner"},
    "importing": {"owner", "capsule controller"},
    "moved": {"owner", "capsule controller"},
}
"""In these worlds the capsule is about its owner, and its things are private."""

SERVED: dict[str, Mapping[str, AbstractSet[str]]] = {
    "everyone": {canister: set(callers) for canister, callers in CALLERS.items()},
    "oneself": {canister: set(callers) - {"anonymous"} for canister, callers in CALLERS.items()},
    "owner": {"backend": {"owner"}, "importing": {"owner"}, "moved": {"owner"}},
    "writer": WRITERS,
    "writer or subject": WRITERS,
    "reader": WRITERS,
    "resident": WRITERS,
    "holder": {"backend": set(CALLERS["backend"]), "importing": set(), "moved": set(CALLERS["moved"])},
    "writer or executor": {
        "backend": {"owner", "executor"},
        "importing": {"owner", "capsule controller", "executor"},
        "moved": {"owner", "capsule controller", "executor"},
    },
    "uploader": {"backend": {"owner"}, "importing": set(), "moved": {"owner"}},
    "controller": {"backend": {"controller"}, "importing": {"owner", "operator"}, "moved": {"owner"}},
    "importer": {"importing": {"operator"}, "moved": {"owner"}},
    "canister owner": {"importing": {"owner"}, "moved": {"owner"}},
    "heir": {"importing": {"owner"}, "moved": {"owner"}},
    "owner or controller": {"importing": {"owner", "operator"}, "moved": {"owner"}},
    "owner or controller or backend": {"importing": {"owner", "operator", "backend"}, "moved": {"owner", "backend"}},
    "admin": {"backend": ADMINS},
    "staff": {"backend": ADMINS | OPERATORS},
    "operator": {"backend": OPERATORS},
    "lease": {"backend": {"operator with the lease"}},
    "created canister": {"backend": set()},
}
"""Whom the words of the page mean, by canister and caller."""

OF_A_ROLE = {
    "admin",
    "canister owner",
    "controller",
    "created canister",
    "heir",
    "importer",
    "lease",
    "operator",
    "owner or controller",
    "owner or controller or backend",
    "resident",
    "staff",
}
"""Words for methods that ask for a role: everybody else is told so. The others don't tell that a thing is there."""


@cache
def table() -> dict[str, dict[str, str]]:
    """The word for each method of each kind of canister."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]*?) ?\| ([a-z ]*?) ?\|$", PAGE.read_text(), re.MULTILINE)
    words: dict[str, dict[str, str]] = {"backend": {}, "personal": {}}
    for method, backend, personal in rows:
        for kind, word in (("backend", backend), ("personal", personal)):
            if word:
                words[kind][method] = word
    return words


def word_for(canister: str, method: str) -> str:
    return table()[kind_of(canister)][method]
