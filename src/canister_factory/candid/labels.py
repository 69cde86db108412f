"""Labels of fields and names of methods: their numbers on the wire, and how they are written.

Owns: that, and string literals. Does not own: types, and reading texts (`grammar`).
"""

from __future__ import annotations

import re
from functools import lru_cache

KEYWORDS = frozenset(
    (
        *("blob", "bool", "composite_query", "empty", "false", "float32", "float64", "func", "import", "int", "int16"),
        *("int32", "int64", "int8", "nat", "nat16", "nat32", "nat64", "nat8", "null", "oneway", "opt", "principal"),
        *("query", "record", "reserved", "service", "text", "true", "type", "variant", "vec"),
    )
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_LABEL = 0xFFFF_FFFF


@lru_cache(maxsize=8192)
def label_hash(text: str) -> int:
    """The 32-bit number that stands for a label on the wire (Candid specification, "Symbolic Field Ids")."""
    number = 0
    for byte in text.encode("utf-8"):
        number = (number * 223 + byte) & MAX_LABEL
    return number


def quote(text: str) -> str:
    """A Candid string literal."""
    out = []
    for ch in text:
        if ch in '"\\':
            out.append("\\" + ch)
        elif ch == "\n":
            out.append("\\n")
        elif ch == "\r":
            out.append("\\r")
        elif ch == "\t":
            out.append("\\t")
        elif ch.isprintable():
            out.append(ch)
        else:
            out.append(f"\\u{{{ord(ch):x}}}")
    return '"' + "".join(out) + '"'


def label_text(label: str | int) -> str:
    """A label as it's written in Candid: bare where it's an identifier and no keyword, else quoted."""
    if isinstance(label, int):
        return str(label)
    return label if _IDENTIFIER.match(label) and label not in KEYWORDS else quote(label)
