"""Bytes from hexadecimal digits as people and files give them.

Owns what counts as such. Does not own: what the bytes are, and the words of errors about them.
"""

from __future__ import annotations


def from_hex(text: str, size_bytes: int | None = None) -> bytes:
    """The bytes of hexadecimal digits, with or without `0x` before them.

    Args:
        text: the digits; spaces between bytes and around them don't count.
        size_bytes: how many bytes it must be, if that is known.

    Raises:
        ValueError: it isn't that. The message quotes nothing, since it may have been a key.
    """
    try:
        data = bytes.fromhex(text.strip().removeprefix("0x"))
    except (ValueError, TypeError, AttributeError):
        data = None
    if data is None:
        raise ValueError("not hexadecimal digits, two for each byte")
    if size_bytes is not None and len(data) != size_bytes:
        raise ValueError(f"{len(data)} bytes in hexadecimal digits instead of {size_bytes}")
    return data
