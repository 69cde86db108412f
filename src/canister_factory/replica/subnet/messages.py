"""The messages of a subnet and what is kept while they are being answered.

Owns the data types only: requests and responses in the queue, call contexts, calls awaiting their response. What
happens with them is in `calls`, statuses of requests are in `request_status`. All of it is plain data, so that a
checkpoint can store it.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.ic.requests import CallRequest, QueryRequest
from canister_factory.replica.runtime.execution import Callback, CanisterError, Entry, RejectCode, Response

DID_NOT_REPLY = "IC0506"


@dataclass(frozen=True, slots=True)
class FromIngress:
    """A call by a user; the answer becomes a request status, which its sender may read under the effective id.

    `canister_id` is the canister that the request names, which delegations may be limited to.
    """

    request_id: bytes
    expiry_ns: int
    sender: bytes
    effective_canister_id: bytes
    canister_id: bytes


@dataclass(frozen=True, slots=True)
class FromCanister:
    """A call by a canister; the answer goes to its pending call `call_id`."""

    canister_id: bytes
    call_id: int
    deadline_ns: int = 0  # 0: guaranteed response


@dataclass(frozen=True, slots=True)
class FromSystem:
    """A heartbeat or timer: nobody awaits an answer."""


Origin = FromIngress | FromCanister | FromSystem


@dataclass(slots=True)
class Request:
    """A call on its way to a canister. `cycles` are attached and in flight.

    `caller_info` is what a canister said of the user who calls, and that canister; both empty where none did.
    """

    origin: Origin
    caller: bytes
    callee: bytes
    method: str
    arg: bytes
    cycles: int = 0
    caller_version: int | None = None  # of the canister that called, when it did
    caller_info: tuple[bytes, bytes] = (b"", b"")
    ingress_bytes: int = 0  # of the signed message, which is what a canister pays for

    @property
    def from_canister(self) -> bool:
        return isinstance(self.origin, FromCanister)


def caller_info(call: CallRequest | QueryRequest) -> tuple[bytes, bytes]:
    """What a canister says of the sender, and which canister it is; both empty where none does."""
    sender_info = call.sender_info
    return (b"", b"") if sender_info is None else (sender_info.info, sender_info.signer)


@dataclass(frozen=True, slots=True)
class IngressMessage:
    """A user's call, authenticated, with the canister or subnet that it was sent to, and the signed message's size."""

    call: CallRequest
    request_id: bytes
    effective_canister_id: bytes
    size_bytes: int

    def request(self) -> Request:
        """What goes into the queue of it."""
        call = self.call
        origin = FromIngress(
            self.request_id, call.ingress_expiry_ns, call.sender, self.effective_canister_id, call.canister_id
        )
        return Request(
            origin,
            call.sender,
            call.canister_id,
            call.method_name,
            call.arg,
            caller_info=caller_info(call),
            ingress_bytes=self.size_bytes,
        )


@dataclass(slots=True)
class Answer:
    """A response on its way back to the canister that called. `refund` cycles are in flight."""

    canister_id: bytes
    call_id: int
    response: Response
    refund: int = 0


@dataclass(frozen=True, slots=True)
class SystemTask:
    """A heartbeat or global timer that is due."""

    canister_id: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered to a canister's HTTP outcall."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OutcallAnswer:
    """The answer to a canister's outcall, an input; without `reply` there is none, and `problem` says why."""

    canister_id: bytes
    outcall_id: int
    reply: HttpResponse | None
    problem: str = ""


Message = Request | Answer | SystemTask | OutcallAnswer


@dataclass(slots=True)
class CallContext:
    """One call being answered (interface specification, "Call contexts").

    `cycles` is what was attached and not yet accepted. A deleted context (its code was uninstalled) only waits for its
    outstanding calls.
    """

    id: int
    origin: Origin
    caller: bytes
    cycles: int = 0
    outstanding: int = 0
    responded: bool = False
    deleted: bool = False
    instructions: int = 0
    caller_info: tuple[bytes, bytes] = (b"", b"")

    @property
    def deadline_ns(self) -> int:
        return self.origin.deadline_ns if isinstance(self.origin, FromCanister) else 0


@dataclass(slots=True)
class PendingCall:
    """An outgoing call awaiting its response. `prepaid` cycles pay for the response's bytes and the callback."""

    id: int
    context_id: int
    callee: bytes
    on_reply: Callback
    on_reject: Callback
    on_cleanup: Callback | None
    prepaid: int
    deadline_ns: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """A message that has begun and not ended, and what it found: processed again from here it does the same.

    Its canister takes no other message meanwhile. Nothing of it is in the state but what is reserved for it, so that it
    can be given up at any time and begun again: after a restart, at an anchor.
    """

    canister_id: bytes
    message: Message
    time_ns: int
    balance: int  # the canister's, less what is reserved
    reserved: int  # cycles that were taken from the balance
    kept: bytes = b""  # bytes that it needs and that may change elsewhere: the code to be installed


@dataclass(slots=True)
class StopWaiter:
    """A `stop_canister` call that is answered once the canister has stopped, or rejected at the deadline."""

    origin: Origin
    cycles: int
    deadline_ns: int


def reject(code: RejectCode, message: str, error_code: str = "") -> Response:
    return Response(b"", code, message, error_code)


def rejection(error: CanisterError) -> Response:
    return reject(error.code, error.message, error.error_code)
