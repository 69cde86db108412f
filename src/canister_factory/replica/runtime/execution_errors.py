"""Why an execution failed, as errors of the canister.

Owns their texts and codes. Does not own when they occur (`instance`).
"""

from __future__ import annotations

from typing import Final

from canister_factory.candid.principal import Principal
from canister_factory.replica.runtime.execution import CanisterError, Entry, Env, RejectCode
from canister_factory.replica.runtime.guest_memory import InstructionLimitReachedError
from canister_factory.replica.runtime.host_interface import HostTrapError
from canister_factory.replica.runtime.wasmtime_ffi import HostFunctionError, WasmTrapError

_BACKTRACE_LINES: Final = 20
_METHOD_KINDS: Final = {Entry.UPDATE: "update", Entry.QUERY: "query", Entry.COMPOSITE_QUERY: "composite query"}


def memory_error(canister_id: bytes, limit_bytes: int, size_bytes: int) -> CanisterError | None:
    """Why a canister can't have a Wasm memory of this size: its `wasm_memory_limit`, where 0 is no limit."""
    if not limit_bytes or size_bytes <= limit_bytes:
        return None
    return CanisterError(
        RejectCode.CANISTER_ERROR,
        f"Canister {Principal(canister_id)} exceeded its limit of {limit_bytes} bytes of Wasm memory: "
        f"there would be {size_bytes}",
        "IC0539",
    )


def execution_error(env: Env, error_code: str, message: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_ERROR, f"Canister {Principal(env.canister_id)} {message}", error_code)


def missing_method(entry: Entry, env: Env) -> CanisterError | None:
    """Why an entry point that the module doesn't have can't be entered; None for those that needn't be there."""
    kind = _METHOD_KINDS.get(entry)
    return None if kind is None else execution_error(env, "IC0536", f"has no {kind} method '{env.method}'")


def failed_execution(
    failure: WasmTrapError | InstructionLimitReachedError | HostFunctionError, env: Env, limit: int
) -> tuple[CanisterError, tuple[str, ...]]:
    """What an execution with this limit of instructions failed of, and the functions in which it did, innermost first.

    Raises:
        BaseException: what a host function raised, where that is no failure of the canister.
    """
    if isinstance(failure, InstructionLimitReachedError):
        return _limit_error(env, limit), ()
    backtrace = failure.backtrace[:_BACKTRACE_LINES]
    if isinstance(failure, WasmTrapError):
        if failure.out_of_fuel:
            return _limit_error(env, limit), backtrace
        return execution_error(env, "IC0502", f"trapped: {failure.reason}"), backtrace
    cause = failure.__cause__
    if isinstance(cause, InstructionLimitReachedError):
        return _limit_error(env, limit), backtrace
    if isinstance(cause, HostTrapError):
        return execution_error(env, cause.error_code, cause.message), backtrace
    assert cause is not None
    raise cause from None


def _limit_error(env: Env, limit: int) -> CanisterError:
    return execution_error(env, "IC0522", f"exceeded the limit of {limit} instructions for a single message execution")
