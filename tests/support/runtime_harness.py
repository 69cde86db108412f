"""Canisters written as WAT, run on a real engine."""

from __future__ import annotations

import functools
from typing import Any

import wasmtime

from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory, copy_on_write_works
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError, Entry, Env, Outcome, Response
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory import FullCopyMemory, MemoryState, MemoryTransaction
from canister_factory.replica.runtime.stable_memory import StableMemory

CANISTER_ID = bytes.fromhex("00000000000000010101")
CALLER = b"\x01\x02\x03"
BILLION = 1_000_000_000
Strategy = type[MemoryTransaction]
STRATEGIES: list[Strategy] = [CopyOnWriteMemory] if copy_on_write_works() else []
STRATEGIES.append(FullCopyMemory)

IMPORTS_OF_A_CANISTER = """
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
"""

# Bumping writes the argument to memory[0..8], adds it to a global, grows stable memory by a page and writes it there.
COUNTER = f"""(module {IMPORTS_OF_A_CANISTER}
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $stable_size (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (memory 1)
  (global $count (mut i64) (i64.const 0))
  (func $bump
    (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
    (global.set $count (i64.add (global.get $count) (i64.load (i32.const 0))))
    (drop (call $stable_grow (i64.const 1)))
    (call $stable_write (i64.const 0) (i64.const 0) (i64.const 8)))
  (func $answer
    (i64.store (i32.const 8) (global.get $count))
    (i64.store (i32.const 16) (i64.extend_i32_u (memory.size)))
    (i64.store (i32.const 24) (call $stable_size))
    (call $append (i32.const 0) (i32.const 32)) (call $reply))
  (func (export "canister_update bump") (call $bump) (call $answer))
  (func (export "canister_query bump_in_query") (call $bump) (call $answer))
  (func (export "canister_query load") (call $answer))
  (func (export "canister_update bump_and_trap") (call $bump) (unreachable))
  (func (export "canister_update grow_and_trap") (call $bump) (call $grow) (unreachable))
  (func (export "canister_query grow_in_query") (call $bump) (call $grow) (call $answer))
  (func (export "canister_update grow") (call $grow) (call $answer))
  (func $grow
    (drop (memory.grow (i32.const 3)))
    (i64.store (i32.const 200000) (i64.const -1)))
  (func (export "canister_query beyond") (i64.store (i32.const 0) (i64.load (i32.const 200000))) (call $answer))
)"""


def taken(memory: MemoryTransaction | StableMemory) -> MemoryState:
    """What a checkpoint saves of a memory, which it has then: what changed, or everything."""
    runs = memory.unsaved()
    memory.mark_saved()
    if runs is None:
        return memory.export_state()
    return MemoryState(
        memory.length, tuple((start, memory.read_committed(start, end - start)) for start, end in runs), complete=False
    )


def assembled(wat: str) -> bytes:
    return bytes(wasmtime.wat2wasm(wat))


@functools.cache
def engine(strategy: Strategy = STRATEGIES[0]) -> Engine:
    return Engine(memory=strategy)


def env(method: str = "", arg: bytes = b"", **fields: Any) -> Env:
    return Env(
        canister_id=CANISTER_ID,
        time_ns=1_700_000_000_000_000_000,
        **{"method": method, "arg": arg, "caller": CALLER, **fields},
    )


class Canister:
    """An instance with its stable memory, and short ways to run it."""

    def __init__(
        self, wat: str, strategy: type[MemoryTransaction] = STRATEGIES[0], instance: Instance | None = None
    ) -> None:
        self.engine = engine(strategy)
        self.stable = StableMemory()
        self.module = self.engine.compile(assembled(wat))
        self.instance = instance or Instance(self.engine, self.module, self.stable)

    def run(
        self,
        entry: Entry,
        method: str = "",
        arg: bytes = b"",
        *,
        limit: int = BILLION,
        commit: bool = True,
        **fields: Any,
    ) -> Outcome:
        return self.instance.execute(entry, env(method, arg, **fields), instruction_limit=limit, commit=commit)

    def update(self, method: str, arg: bytes = b"", **fields: Any) -> Outcome:
        return self.run(Entry.UPDATE, method, arg, **fields)

    def query(self, method: str, arg: bytes = b"", **fields: Any) -> Outcome:
        return self.run(Entry.QUERY, method, arg, commit=False, in_replicated_execution=False, **fields)

    def numbers(self, outcome: Outcome) -> list[int]:
        """The reply as 64-bit integers."""
        data = reply(outcome)
        return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]

    def __enter__(self) -> Canister:
        return self

    def __exit__(self, *_: object) -> None:
        self.instance.close()


def reply(outcome: Outcome) -> bytes:
    assert outcome.error is None, outcome.error.message
    assert isinstance(outcome.response, Response)
    assert outcome.response.is_reply, outcome.response
    return outcome.response.data


def failure(outcome: Outcome) -> CanisterError:
    assert outcome.error is not None, f"expected an error, got {outcome}"
    assert outcome.response is None
    assert not outcome.calls
    return outcome.error


def le64(value: int) -> bytes:
    return (value % (1 << 64)).to_bytes(8, "little")


def applied(state: MemoryState, image: bytes | bytearray = b"") -> bytearray:
    """What a checkpoint holds after this state came on top of `image`."""
    result = bytearray(b"" if state.complete else image[: state.length])
    result += bytes(state.length - len(result))
    for offset, data in state.extents:
        result[offset : offset + len(data)] = data
    return result
