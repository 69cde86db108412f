"""The `ic0` functions about a canister's surroundings: itself, time, certification, stable memory, prices, variables.

Owns: what these functions answer, do, or refuse; with those inherited from `message_api` they are the whole system
API. Does not own: how they are called from Wasm. Source: interface specification, "System API".
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.runtime.guest_memory import GuestMemory
from canister_factory.replica.runtime.host_interface import (
    EVEN_AT_START,
    HostTrapError,
    contract_violation,
    host_blob,
    host_function,
    host_functions,
)
from canister_factory.replica.runtime.message_api import MAX_PRINCIPAL_BYTES, REPLICATED, MessageApi
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory

MAX_CERTIFIED_DATA_BYTES: Final = 32
MAX_ENVIRONMENT_VARIABLE_NAME_BYTES: Final = 128
_PAGES_OF_4_GIB: Final = 65536
_MAX_TRAP_MESSAGE_BYTES: Final = 16 * 1024  # of a longer one the beginning is kept
_MAX_KEY_NAME_BYTES: Final = 1024
_TRANSMISSION: Final = 50  # instructions for a byte of the log


class SystemApi(MessageApi):
    """All host functions of one canister."""

    def __init__(self, memory: GuestMemory, stable: StableMemory) -> None:
        super().__init__(memory)
        self.stable = stable

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
        before, self.timer = self.timer, timestamp
        self.outcome.global_timer_ns = timestamp
        return before

    @host_function("i32", "i64", EVEN_AT_START)
    def performance_counter(self, kind: int) -> int:
        if kind > 1:
            raise contract_violation(f"ic0.performance_counter: there is no counter {kind}, only 0 and 1")
        return self.memory.instructions_used() + (self.env.call_context_instructions if kind else 0)

    @host_function("I I", "", EVEN_AT_START)
    def debug_print(self, source: int, size: int) -> None:
        log = self.log
        kept = min(size, log.limit_bytes)
        # As the official replica charges: for keeping the text and removing an older one, and for its transmission.
        self.memory.charge(2 * kept + _TRANSMISSION * min(size, log.room_bytes))
        try:
            self.memory.require(source, size)
            text = self.memory.peek(source, kept)
        except HostTrapError:  # this function never traps
            text = b"(debug_print: the text lies beyond the memory)"
        log.append(text)

    @host_function("I I", "", EVEN_AT_START)
    def trap(self, source: int, size: int) -> None:
        self.memory.require(source, size)
        self.memory.charge(size)
        message = self.memory.peek(source, min(size, _MAX_TRAP_MESSAGE_BYTES)).decode(errors="ignore")
        raise HostTrapError("IC0503", f"trapped explicitly: {message}")

    # --- certification ---

    @host_blob(REPLICATED)
    def root_key(self) -> bytes:
        return self.env.root_key

    @host_function("I I", "", "I G U Ry Rt T")
    def certified_data_set(self, source: int, size: int) -> None:
        if size > MAX_CERTIFIED_DATA_BYTES:
            raise contract_violation(f"ic0.certified_data_set: {size} bytes, at most {MAX_CERTIFIED_DATA_BYTES}")
        self.outcome.certified_data = self.memory.read(source, size)

    def _certificate(self) -> bytes | None:
        return self.env.certificate if self.mode in ("NRQ", "CQ") else None

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
        self.stable.read_into(self.memory.target(target, size), offset)

    # --- prices ---

    @host_function("i64 i64 I", "", EVEN_AT_START)
    def cost_call(self, method_name_size: int, payload_size: int, target: int) -> None:
        self.write_128(target, self.call_cost(method_name_size + payload_size))

    @host_function("I", "", EVEN_AT_START)
    def cost_create_canister(self, target: int) -> None:
        self.write_128(target, self.env.create_canister_cost)

    @host_function("i64 i64 I", "", EVEN_AT_START)
    def cost_http_request(self, request_bytes: int, max_response_bytes: int, target: int) -> None:
        fixed, per_request_byte, per_response_byte = self.env.http_request_cost
        self.write_128(target, fixed + per_request_byte * request_bytes + per_response_byte * max_response_bytes)

    def _cost_of_signing(self, function: str, source: int, size: int, algorithm: int, algorithms: int) -> int:
        """1 for an unknown curve or algorithm, 2 for an unknown key: this subnet holds no threshold keys."""
        if size > _MAX_KEY_NAME_BYTES:
            raise contract_violation(f"ic0.{function}: a key's name of {size} bytes, at most {_MAX_KEY_NAME_BYTES}")
        self.text(function, source, size)
        return 1 if algorithm >= algorithms else 2

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_sign_with_ecdsa(self, source: int, size: int, curve: int, _target: int) -> int:
        return self._cost_of_signing("cost_sign_with_ecdsa", source, size, curve, algorithms=1)  # secp256k1

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_sign_with_schnorr(self, source: int, size: int, algorithm: int, _target: int) -> int:
        return self._cost_of_signing(
            "cost_sign_with_schnorr", source, size, algorithm, algorithms=2
        )  # bip340secp256k1, ed25519

    @host_function("I I i32 I", "i32", EVEN_AT_START)
    def cost_vetkd_derive_key(self, source: int, size: int, curve: int, _target: int) -> int:
        return self._cost_of_signing("cost_vetkd_derive_key", source, size, curve, algorithms=1)  # bls12_381_g2

    # --- environment variables ---

    def _variable_name(self, function: str, source: int, size: int) -> str:
        limit = MAX_ENVIRONMENT_VARIABLE_NAME_BYTES
        if size > limit:
            raise contract_violation(f"ic0.{function}: a variable's name of {size} bytes, at most {limit}")
        return self.text(function, source, size)

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


HOST_FUNCTIONS: Final = host_functions(SystemApi)
"""All functions of the module `ic0`, by name."""
