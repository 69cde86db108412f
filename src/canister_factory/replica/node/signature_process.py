"""The program of the process that checks Ed25519 signatures: it reads records, and answers each with one byte.

Owns the form of both. Does not own what is done where it says no, or the process (`signature_checks`). It is executed
as a file and knows nothing of the rest, so that it starts in a few hundredths of a second and has no secrets.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import Final

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

__all__ = ["MAX_MESSAGE_BYTES", "RECORD", "is_valid", "serve"]

MAX_MESSAGE_BYTES: Final = 64
RECORD: Final = struct.Struct(f"<B32s64s{MAX_MESSAGE_BYTES}s")
"""Length of the message, public key, signature, message."""
_KEY_AT, _SIGNATURE_AT, _MESSAGE_AT = 1, 33, 97
_READ_BYTES: Final = RECORD.size * 256


def is_valid(record: bytes) -> bool:
    """Whether the signature in a record verifies."""
    signed = record[_SIGNATURE_AT : _MESSAGE_AT + record[0]]
    try:
        crypto_sign_open(signed, record[_KEY_AT:_SIGNATURE_AT])
    except BadSignatureError:
        return False
    return True


def serve(descriptor: int) -> None:
    """Answers what comes from a connected socket until the other side closes it, which the end of its process does."""
    size = RECORD.size
    unread = b""
    while data := os.read(descriptor, _READ_BYTES):
        unread += data
        whole = len(unread) - len(unread) % size
        answers = bytes(is_valid(unread[at : at + size]) for at in range(0, whole, size))
        unread = unread[whole:]
        if answers:
            os.write(descriptor, answers)


if __name__ == "__main__":
    with suppress(ConnectionError):
        serve(0)
