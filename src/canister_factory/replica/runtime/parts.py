"""Bytes that come in parts, of which the whole is wanted once: a request's body, a reply, a call's argument.

Owns how they are kept meanwhile. Does not own how many there may be. Bytes that grow are copied whenever they have to
move, which takes longer than all else for some megabytes; an object for each small part would take ten times its size.
"""

from __future__ import annotations

from typing import Final

_LARGE_BYTES: Final = 16 * 1024


class Parts:
    """Large parts as they came, small ones together.

    Attributes:
        size: of all of them, bytes.
    """

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes | bytearray] = []

    def __repr__(self) -> str:
        return f"<Parts size={self.size} kept={len(self._parts)}>"

    def add(self, part: bytes) -> None:
        """Adds a part at the end."""
        self.size += len(part)
        parts = self._parts
        if not parts or len(part) >= _LARGE_BYTES:
            parts.append(part)
            return
        last = parts[-1]
        if isinstance(last, bytearray):
            last += part
        elif len(last) < _LARGE_BYTES:
            parts[-1] = bytearray(last + part)
        else:
            parts.append(bytearray(part))

    def whole(self) -> bytes:
        """All of them: a single part itself, else a copy."""
        return b"".join(self._parts)
