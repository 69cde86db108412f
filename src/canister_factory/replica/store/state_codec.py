"""The replicated state as bytes and back: CBOR with tags for our data classes.

Owns the form of state blobs in a checkpoint. Does not own where they are kept (`checkpoint`), nor memories, modules and
statuses of requests (`kept_statuses`), which are stored apart: fields marked `runtime` are left out and come back as
their defaults.

A class belongs to the form when a field of another one names it, beginning with `SubnetState`: a new field or class
needs nothing here. `FORM` tells one form from another. Reading constructs these classes only, never anything that the
bytes name otherwise.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final, get_args, get_type_hints

import cbor2

from canister_factory.base_error import CanisterFactoryError
from canister_factory.ic.cbor import head
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.state import SubnetState

# From the range that IANA leaves to whoever comes first; they mean something in our files only.
_RECORD_TAG, _ENUM_TAG, _TUPLE_TAG, _DEQUE_TAG = 41_300, 41_301, 41_302, 41_303


class StateFormatError(CanisterFactoryError):
    """The bytes are no state that this version understands."""


def _stored_hints(record: type[Any]) -> dict[str, Any]:
    """The types of a data class's fields that are stored, by name."""
    stored = [field.name for field in fields(record) if "runtime" not in field.metadata]
    hints = get_type_hints(record)
    return {name: hints[name] for name in stored}


def _classes_in(hint: Any) -> Iterator[type[Any]]:
    for part in get_args(hint):
        yield from _classes_in(part)
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Enum)):
        yield hint


def _reachable(*roots: type[Any]) -> dict[str, type[Any]]:
    found: dict[str, type[Any]] = {}
    waiting = list(roots)
    while waiting:
        record = waiting.pop()
        if record.__name__ in found:
            assert found[record.__name__] is record, f"two classes of the state are named {record.__name__}"
            continue
        found[record.__name__] = record
        if is_dataclass(record):
            waiting += [part for hint in _stored_hints(record).values() for part in _classes_in(hint)]
    return found


_CLASSES: Final = _reachable(SubnetState, Request)
_RECORDS: Final = {name: record for name, record in _CLASSES.items() if is_dataclass(record)}
_ENUMS: Final = {name: record for name, record in _CLASSES.items() if issubclass(record, Enum)}
_FIELDS: Final = {record: tuple(_stored_hints(record)) for record in _RECORDS.values()}


def _form() -> str:
    lines = [f"{name}: {[member.value for member in enum]}" for name, enum in _ENUMS.items()]
    for name, record in _RECORDS.items():
        lines.append(f"{name}: {[f'{field}: {hint}' for field, hint in _stored_hints(record).items()]}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


FORM: Final = _form()
"""Changes with each stored field's name or type."""


def _text(text: str) -> bytes:
    encoded = text.encode()
    return head(3, len(encoded)) + encoded


def _start(tag: int, kind: type[Any]) -> bytes:
    return head(6, tag) + head(4, 2) + _text(kind.__name__)


def _opening(record: type[Any]) -> bytes:
    """What each value of a data class begins with: its tag, an array of its name and a map of its fields."""
    return _start(_RECORD_TAG, record) + head(5, len(_FIELDS[record]))


def _keys(record: type[Any]) -> tuple[tuple[bytes, str], ...]:
    return tuple((_text(name), name) for name in _FIELDS[record])


def _members(enum: type[Enum]) -> dict[Enum, bytes]:
    """What each member of an enumeration is: its tag, an array of the class's name and the value."""
    return {member: _start(_ENUM_TAG, enum) + cbor2.dumps(member.value) for member in enum}


_SHORT_HEADS: Final = tuple(head(2, length) for length in range(256))
_NONE: Final = b"\xf6"
_STARTS: Final[dict[type, bytes]] = {list: b"", tuple: head(6, _TUPLE_TAG), deque: head(6, _DEQUE_TAG)}
_OPENINGS: Final = {record: (_opening(record), _keys(record)) for record in _FIELDS}
_MEMBERS: Final = {enum: _members(enum) for enum in _ENUMS.values()}


def encode_state(value: Any) -> bytes:
    """A value of the state's classes, with all that it holds.

    Raises:
        TypeError: it holds something else.
    """
    return b"".join(state_parts(value))


def state_parts(value: Any) -> list[bytes]:
    """The same in pieces, none of which is a copy of what is large."""
    parts: list[bytes] = []
    _write(value, parts)
    return parts


def _write(value: Any, parts: list[bytes]) -> None:
    """Adds what `cbor2` would write, in a fraction of its time: all waits while a large state is encoded."""
    kind = type(value)
    if kind is bytes:
        size = len(value)
        parts += (_SHORT_HEADS[size] if size < 256 else head(2, size), value)
    elif kind is int and 0 <= value < 1 << 64:
        parts.append(head(0, value))
    elif value is None:
        parts.append(_NONE)
    elif (opening := _OPENINGS.get(kind)) is not None:
        parts.append(opening[0])
        for key, name in opening[1]:
            item = getattr(value, name)
            if type(item) is bytes and len(item) < 256:  # most of them: a call would cost more than the rest
                parts += (key, _SHORT_HEADS[len(item)], item)
            else:
                parts.append(key)
                _write(item, parts)
    elif kind is dict:
        parts.append(head(5, len(value)))
        for key, item in value.items():
            _write(key, parts)
            _write(item, parts)
    elif kind is str:
        parts.append(_text(value))
    elif (start := _STARTS.get(kind)) is not None:
        parts += (start, head(4, len(value)))
        for item in value:
            _write(item, parts)
    elif (members := _MEMBERS.get(kind)) is not None:
        parts.append(members[value])
    elif kind in (bool, int, float):
        parts.append(cbor2.dumps(value))
    else:
        raise TypeError(f"{kind.__name__} isn't one of the state's classes")


def decode_state(data: bytes) -> Any:
    """What `encode_state` wrote.

    Raises:
        StateFormatError: the bytes were not written by `encode_state` of a compatible version.
    """
    try:
        return cbor2.loads(data, tag_hook=_revive)
    except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
        raise StateFormatError(f"the state can't be read: {type(error).__name__} {error}") from error


def _revive(decoder: cbor2.CBORDecoder, tag: cbor2.CBORTag) -> Any:
    match tag.tag:
        case 41_300:
            name, content = tag.value
            return _RECORDS[name](**content)
        case 41_301:
            name, value = tag.value
            return _ENUMS[name](value)
        case 41_302:
            return tuple(tag.value)
        case 41_303:
            return deque(tag.value)
    raise StateFormatError(f"the state has an unknown tag {tag.tag}")
