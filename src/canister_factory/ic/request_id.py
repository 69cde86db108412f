"""Representation-independent hashes: request ids, and what delegations and query answers are signed over.

Source: interface specification, "Representation-independent hashing of structured data" and "Request ids".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from canister_factory.candid import leb128

_LONGEST_REMEMBERED = 64  # characters of a name


def _name_hash(name: str) -> bytes:
    return sha256(name.encode()).digest()


_remembered_name_hash = lru_cache(maxsize=256)(_name_hash)


def _hash_of_value(value: Any) -> bytes:
    kind = type(value)  # exact types first: they are nearly all
    if kind is bytes:
        return sha256(value).digest()
    if kind is str:
        return sha256(value.encode()).digest()
    if kind is int:
        return sha256(leb128.unsigned(value)).digest()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return sha256(value).digest()
    if isinstance(value, str):
        return sha256(value.encode()).digest()
    if isinstance(value, int) and not isinstance(value, bool):
        return sha256(leb128.unsigned(value)).digest()
    if isinstance(value, (list, tuple)):
        return sha256(b"".join([_hash_of_value(item) for item in value])).digest()
    if isinstance(value, Mapping):
        return hash_of_map(value)
    raise TypeError(f"a {type(value).__name__} has no representation-independent hash")


def hash_of_map(fields: Mapping[str, Any]) -> bytes:
    """The 32-byte representation-independent hash of a map; a field whose value is `None` counts as left out.

    Values: bytes, str, natural numbers, lists and maps of these.

    Raises:
        TypeError, ValueError: another value.
    """
    pairs = [
        (_remembered_name_hash if len(name) <= _LONGEST_REMEMBERED else _name_hash)(name)
        + (sha256(value).digest() if type(value) is bytes else _hash_of_value(value))
        for name, value in fields.items()
        if value is not None
    ]
    pairs.sort()
    return sha256(b"".join(pairs)).digest()


def request_id(content: Mapping[str, Any]) -> bytes:
    """The request id (32 bytes) of an envelope's `content` map."""
    return hash_of_map(content)
