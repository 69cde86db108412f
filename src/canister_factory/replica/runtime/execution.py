"""What crosses between the runtime (which runs Wasm) and the subnet (which decides what runs).

Owns the data types only: what an execution is given (`Env`), which function it enters (`Entry`), what it leaves behind
(`Outcome`). The runtime changes nothing but the canister's own memories; every other effect is listed in the outcome,
and the subnet applies it when the execution succeeded. That is what makes a trap roll back *all* state.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Final, TypeVar

MAX_CYCLES: Final = (1 << 128) - 1
"""Amounts of cycles have 128 bits: a balance that would exceed this stays at it."""

T = TypeVar("T")
Steps = Generator[Future[Any] | None, None, T]
"""Work in slices: it yields None after each, or a future that has to be done before it goes on. `close` undoes it."""


def finish(steps: Steps[T]) -> T:
    """Does the work to its end, waiting where it waits."""
    while True:
        try:
            awaited = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if awaited is not None:
            wait([awaited])


class Entry(Enum):
    """The entry points of a canister module (interface specification, "Entry points")."""

    START = "start"
    INIT = "canister_init"
    PRE_UPGRADE = "canister_pre_upgrade"
    POST_UPGRADE = "canister_post_upgrade"
    INSPECT_MESSAGE = "canister_inspect_message"
    HEARTBEAT = "canister_heartbeat"
    GLOBAL_TIMER = "canister_global_timer"
    ON_LOW_WASM_MEMORY = "canister_on_low_wasm_memory"
    UPDATE = "canister_update"
    QUERY = "canister_query"
    COMPOSITE_QUERY = "canister_composite_query"
    REPLY_CALLBACK = "reply"
    REJECT_CALLBACK = "reject"
    CLEANUP = "cleanup"


class RejectCode(IntEnum):
    """Reject codes (interface specification, "Reject codes")."""

    SYS_FATAL = 1
    SYS_TRANSIENT = 2
    DESTINATION_INVALID = 3
    CANISTER_REJECT = 4
    CANISTER_ERROR = 5
    SYS_UNKNOWN = 6


class CanisterError(Exception):
    """Why an execution or a management call was refused; becomes a reject.

    Args:
        code: the reject code.
        message: what a developer reads; names the canister, the limit and the value.
        error_code: the replica's own code such as "IC0503", or "".
    """

    def __init__(self, code: RejectCode, message: str, error_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.error_code = error_code


class ExecutionAbandonedError(Exception):
    """The instance was closed while its execution was suspended."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A function-table index and the closure value it is to be called with."""

    fun: int
    env: int


@dataclass(slots=True)
class OutgoingCall:
    """One inter-canister call that an execution performed with `ic0.call_perform`."""

    callee: bytes
    method: str
    on_reply: Callback
    on_reject: Callback
    on_cleanup: Callback | None = None
    arg: bytes = b""
    cycles: int = 0
    fee: int = 0  # what call_cost made of it; the balance that the canister saw is already without it
    timeout_seconds: int | None = None  # None: guaranteed response


@dataclass(frozen=True, slots=True)
class Response:
    """A canister's answer to a call: a reply (`code` is None) or a reject."""

    data: bytes
    code: RejectCode | None = None
    message: str = ""
    error_code: str = ""

    @property
    def is_reply(self) -> bool:
        return self.code is None


@dataclass(slots=True)
class Env:
    """Everything an execution may ask its surroundings for. Principals are raw bytes; times are nanoseconds."""

    canister_id: bytes
    time_ns: int
    method: str = ""  # for UPDATE, QUERY, COMPOSITE_QUERY and INSPECT_MESSAGE
    arg: bytes = b""  # argument, or the reply's bytes in a reply callback
    caller: bytes = b"\x04"
    controllers: frozenset[bytes] = frozenset()
    balance: int = 0  # cycles the canister has when the execution starts
    cycles_available: int = 0  # attached to the call being answered and not yet accepted
    cycles_refunded: int = 0  # in callbacks
    reject_code: int = 0  # in reject callbacks
    reject_message: str = ""
    may_reply: bool = True  # False where the call context was answered before or has no caller
    freezing_threshold_cycles: int = 0  # an outgoing call or acceptance must leave the balance at or above this
    call_cost: tuple[int, int] = (0, 0)  # cycles for an outgoing call: fixed, and per byte of method name and argument
    create_canister_cost: int = 500_000_000_000  # cycles, told by ic0.cost_create_canister
    http_request_cost: tuple[int, int, int] = (49_140_000, 5_200, 10_400)  # fixed, per byte of request, of response
    max_outgoing_calls: int = 500  # in this execution; further ones fail with code 2
    canister_status: int = 1  # 1 running, 2 stopping, 3 stopped
    canister_version: int = 0
    global_timer_ns: int = 0
    deadline_ns: int = 0  # of the call being answered, 0 for none
    certificate: bytes | None = None  # data certificate, in non-replicated queries
    callback: Callback | None = None  # for REPLY_CALLBACK, REJECT_CALLBACK, CLEANUP
    in_replicated_execution: bool = True
    max_response_bytes: int = 2 * 1024 * 1024
    wasm_memory_limit: int = 0  # bytes; an execution that ends with a larger Wasm memory fails; 0: no limit
    log_limit_bytes: int = 4096  # of what is written into the log, the newest so many bytes are kept
    root_key: bytes = b""
    subnet_id: bytes = b""
    call_context_instructions: int = 0  # executed before in the same call context, for ic0.performance_counter(1)
    environment_variables: tuple[tuple[str, str], ...] = ()
    transforms: bool = False  # a query that transforms the answer to an HTTP outcall
    caller_info: tuple[bytes, bytes] = (b"", b"")  # what a canister said of the caller, and which canister


@dataclass(slots=True)
class Outcome:
    """What one execution did. With an `error`, nothing of it may be applied except the charge for `instructions`."""

    instructions: int = 0
    error: CanisterError | None = None
    response: Response | None = None
    calls: list[OutgoingCall] = field(default_factory=list)
    cycles_accepted: int = 0
    cycles_burned: int = 0
    global_timer_ns: int | None = None  # None: not set
    certified_data: bytes | None = None  # None: not set
    message_accepted: bool = False  # by ic0.accept_message
    log: list[str] = field(default_factory=list)  # debug prints, and the trap's message with its backtrace: the newest
    log_dropped: int = 0  # how many older lines there were

    @property
    def cycles_spent(self) -> int:
        """What it takes from the balance, besides its own price."""
        return self.cycles_burned + sum(call.cycles + call.fee for call in self.calls)
