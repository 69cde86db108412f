"""Text that this project didn't write (of canisters, file names, networks) made harmless before a person sees it.

Owns what is escaped and how long a quotation may be. Does not own: where it is shown. Escaped are the control
characters of both sets (C0, C1: an escape sequence could repaint the terminal, a line feed forge a log line), the
characters that turn the direction of writing or that nobody sees (Unicode's bidirectional controls and zero-width
characters, UAX #9), and lone surrogates, which stand for bytes that weren't UTF-8.
"""

from __future__ import annotations

import re

MAX_QUOTED_CHARACTERS = 500
"""The longest quotation of a foreign text in a message of ours, such as a canister's reject message."""

_HARMFUL = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible, line-breaking, or turning the direction
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"  # tags: invisible copies of ASCII
)
_ANY = re.compile(f"[{_HARMFUL}]")
_ANY_BUT_LINES = re.compile(f"(?![\n\t])[{_HARMFUL}]")


def escaped(text: str, *, keep_lines: bool = False) -> str:
    """`text` with each harmful character written as in Python's strings (`\\x1b`, `\\u202e`).

    `keep_lines` leaves line feeds and tabs as they are, for text that is shown as a block of its own. A backslash stays
    as it is, so the result is for people, not for parsing. Undecodable bytes (Python's surrogate escapes) become the
    byte: `\\xe9`.
    """
    return (_ANY_BUT_LINES if keep_lines else _ANY).sub(_escape, text)


def quoted(text: str, limit: int = MAX_QUOTED_CHARACTERS) -> str:
    """`text` escaped and cut to `limit` characters of its own; the rest is counted."""
    shown = escaped(text[:limit])
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit:,} more characters)"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    named = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}.get(code)
    if named is not None:
        return named
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
