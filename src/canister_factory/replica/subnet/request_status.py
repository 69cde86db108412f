"""One request's status, as bytes: there may be a million of them, kept for minutes, written to disk as they are.

Owns their form, and how a status looks in the certified state. Does not own which statuses there are (`statuses`).

A million objects that refer to others would be a gigabyte, and Python's search for cycles would look through them.

Source: interface specification, "Request: Read state" and "Request status".
"""

from __future__ import annotations

import struct
from enum import Enum
from hashlib import sha256
from typing import Final

from canister_factory.candid import leb128
from canister_factory.ic.hash_tree import FORK, LABELED, LEAF
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.messages import FromIngress

__all__ = ["REQUEST_ID", "RequestState", "RequestStatus", "answer_bytes_of", "digest_of"]


class RequestState(Enum):
    """Interface specification, "Request: Read state", `/request_status/<id>/status`."""

    RECEIVED = "received"
    PROCESSING = "processing"
    REPLIED = "replied"
    REJECTED = "rejected"
    DONE = "done"


_STATES: Final = tuple(RequestState)
_NUMBERS: Final = {state: number for number, state in enumerate(_STATES)}
_RECEIVED, _PROCESSING, _REPLIED, _REJECTED, _DONE = range(len(_STATES))

# State, digest, request id, expiry; lengths of sender, effective canister id and canister id, which follow.
_HEAD: Final = struct.Struct(">B32s32sQBBB")
_LENGTHS: Final = slice(73, 76)
REQUEST_ID: Final = slice(33, 65)
"""Where a content has the request id: what is done for every request looks there."""
_EXPIRY: Final = slice(65, 73)
# Code; lengths of error code and message, which follow. The rest of it is data.
_REJECTION: Final = struct.Struct(">BBI")
_NOT_YET: Final = bytes(32)


def _labeled(label: bytes, digest: bytes) -> bytes:
    return sha256(LABELED + label + digest).digest()


def _leaf(label: bytes, value: bytes) -> bytes:
    content = sha256(LEAF)
    content.update(value)  # not concatenated: a reply may be megabytes
    return sha256(LABELED + label + content.digest()).digest()


def _fork(left: bytes, right: bytes) -> bytes:
    return sha256(FORK + left + right).digest()


_SHOWN: Final = {state: _leaf(b"status", state.value.encode()) for state in RequestState}


class RequestStatus:
    """Where an ingress message stands. `response` is present when replied or rejected; once done, it is forgotten.

    Attributes:
        content: all of it; what it was made of is read from there each time. Whoever keeps many keeps these.
    """

    __slots__ = ("content",)
    content: bytes

    def __init__(self, state: RequestState, origin: FromIngress, response: Response | None = None) -> None:
        request_id = origin.request_id
        assert len(request_id) == 32, request_id
        if state is RequestState.RECEIVED or state is RequestState.PROCESSING:
            digest = _NOT_YET  # most are never shown
        else:
            digest = _labeled(request_id, _digest(state, response))
        head = _HEAD.pack(
            _NUMBERS[state],
            digest,
            request_id,
            origin.expiry_ns,
            len(origin.sender),
            len(origin.effective_canister_id),
            len(origin.canister_id),
        )
        whose = (origin.sender, origin.effective_canister_id, origin.canister_id)
        self.content = b"".join((head, *whose, *_answer(response)))

    @classmethod
    def restored(cls, content: bytes) -> RequestStatus:
        """The status with this content."""
        status = cls.__new__(cls)
        status.content = content
        return status

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RequestStatus) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __repr__(self) -> str:
        return f"RequestStatus({self.state}, {self.origin}, {self.response})"

    @property
    def state(self) -> RequestState:
        return _STATES[self.content[0]]

    @property
    def is_final(self) -> bool:
        """Whether it was replied or rejected."""
        return self.content[0] >= _REPLIED

    @property
    def expiry_ns(self) -> int:
        return int.from_bytes(self.content[_EXPIRY])

    @property
    def request_id(self) -> bytes:
        return self.content[REQUEST_ID]

    @property
    def origin(self) -> FromIngress:
        """Whose request it is."""
        fields, at = [], _HEAD.size
        for length in self.content[_LENGTHS]:
            fields.append(self.content[at : at + length])
            at += length
        return FromIngress(self.request_id, self.expiry_ns, *fields)

    @property
    def answer_bytes(self) -> int:
        """How long the answer is, with its reject message."""
        return answer_bytes_of(self.content)

    @property
    def reply(self) -> bytes | None:
        """The answer, if it is a reply."""
        return self.content[_HEAD.size + sum(self.content[_LENGTHS]) :] if self.content[0] == _REPLIED else None

    @property
    def response(self) -> Response | None:
        """The answer: a reply, or why it was rejected."""
        if (reply := self.reply) is not None:
            return Response(reply)
        if self.content[0] != _REJECTED:
            return None
        at = _HEAD.size + sum(self.content[_LENGTHS])
        code, code_size, message_size = _REJECTION.unpack_from(self.content, at)
        message_at = at + _REJECTION.size + code_size
        data_at = message_at + message_size
        error_code, message = self.content[message_at - code_size : message_at], self.content[message_at:data_at]
        return Response(self.content[data_at:], RejectCode(code), message.decode(), error_code.decode())

    @property
    def digest(self) -> bytes:
        """Of the request id and what is below it, as a label of `/request_status`: 32 bytes."""
        return digest_of(self.content)

    @property
    def shown(self) -> dict[bytes, bytes]:
        """What the certified state has below the request id: values by label."""
        return {b"status": self.state.value.encode(), **_outcome(self.response)}


def digest_of(content: bytes) -> bytes:
    """`RequestStatus.digest`."""
    if content[0] >= _REPLIED:
        return content[1:33]
    return _labeled(content[REQUEST_ID], _SHOWN[_STATES[content[0]]])


def answer_bytes_of(content: bytes) -> int:
    """`RequestStatus.answer_bytes`."""
    return len(content) - _HEAD.size - sum(content[_LENGTHS])


def _answer(response: Response | None) -> tuple[bytes, ...]:
    if response is None:
        return ()
    if response.code is None:
        return (response.data,)
    error_code, message = response.error_code.encode(), response.message.encode()
    return _REJECTION.pack(response.code, len(error_code), len(message)), error_code, message, response.data


def _outcome(response: Response | None) -> dict[bytes, bytes]:
    if response is None:
        return {}
    if response.code is None:
        return {b"reply": response.data}
    fields = {b"reject_code": leb128.unsigned(response.code), b"reject_message": response.message.encode()}
    if response.error_code:
        fields[b"error_code"] = response.error_code.encode()
    return fields


def _digest(state: RequestState, response: Response | None) -> bytes:
    """The digest of the tree below a request id; forks part where the labels' bits first do."""
    status = _SHOWN[state]
    if response is None:
        return status
    if response.code is None:
        return _fork(_leaf(b"reply", response.data), status)
    leaves = {label: _leaf(label, value) for label, value in _outcome(response).items()}
    rejected = _fork(_fork(leaves[b"reject_code"], leaves[b"reject_message"]), status)
    return _fork(leaves[b"error_code"], rejected) if b"error_code" in leaves else rejected
