"""The `ic0` functions of the interface specification ("System API"), over the one execution in progress.

Owns: what each function answers, does to the execution, or refuses. Does not own: which entry points may call it
(declared here, checked by `bind`), how it is called from Wasm, or applying an execution's effects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .execution import Callback, Entry, Env, Outcome, OutgoingCall, RejectCode, Response
from .guest_memory import GuestMemory
from .host_interface import (
    EVEN_AT_START,
    HOST_FUNCTIONS,
    MODE_NAMES,
    HostFunction,
    HostTrapError,
    contract_violation,
    host_blob,
    host_function,
    mode_of,
)
from .stable_memory import WASM_PAGE_BYTES, StableMemory

MAX_CERTIFIED_DATA_BYTES: Final = 32
MAX_PRINCIPAL_BYTES: Final = 29
MAX_METHOD_NAME_BYTES: Final = 20_000
MAX_ENVIRONMENT_VARIABLE_NAME_BYTES: Final = 128
MAX_CALL_TIMEOUT_SECONDS: Final = 300
# Within one subnet; between subnets it is 2 MiB, and this replica is one subnet.
MAX_CALL_BYTES: Final = 10 * 1024 * 1024
_PAGES_OF_4_GIB: Final = 65536
_CALL_FAILED: Final = 2  # the one error code of ic0.call_perform
_MAX_64: Final = (1 << 64) - 1

__all__ = ("HOST_FUNCTIONS", "SystemApi")  # the table is complete once this module is imported

_MESSAGES: Final = "U RQ NRQ CQ Ry Rt CRy CRt"  # where there may be something to answer
_CALLS: Final = "U CQ Ry Rt CRy CRt T"
_SPENDING: Final = "U Ry Rt T"
_REPLICATED: Final = "I G U RQ Ry Rt C T"


class SystemApi:
    """Host functions of one canister; `begin` points them at the next execution.

    Reads and writes of canister memory cost one instruction a byte, as on the IC; other work in here costs none.
    """

    def __init__(self, memory: GuestMemory, stable: StableMemory) -> None:
        self.memory = memory
        self.stable = stable
        self.env = Env(canister_id=b"", time_ns=0)
        self.outcome = Outcome()
        self._mode = "s"
        self._balance = 0
        self._available = 0
        self._timer = 0
        self._may_reply = False
        self._reply = bytearray()
        self._call: OutgoingCall | None = None
        self._call_data = bytearray()

    def begin(self, entry: Entry, env: Env) -> None:
        """Starts over for one execution; its effects gather in `outcome`."""
        self.env = env
        self.outcome = Outcome()
        self._mode = mode_of(entry, env)
        self._balance = env.balance
        self._available = env.cycles_available
        self._timer = env.global_timer_ns
        self._may_reply = env.may_reply
        self._reply = bytearray()
        self._call = None

    def bind(self, function: HostFunction) -> Callable[..., int | None]:
        """The function as Wasm may call it: outside its modes it traps."""
        method, modes = function.method, function.modes

        def guarded(*arguments: int) -> int | None:
            if self._mode not in modes:
                raise contract_violation(f"ic0.{function.name} cannot be executed in {MODE_NAMES[self._mode]} mode")
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

    def _text(self, function: str, source: int, size: int) -> str:
        try:
            return self.memory.read(source, size).decode()
        except UnicodeDecodeError as error:
            raise contract_violation(f"ic0.{function}: the text isn't valid UTF-8 at byte {error.start}") from None

    # --- message ---

    @host_blob("I U RQ NRQ CQ Ry CRy F")
    def msg_arg_data(self) -> bytes:
        return self.env.arg

    @host_blob()
    def msg_caller(self) -> bytes:
        return self.env.caller

    @host_blob("U RQ NRQ CQ Ry Rt CRy CRt C CC F")
    def msg_caller_info_data(self) -> bytes:
        return b""  # only callers behind canister signatures have such information, which this replica doesn't take

    @host_blob("U RQ NRQ CQ Ry Rt CRy CRt C CC F")
    def msg_caller_info_signer(self) -> bytes:
        return b""

    @host_function("", "i32", "Ry Rt CRy CRt C CC")
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

    @host_function("I I", "", _MESSAGES)
    def msg_reply_data_append(self, source: int, size: int) -> None:
        self._require_unanswered("msg_reply_data_append")
        total, limit = len(self._reply) + size, self.env.max_response_bytes
        if total > limit:
            raise contract_violation(
                f"ic0.msg_reply_data_append: a reply of {total} bytes is over the limit of {limit}"
            )
        self._reply += self.memory.read(source, size)

    def _respond(self, response: Response) -> None:
        self.outcome.response = response
        self._may_reply = False
        self._available = 0  # what wasn't accepted goes back to the caller

    @host_function("", "", _MESSAGES)
    def msg_reply(self) -> None:
        self._require_unanswered("msg_reply")
        self._respond(Response(bytes(self._reply)))

    @host_function("I I", "", _MESSAGES)
    def msg_reject(self, source: int, size: int) -> None:
        self._require_unanswered("msg_reject")
        limit = self.env.max_response_bytes
        if size > limit:
            raise contract_violation(f"ic0.msg_reject: a message of {size} bytes is over the limit of {limit}")
        message = self._text("msg_reject", source, size)
        self._respond(Response(b"", RejectCode.CANISTER_REJECT, message, "IC0406"))

    # --- cycles ---

    def _liquid(self) -> int:
        return max(0, self._balance - self.env.freezing_threshold_cycles)

    def _write_128(self, target: int, cycles: int) -> None:
        self.memory.write(target, cycles.to_bytes(16, "little"))

    def _as_64(self, function: str, cycles: int) -> int:
        if cycles > _MAX_64:
            raise contract_violation(f"ic0.{function}: {cycles} cycles don't fit into 64 bits, use ic0.{function}128")
        return cycles

    @host_function("", "i64", only_32_bit=True)
    def canister_cycle_balance(self) -> int:
        return self._as_64("canister_cycle_balance", self._balance)

    @host_function("I")
    def canister_cycle_balance128(self, target: int) -> None:
        self._write_128(target, self._balance)

    @host_function("I")
    def canister_liquid_cycle_balance128(self, target: int) -> None:
        self._write_128(target, self._liquid())

    @host_function("", "i64", "U RQ Rt Ry", only_32_bit=True)
    def msg_cycles_available(self) -> int:
        return self._as_64("msg_cycles_available", self._available)

    @host_function("I", "", "U RQ Rt Ry")
    def msg_cycles_available128(self, target: int) -> None:
        self._write_128(target, self._available)

    @host_function("", "i64", "Rt Ry", only_32_bit=True)
    def msg_cycles_refunded(self) -> int:
        return self._as_64("msg_cycles_refunded", self.env.cycles_refunded)

    @host_function("I", "", "Rt Ry")
    def msg_cycles_refunded128(self, target: int) -> None:
        self._write_128(target, self.env.cycles_refunded)

    def _accept(self, most: int) -> int:
        accepted = min(most, self._available)
        self._available -= accepted
        self._balance += accepted
        self.outcome.cycles_accepted += accepted
        return accepted

    @host_function("i64", "i64", "U RQ Rt Ry", only_32_bit=True)
    def msg_cycles_accept(self, most: int) -> int:
        return self._accept(most)

    @host_function("i64 i64 I", "", "U RQ Rt Ry")
    def msg_cycles_accept128(self, high: int, low: int, target: int) -> None:
        self._write_128(target, self._accept(high << 64 | low))

    @host_function("i64 i64 I", "", _REPLICATED)
    def cycles_burn128(self, high: int, low: int, target: int) -> None:
        burned = min(high << 64 | low, self._liquid())
        self._balance -= burned
        self.outcome.cycles_burned += burned
        self._write_128(target, burned)

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
            self._text("call_new", name, name_size),
            Callback(reply_function, reply_env),
            Callback(reject_function, reject_env),
        )
        self._call_data = bytearray()

    def _discard_call(self) -> None:
        if self._call is not None:
            self._balance += self._call.cycles
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
        total = len(self._call_data) + size
        if total > MAX_CALL_BYTES:
            raise contract_violation(f"ic0.call_data_append: an argument of {total} bytes, at most {MAX_CALL_BYTES}")
        self._call_data += self.memory.read(source, size)

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
        call.arg = bytes(self._call_data)
        if self.env.in_replicated_execution:
            call.fee = self._call_cost(len(call.method.encode()) + len(call.arg))
        if len(self.outcome.calls) >= self.env.max_outgoing_calls or call.fee > self._liquid():
            self._discard_call()
            return _CALL_FAILED
        self._balance -= call.fee
        self.outcome.calls.append(call)
        self._call = None
        return 0

    def _call_cost(self, payload_bytes: int) -> int:
        fixed, per_byte = self.env.call_cost
        return fixed + per_byte * payload_bytes

    # --- the canister and its surroundings ---

    @host_blob()
    def canister_self(self) -> bytes:
        return self.env.canister_id

    @host_blob()
    def subnet_self(self) -> bytes:
        return self.env.subnet_id

    @host_function("", "i32")
    def canister_status(self) -> int:
        return self.env.canister_status

    @host_function("", "i64")
    def canister_version(self) -> int:
        return self.env.canister_version

    @host_function("I I", "i32", EVEN_AT_START)
    def is_controller(self, source: int, size: int) -> int:
        if size > MAX_PRINCIPAL_BYTES:
            raise contract_violation(f"ic0.is_controller: a principal of {size} bytes, at most {MAX_PRINCIPAL_BYTES}")
        return int(self.memory.read(source, size) in self.env.controllers)

    @host_function("", "i32", EVEN_AT_START)
    def in_replicated_execution(self) -> int:
        return int(self.env.in_replicated_execution)

    @host_function("", "i64")
    def time(self) -> int:
        return self.env.time_ns

    @host_function("i64", "i64", "I G U Ry Rt C T")
    def global_timer_set(self, timestamp: int) -> int:
        before, self._timer = self._timer, timestamp
        self.outcome.global_timer_ns = timestamp
        return before

    @host_function("i32", "i64", EVEN_AT_START)
    def performance_counter(self, kind: int) -> int:
        if kind > 1:
            raise contract_violation(f"ic0.performance_counter: there is no counter {kind}, only 0 and 1")
        return self.memory.instructions_used() + (self.env.call_context_instructions if kind else 0)

    @host_function("I I", "", EVEN_AT_START)
    def debug_print(self, source: int, size: int) -> None:
        self.outcome.log.append(self.memory.read(source, size).decode(errors="replace"))

    @host_function("I I", "", EVEN_AT_START)
    def trap(self, source: int, size: int) -> None:
        message = self.memory.read(source, size).decode(errors="replace")
        raise HostTrapError("IC0503", f"trapped explicitly: {message}")

    # --- certification ---

    @host_blob(_REPLICATED)
    def root_key(self) -> bytes:
        return self.env.root_key

    @host_function("I I", "", "I G U Ry Rt T")
    def certified_data_set(self, source: int, size: int) -> None:
        if size > MAX_CERTIFIED_DATA_BYTES:
            raise contract_violation(f"ic0.certified_data_set: {size} bytes, at most {MAX_CERTIFIED_DATA_BYTES}")
        self.outcome.certified_data = self.memory.read(source, size)

    def _certificate(self) -> bytes | None:
        return self.env.certificate if self._mode in ("NRQ", "CQ") else None

    @host_function("", "i32")
    def data_certificate_present(self) -> int:
        return int(self._certificate() is not None)

    @host_blob("NRQ CQ")
    def data_certificate(self) -> bytes:
        certificate = self._certificate()
        if certificate is None:
            raise contract_violation("there is no data certificate here, see ic0.data_certificate_present")
        return certificate

    # --- stable memory ---

    def _stable_32(self) -> StableMemory:
        if self.stable.wasm_pages > _PAGES_OF_4_GIB:
            raise contract_violation("the stable memory is larger than 4 GiB, use the 64-bit functions ic0.stable64_*")
        return self.stable

    @host_function("", "i32", EVEN_AT_START, only_32_bit=True)
    def stable_size(self) -> int:
        return self._stable_32().wasm_pages

    @host_function("i32", "i32", EVEN_AT_START, only_32_bit=True)
    def stable_grow(self, pages: int) -> int:
        stable = self._stable_32()
        return -1 if stable.wasm_pages + pages > _PAGES_OF_4_GIB else stable.grow(pages)

    @host_function("i32 i32 i32", "", EVEN_AT_START, only_32_bit=True)
    def stable_write(self, offset: int, source: int, size: int) -> None:
        self._stable_32()
        self.stable64_write(offset, source, size)

    @host_function("i32 i32 i32", "", EVEN_AT_START, only_32_bit=True)
    def stable_read(self, target: int, offset: int, size: int) -> None:
        self._stable_32()
        self.stable64_read(target, offset, size)

    @host_function("", "i64", EVEN_AT_START)
    def stable64_size(self) -> int:
        return self.stable.wasm_pages

    @host_function("i64", "i64", EVEN_AT_START)
    def stable64_grow(self, pages: int) -> int:
        return self.stable.grow(pages)

    def _require_stable(self, offset: int, size: int) -> None:
        if offset + size > self.stable.wasm_pages * WASM_PAGE_BYTES:
            raise HostTrapError("IC0502", "trapped: stable memory out of bounds")

    @host_function("i64 i64 i64", "", EVEN_AT_START)
    def stable64_write(self, offset: int, source: int, size: int) -> None:
        self._require_stable(offset, size)
        self.stable.write(offset, self.memory.view(source, size))

    @host_function("i64 i64 i64", "", EVEN_AT_START)
    def stable64_read(self, target: int, offset: int, size: int) -> None:
        self._require_stable(offset, size)
        self.stable.read_into(self.memory.view(target, size), offset)

    # --- prices ---

    @host_function("i64 i64 I", "", EVEN_AT_START)
    def cost_call(self, method_name_size: int, payload_size: int, target: int) -> None:
        self._write_128(target, self._call_cost(method_name_size + payload_size))

    @host_function("I", "", EVEN_AT_START)
    def cost_create_canister(self, target: int) -> None:
        self._write_128(target, self.env.create_canister_cost)

    @host_function("i64 i64 I", "", EVEN_AT_START)
    def cost_http_request(self, request_bytes: int, max_response_bytes: int, target: int) -> None:
        fixed, per_request_byte, per_response_byte = self.env.http_request_cost
        self._write_128(target, fixed + per_request_byte * request_bytes + per_response_byte * max_response_bytes)

    def _cost_of_signing(self, algorithm: int, algorithms: int) -> int:
        """1 for an unknown curve or algorithm, 2 for an unknown key: this subnet holds no threshold keys."""
        return 1 if algorithm >= algorithms else 2

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_sign_with_ecdsa(self, source: int, size: int, curve: int, _target: int) -> int:
        self._text("cost_sign_with_ecdsa", source, size)
        return self._cost_of_signing(curve, algorithms=1)  # secp256k1

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_sign_with_schnorr(self, source: int, size: int, algorithm: int, _target: int) -> int:
        self._text("cost_sign_with_schnorr", source, size)
        return self._cost_of_signing(algorithm, algorithms=2)  # bip340secp256k1, ed25519

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_vetkd_derive_key(self, source: int, size: int, curve: int, _target: int) -> int:
        self._text("cost_vetkd_derive_key", source, size)
        return self._cost_of_signing(curve, algorithms=1)  # bls12_381_g2

    # --- environment variables ---

    def _variable_name(self, function: str, source: int, size: int) -> str:
        limit = MAX_ENVIRONMENT_VARIABLE_NAME_BYTES
        if size > limit:
            raise contract_violation(f"ic0.{function}: a variable's name of {size} bytes, at most {limit}")
        return self._text(function, source, size)

    def _variable_at(self, function: str, index: int) -> bytes:
        variables = self.env.environment_variables
        if index >= len(variables):
            raise contract_violation(f"ic0.{function}: there is no variable {index}, only {len(variables)}")
        return variables[index][0].encode()

    def _variable_value(self, function: str, source: int, size: int) -> bytes:
        name = self._variable_name(function, source, size)
        for known, value in self.env.environment_variables:
            if known == name:
                return value.encode()
        raise contract_violation(f"ic0.{function}: there is no environment variable {name!r}")

    @host_function("", "I")
    def env_var_count(self) -> int:
        return len(self.env.environment_variables)

    @host_function("I", "I")
    def env_var_name_size(self, index: int) -> int:
        return len(self._variable_at("env_var_name_size", index))

    @host_function("I I I I")
    def env_var_name_copy(self, index: int, target: int, offset: int, size: int) -> None:
        self.copy_out("env_var_name", self._variable_at("env_var_name_copy", index), target, offset, size)

    @host_function("I I", "i32")
    def env_var_name_exists(self, source: int, size: int) -> int:
        name = self._variable_name("env_var_name_exists", source, size)
        return int(any(known == name for known, _ in self.env.environment_variables))

    @host_function("I I", "I")
    def env_var_value_size(self, source: int, size: int) -> int:
        return len(self._variable_value("env_var_value_size", source, size))

    @host_function("I I I I I")
    def env_var_value_copy(self, source: int, size: int, target: int, offset: int, length: int) -> None:
        value = self._variable_value("env_var_value_copy", source, size)
        self.copy_out("env_var_value", value, target, offset, length)
