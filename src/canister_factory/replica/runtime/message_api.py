"""The `ic0` functions about messages: what came in, the answer, cycles, and calls that go out.

Owns: the execution in progress, and what these functions do to it or refuse. Does not own: how they are called from
Wasm, or applying an execution's effects. Source: interface specification, "System API".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from canister_factory.replica.runtime.execution import (
    MAX_CYCLES,
    Callback,
    Entry,
    Env,
    Outcome,
    OutgoingCall,
    RejectCode,
    Response,
)
from canister_factory.replica.runtime.execution_log import ExecutionLog
from canister_factory.replica.runtime.guest_memory import GuestMemory
from canister_factory.replica.runtime.host_interface import (
    MODE_NAMES,
    HostFunction,
    HostTrapError,
    contract_violation,
    host_blob,
    host_function,
    mode_of,
)
from canister_factory.replica.runtime.parts import Parts

MAX_PRINCIPAL_BYTES: Final = 29
MAX_METHOD_NAME_BYTES: Final = 20_000
MAX_CALL_TIMEOUT_SECONDS: Final = 300
# Within one subnet; between subnets it is 2 MiB, and this replica is one subnet.
MAX_CALL_BYTES: Final = 10 * 1024 * 1024
_CALL_FAILED: Final = 2  # the one error code of ic0.call_perform
_MAX_64: Final = (1 << 64) - 1

_MESSAGES: Final = "U RQ NRQ CQ Ry Rt CRy CRt"
_ANSWERS: Final = f"{_MESSAGES} TQ"  # where there may be something to answer
_CALLS: Final = "U CQ Ry Rt CRy CRt T"
_SPENDING: Final = "U Ry Rt T"
REPLICATED: Final = "I G U RQ Ry Rt C T"


class MessageApi:
    """Host functions of one canister; `begin` points them at the next execution.

    Each call costs instructions (`HostFunction.overhead`), and one for each byte that it reads or writes.
    """

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        self.env = Env(canister_id=b"", time_ns=0)
        self.outcome = Outcome()
        self.log = ExecutionLog(0)
        self.mode = "s"
        self._balance = 0
        self._available = 0
        self.timer = 0
        self._may_reply = False
        self._reply = Parts()
        self._call: OutgoingCall | None = None
        self._call_data = Parts()

    def begin(self, entry: Entry, env: Env) -> None:
        """Starts over for one execution; its effects gather in `outcome`."""
        self.env = env
        self.outcome = Outcome()
        self.log = ExecutionLog(env.log_limit_bytes)
        self.mode = mode_of(entry, env)
        self._balance = env.balance
        self._available = env.cycles_available
        self.timer = env.global_timer_ns
        self._may_reply = env.may_reply
        self._reply = Parts()
        self._call = None

    def bind(self, function: HostFunction) -> Callable[..., int | None]:
        """The function as Wasm may call it: outside its modes it traps."""
        method, modes, overhead, charge = function.method, function.modes, function.overhead, self.memory.charge

        def guarded(*arguments: int) -> int | None:
            if self.mode not in modes:
                raise contract_violation(f"ic0.{function.name} cannot be executed in {MODE_NAMES[self.mode]} mode")
            charge(overhead)
            result: int | None = method(self, *arguments)
            return result

        return guarded

    def copy_out(self, name: str, data: bytes, target: int, offset: int, size: int) -> None:
        """Writes `data[offset:offset + size]` into the canister's memory."""
        if offset + size > len(data):
            raise contract_violation(
                f"ic0.{name}_copy: bytes {offset} to {offset + size} of {len(data)} were asked for"
            )
        self.memory.write(target, data if size == len(data) else data[offset : offset + size])

    def text(self, function: str, source: int, size: int) -> str:
        """Text from the canister's memory; `function` is named where it isn't UTF-8."""
        try:
            return self.memory.read(source, size).decode()
        except UnicodeDecodeError as error:
            raise contract_violation(f"ic0.{function}: the text isn't valid UTF-8 at byte {error.start}") from None

    # --- message ---

    @host_blob("I U RQ NRQ TQ CQ Ry CRy F")
    def msg_arg_data(self) -> bytes:
        return self.env.arg

    @host_blob()
    def msg_caller(self) -> bytes:
        return self.env.caller

    @host_blob("U RQ NRQ CQ Ry Rt CRy CRt C CC F")
    def msg_caller_info_data(self) -> bytes:
        return self.env.caller_info[0]

    @host_blob("U RQ NRQ CQ Ry Rt CRy CRt C CC F")
    def msg_caller_info_signer(self) -> bytes:
        return self.env.caller_info[1]

    @host_function("", "i32", "Ry Rt CRy CRt C")
    def msg_reject_code(self) -> int:
        return self.env.reject_code

    @host_blob("Rt CRt")
    def msg_reject_msg(self) -> bytes:
        return self.env.reject_message.encode()

    @host_function("", "i64", _MESSAGES)
    def msg_deadline(self) -> int:
        return self.env.deadline_ns

    @host_blob("F")
    def msg_method_name(self) -> bytes:
        return self.env.method.encode()

    @host_function("", "", "F")
    def accept_message(self) -> None:
        if self.outcome.message_accepted:
            raise contract_violation("ic0.accept_message was called twice")
        self.outcome.message_accepted = True

    # --- response ---

    def _require_unanswered(self, function: str) -> None:
        if not self._may_reply:
            raise contract_violation(f"ic0.{function}: the call was answered already, or needs no answer")

    @host_function("I I", "", _ANSWERS)
    def msg_reply_data_append(self, source: int, size: int) -> None:
        self._require_unanswered("msg_reply_data_append")
        total, limit = self._reply.size + size, self.env.max_response_bytes
        if total > limit:
            raise contract_violation(
                f"ic0.msg_reply_data_append: a reply of {total} bytes is over the limit of {limit}"
            )
        self._reply.add(self.memory.read(source, size))

    def _respond(self, response: Response) -> None:
        self.outcome.response = response
        self._may_reply = False
        self._available = 0  # what wasn't accepted goes back to the caller

    @host_function("", "", _ANSWERS)
    def msg_reply(self) -> None:
        self._require_unanswered("msg_reply")
        self._respond(Response(self._reply.whole()))

    @host_function("I I", "", _ANSWERS)
    def msg_reject(self, source: int, size: int) -> None:
        self._require_unanswered("msg_reject")
        limit = self.env.max_response_bytes
        if size > limit:
            raise contract_violation(f"ic0.msg_reject: a message of {size} bytes is over the limit of {limit}")
        message = self.text("msg_reject", source, size)
        self._respond(Response(b"", RejectCode.CANISTER_REJECT, message, "IC0406"))

    # --- cycles ---

    def _liquid(self) -> int:
        return max(0, self._balance - self.env.freezing_threshold_cycles)

    def write_128(self, target: int, cycles: int) -> None:
        """Writes an amount of cycles as the canister expects it: 16 bytes, little-endian; a price may be more."""
        self.memory.write(target, min(cycles, MAX_CYCLES).to_bytes(16, "little"))

    def _as_64(self, function: str, cycles: int) -> int:
        if cycles > _MAX_64:
            raise contract_violation(f"ic0.{function}: {cycles} cycles don't fit into 64 bits, use ic0.{function}128")
        return cycles

    @host_function("", "i64", only_32_bit=True)
    def canister_cycle_balance(self) -> int:
        return self._as_64("canister_cycle_balance", self._balance)

    @host_function("I")
    def canister_cycle_balance128(self, target: int) -> None:
        self.write_128(target, self._balance)

    @host_function("I")
    def canister_liquid_cycle_balance128(self, target: int) -> None:
        self.write_128(target, self._liquid())

    @host_function("", "i64", "U RQ Rt Ry", only_32_bit=True)
    def msg_cycles_available(self) -> int:
        return self._as_64("msg_cycles_available", self._available)

    @host_function("I", "", "U RQ Rt Ry")
    def msg_cycles_available128(self, target: int) -> None:
        self.write_128(target, self._available)

    @host_function("", "i64", "Rt Ry", only_32_bit=True)
    def msg_cycles_refunded(self) -> int:
        return self._as_64("msg_cycles_refunded", self.env.cycles_refunded)

    @host_function("I", "", "Rt Ry")
    def msg_cycles_refunded128(self, target: int) -> None:
        self.write_128(target, self.env.cycles_refunded)

    def _accept(self, most: int) -> int:
        accepted = min(most, self._available)
        self._available -= accepted
        self._balance = min(self._balance + accepted, MAX_CYCLES)
        self.outcome.cycles_accepted += accepted
        return accepted

    @host_function("i64", "i64", "U RQ Rt Ry", only_32_bit=True)
    def msg_cycles_accept(self, most: int) -> int:
        return self._accept(most)

    @host_function("i64 i64 I", "", "U RQ Rt Ry")
    def msg_cycles_accept128(self, high: int, low: int, target: int) -> None:
        self.write_128(target, self._accept(high << 64 | low))

    @host_function("i64 i64 I", "", REPLICATED)
    def cycles_burn128(self, high: int, low: int, target: int) -> None:
        burned = min(high << 64 | low, self._liquid())
        self._balance -= burned
        self.outcome.cycles_burned += burned
        self.write_128(target, burned)

    @host_function("i64 i64 I", "", "U Ry Rt T")
    def mint_cycles128(self, _high: int, _low: int, _target: int) -> None:
        raise contract_violation("ic0.mint_cycles128 can only be executed on the cycles minting canister")

    # --- outgoing calls ---

    @host_function("I I I I I I I I", "", _CALLS)
    def call_new(
        self,
        callee: int,
        callee_size: int,
        name: int,
        name_size: int,
        reply_function: int,
        reply_env: int,
        reject_function: int,
        reject_env: int,
    ) -> None:
        self._discard_call()
        if callee_size > MAX_PRINCIPAL_BYTES:
            raise contract_violation(f"ic0.call_new: a callee of {callee_size} bytes, at most {MAX_PRINCIPAL_BYTES}")
        if name_size > MAX_METHOD_NAME_BYTES:
            raise contract_violation(
                f"ic0.call_new: a method name of {name_size} bytes, at most {MAX_METHOD_NAME_BYTES}"
            )
        self._call = OutgoingCall(
            self.memory.read(callee, callee_size),
            self.text("call_new", name, name_size),
            Callback(reply_function, reply_env),
            Callback(reject_function, reject_env),
        )
        self._call_data = Parts()

    def _discard_call(self) -> None:
        if self._call is not None:
            self._balance = min(self._balance + self._call.cycles, MAX_CYCLES)
            self._call = None

    def _call_in_progress(self, function: str) -> OutgoingCall:
        if self._call is None:
            raise contract_violation(f"ic0.{function}: no call is under construction, start one with ic0.call_new")
        return self._call

    @host_function("I I", "", _CALLS)
    def call_on_cleanup(self, function: int, env: int) -> None:
        call = self._call_in_progress("call_on_cleanup")
        if call.on_cleanup is not None:
            raise contract_violation("ic0.call_on_cleanup was called twice for one call")
        call.on_cleanup = Callback(function, env)

    @host_function("I I", "", _CALLS)
    def call_data_append(self, source: int, size: int) -> None:
        self._call_in_progress("call_data_append")
        total = self._call_data.size + size
        if total > MAX_CALL_BYTES:
            raise contract_violation(f"ic0.call_data_append: an argument of {total} bytes, at most {MAX_CALL_BYTES}")
        self._call_data.add(self.memory.read(source, size))

    @host_function("i32", "", _CALLS)
    def call_with_best_effort_response(self, timeout_seconds: int) -> None:
        call = self._call_in_progress("call_with_best_effort_response")
        if call.timeout_seconds is not None:
            raise contract_violation("ic0.call_with_best_effort_response was called twice for one call")
        call.timeout_seconds = min(timeout_seconds, MAX_CALL_TIMEOUT_SECONDS)

    def _attach(self, function: str, cycles: int) -> None:
        call = self._call_in_progress(function)
        if cycles > self._liquid():
            # The replica's code is CanisterOutOfCycles.
            raise HostTrapError(
                "IC0207",
                f"is out of cycles: {cycles} cycles can't be attached to a call of {call.method}, "
                f"{self._liquid()} are there above the freezing threshold of {self.env.freezing_threshold_cycles}",
            )
        self._balance -= cycles
        call.cycles += cycles

    @host_function("i64", "", _SPENDING, only_32_bit=True)
    def call_cycles_add(self, cycles: int) -> None:
        self._attach("call_cycles_add", cycles)

    @host_function("i64 i64", "", _SPENDING)
    def call_cycles_add128(self, high: int, low: int) -> None:
        self._attach("call_cycles_add128", high << 64 | low)

    @host_function("", "i32", _CALLS)
    def call_perform(self) -> int:
        call = self._call_in_progress("call_perform")
        call.arg = self._call_data.whole()
        if self.env.in_replicated_execution:
            call.fee = self.call_cost(len(call.method.encode()) + len(call.arg))
        if len(self.outcome.calls) >= self.env.max_outgoing_calls or call.fee > self._liquid():
            self._discard_call()
            return _CALL_FAILED
        self._balance -= call.fee
        self.outcome.calls.append(call)
        self._call = None
        return 0

    def call_cost(self, payload_bytes: int) -> int:
        """Cycles for an outgoing call whose method name and argument have so many bytes."""
        fixed, per_byte = self.env.call_cost
        return fixed + per_byte * payload_bytes
