"""The replicated state as bytes and back: CBOR with tags for our data classes.

Owns the form of state blobs in a checkpoint. Does not own where they are kept (`checkpoint`), nor memories and modules,
which are stored apart: fields marked `runtime` are left out and come back as their defaults.

Reading constructs only the classes listed here, never anything that the bytes name otherwise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

import cbor2

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.runtime.execution import Callback, Entry, RejectCode, Response
from canister_factory.replica.runtime.instrument import GlobalKind
from canister_factory.replica.subnet.canister import (
    Audience,
    CanisterState,
    EnvironmentVariable,
    LogRecord,
    Settings,
    Status,
    Visibility,
)
from canister_factory.replica.subnet.canister_history import Change, LoadedSnapshot
from canister_factory.replica.subnet.mailboxes import Mailboxes
from canister_factory.replica.subnet.messages import (
    Answer,
    Begun,
    CallContext,
    FromCanister,
    FromIngress,
    FromSystem,
    HttpResponse,
    OutcallAnswer,
    PendingCall,
    Request,
    RequestState,
    RequestStatus,
    StopWaiter,
    SystemTask,
)
from canister_factory.replica.subnet.node_metrics import NodeSample
from canister_factory.replica.subnet.outcalls import HttpRequest, Outcall
from canister_factory.replica.subnet.snapshot import GlobalValue, LowMemoryHook, Snapshot
from canister_factory.replica.subnet.state import SubnetState

# From the range that IANA leaves to whoever comes first; they mean something in our files only.
_RECORD_TAG, _ENUM_TAG, _TUPLE_TAG, _DEQUE_TAG = 41_300, 41_301, 41_302, 41_303

_RECORDS: dict[str, type[Any]] = {
    record.__name__: record
    for record in (
        *(SubnetState, CanisterState, Settings, Visibility, EnvironmentVariable, Change, LogRecord),
        *(Answer, CallContext, FromCanister, FromIngress, FromSystem, PendingCall, Request, RequestStatus),
        *(StopWaiter, SystemTask, Callback, Response, Begun, Mailboxes, NodeSample),
        *(Snapshot, GlobalValue, LoadedSnapshot, Outcall, OutcallAnswer, HttpRequest, HttpResponse),
    )
}
_ATOMS = frozenset((bytes, str, int, bool, type(None)))
_ENUMS: dict[str, type[Enum]] = {
    enum.__name__: enum for enum in (Status, Audience, LowMemoryHook, RequestState, Entry, RejectCode, GlobalKind)
}


class StateFormatError(CanisterFactoryError):
    """The bytes are no state that this version understands."""


def encode_state(value: Any) -> bytes:
    """A value of the classes listed here, with all that it holds."""
    return cbor2.dumps(_plain(value))


def decode_state(data: bytes) -> Any:
    """What `encode_state` wrote.

    Raises:
        StateFormatError: the bytes were not written by `encode_state` of a compatible version.
    """
    try:
        return cbor2.loads(data, tag_hook=_revive)
    except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
        raise StateFormatError(f"the state can't be read: {type(error).__name__} {error}") from error


@cache
def _kept_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if "runtime" not in field.metadata)


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if isinstance(value, Enum):
        return cbor2.CBORTag(_ENUM_TAG, [kind.__name__, value.value])
    if isinstance(value, (bytes, str, int)):
        return value
    if is_dataclass(value):
        content = {name: _plain(getattr(value, name)) for name in _kept_fields(kind)}  # type: ignore[arg-type]
        return cbor2.CBORTag(_RECORD_TAG, [kind.__name__, content])
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    items = [_plain(item) for item in value]
    if isinstance(value, tuple):
        return cbor2.CBORTag(_TUPLE_TAG, items)
    return cbor2.CBORTag(_DEQUE_TAG, items) if isinstance(value, deque) else items


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
