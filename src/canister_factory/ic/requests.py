"""The three kinds of request as typed values, and how the content of an envelope becomes one.

Owns the fields of a request, their types and sizes. Does not own who signed it (`envelope`) or what it does.

Source: interface specification, "Request: Call", "Request: Query call" and "Request: Read state".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from canister_factory.candid.numerals import shown
from canister_factory.ic.errors import MalformedEnvelopeError

MAX_PATHS = 1000
MAX_PATH_LABELS = 127
MAX_NONCE_BYTES = 32
MAX_PRINCIPAL_BYTES = 29
MAX_METHOD_NAME_CHARS = 20_000

Path = tuple[bytes, ...]
"""The labels of a path in the state tree, from the root."""


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """What a canister says of a sender whose keys are canister signatures of its own, signed by it."""

    info: bytes
    signer: bytes
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _CanisterRequest:
    """What calls and queries have in common. Principals are raw bytes."""

    sender: bytes
    ingress_expiry_ns: int
    canister_id: bytes
    method_name: str
    arg: bytes = field(repr=False)
    sender_info: SenderInfo | None = None


class CallRequest(_CanisterRequest):
    """An update call, which takes part in consensus."""

    __slots__ = ()
    kind: ClassVar = "call"


class QueryRequest(_CanisterRequest):
    """A query call, answered by one node."""

    __slots__ = ()
    kind: ClassVar = "query"


@dataclass(frozen=True, slots=True)
class ReadStateRequest:
    """A request for a certificate that shows some paths of the state tree."""

    sender: bytes
    ingress_expiry_ns: int
    paths: tuple[Path, ...]

    kind: ClassVar = "read_state"


Request = CallRequest | QueryRequest | ReadStateRequest
_CANISTER_REQUESTS: dict[str, type[CallRequest | QueryRequest]] = {
    request.kind: request for request in (CallRequest, QueryRequest)
}


def request_from_content(content: Any) -> Request:
    """The request that a decoded `content` is.

    A nonce, and fields of later specifications, only make the request id another one: they are checked and left out.

    Raises:
        MalformedEnvelopeError: it isn't a map, or a field is missing, of another type, or too large.
    """
    if not isinstance(content, dict):
        raise MalformedEnvelopeError("envelope: content must be a map")
    kind = content.get("request_type")
    if kind not in ("call", "query", "read_state"):
        raise MalformedEnvelopeError("content: request_type must be 'call', 'query' or 'read_state'")
    check_field(content, "sender", bytes, MAX_PRINCIPAL_BYTES)
    check_field(content, "ingress_expiry", int, 2**64 - 1)
    if content.get("nonce") is not None:
        check_field(content, "nonce", bytes, MAX_NONCE_BYTES)
    # Fields of later specifications take part in the request id, but only plain values: a nested one could share
    # structure, which would make hashing it take exponential time.
    nested = "paths" if kind == "read_state" else "sender_info"
    for name, value in content.items():
        if type(name) is not str or not (_is_plain(value) or name == nested):
            raise MalformedEnvelopeError(f"content: the field {name!r} has a value of a type that isn't supported")
    sender, expiry_ns = content["sender"], content["ingress_expiry"]
    if kind == "read_state":
        return ReadStateRequest(sender, expiry_ns, _checked_paths(content.get("paths")))
    check_field(content, "canister_id", bytes, MAX_PRINCIPAL_BYTES)
    check_field(content, "method_name", str, MAX_METHOD_NAME_CHARS)
    check_field(content, "arg", bytes, None)
    request = _CANISTER_REQUESTS[kind]
    sender_info = _checked_sender_info(content.get("sender_info"))
    return request(sender, expiry_ns, content["canister_id"], content["method_name"], content["arg"], sender_info)


def check_field(record: Mapping[str, Any], name: str, kind: type[Any], limit: int | None) -> None:
    """Checks that a field is there with this type, and its length (or, for a number, its value) within the limit.

    Raises:
        MalformedEnvelopeError: it isn't.
    """
    value: Any = record.get(name)
    if type(value) is not kind:
        problem = "is missing" if value is None else f"is a {type(value).__name__}"
        raise MalformedEnvelopeError(f"content: the field {name} {problem}, expected {kind.__name__}")
    size: int = value if type(value) is int else len(value)
    if limit is not None and not 0 <= size <= limit:
        raise MalformedEnvelopeError(f"content: the field {name} has size {shown(size)}, above the limit of {limit}")


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (bytes, str) or (type(value) is int and value >= 0)


def _checked_sender_info(sender_info: Any) -> SenderInfo | None:
    if sender_info is None:
        return None
    if type(sender_info) is not dict or not all(
        type(name) is str and _is_plain(sender_info[name]) for name in sender_info
    ):
        raise MalformedEnvelopeError("content: the field sender_info must be a map of info, signer and sig")
    for name, limit in (("info", None), ("signer", MAX_PRINCIPAL_BYTES), ("sig", None)):
        check_field(sender_info, name, bytes, limit)
    return SenderInfo(sender_info["info"], sender_info["signer"], sender_info["sig"])


def _checked_paths(paths: Any) -> tuple[Path, ...]:
    if not isinstance(paths, list):
        raise MalformedEnvelopeError("content: the field paths must be an array of arrays of byte strings")
    if len(paths) > MAX_PATHS:
        raise MalformedEnvelopeError(f"content: {len(paths)} paths, above the limit of {MAX_PATHS}")
    for path in paths:
        if not isinstance(path, list) or not all(type(label) is bytes for label in path):
            raise MalformedEnvelopeError("content: each path must be an array of byte strings")
        if len(path) > MAX_PATH_LABELS:
            raise MalformedEnvelopeError(f"content: a path of {len(path)} labels, above the limit of {MAX_PATH_LABELS}")
    return tuple(tuple(path) for path in paths)
