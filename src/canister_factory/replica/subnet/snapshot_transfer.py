"""Downloading snapshots of canisters, and uploading them, in pieces that fit messages.

Owns these methods and their limits. Does not own what a snapshot consists of (`snapshot`), or loading (`snapshots`).

Source: interface specification, "IC method read_canister_snapshot_metadata" and those that follow it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from canister_factory.candid.values import Case
from canister_factory.replica.runtime.engine import MAX_WASM_BYTES
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.runtime.instance import MAX_MEMORY64_BYTES
from canister_factory.replica.runtime.instrument import GlobalKind
from canister_factory.replica.runtime.stable_memory import MAX_WASM_PAGES, WASM_PAGE_BYTES, StableMemory
from canister_factory.replica.subnet.access import managed
from canister_factory.replica.subnet.canister import MAX_CHUNK_BYTES, CanisterState
from canister_factory.replica.subnet.canister_history import snapshot_source
from canister_factory.replica.subnet.charges import Charges
from canister_factory.replica.subnet.chunk_store import MAX_CHUNKS
from canister_factory.replica.subnet.cycles import SNAPSHOT_DATA_INSTRUCTIONS
from canister_factory.replica.subnet.management_interface import Argument, Result
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.snapshot import GlobalValue, LowMemoryHook, Snapshot
from canister_factory.replica.subnet.snapshots import (
    add_snapshot,
    find_snapshot,
    next_snapshot_id,
    require_room,
)
from canister_factory.replica.subnet.state import SubnetState

MAX_SLICE_BYTES: Final = 2_000_000
MAX_GLOBALS: Final = 1_000
MAX_CERTIFIED_DATA_BYTES: Final = 32
_FLOATS: Final = {
    GlobalKind.F32: (struct.Struct("<f"), struct.Struct("<I")),
    GlobalKind.F64: (struct.Struct("<d"), struct.Struct("<Q")),
}


class SnapshotTransfer:
    """The methods, by name in `methods`."""

    def __init__(self, state: SubnetState, charges: Charges) -> None:
        self._state = state
        self._charges = charges
        self.methods: dict[str, Callable[[Request, Argument], Result]] = {
            "read_canister_snapshot_metadata": self._read_metadata,
            "read_canister_snapshot_data": self._read_data,
            "upload_canister_snapshot_metadata": self._upload_metadata,
            "upload_canister_snapshot_data": self._upload_data,
        }

    # --- downloading -------------------------------------------------------------------------------------------------

    def _read_metadata(self, request: Request, argument: Argument) -> Result:
        _, snapshot = self._visible(request, argument)
        timer, hook = snapshot.global_timer_ns, snapshot.low_memory_hook
        return (
            {
                "source": snapshot_source(uploaded=snapshot.uploaded),
                "taken_at_timestamp": snapshot.taken_at_ns,
                "canister_version": snapshot.canister_version,
                "wasm_module_size": len(snapshot.wasm),
                "wasm_memory_size": snapshot.main.size_bytes,
                "stable_memory_size": snapshot.stable.size_bytes,
                "wasm_chunk_store": [{"hash": digest} for digest in snapshot.chunks],
                "globals": [_to_candid(value) for value in snapshot.globals],
                "certified_data": snapshot.certified_data,
                "global_timer": None if timer is None else Case("active", timer) if timer else Case("inactive"),
                "on_low_wasm_memory_hook_status": None if hook is None else Case(hook.value),
            },
        )

    def _read_data(self, request: Request, argument: Argument) -> Result:
        canister, snapshot = self._visible(request, argument)
        kind: Case = argument["kind"]
        if kind.tag == "wasm_chunk":
            chunk = snapshot.chunks.get(kind.value["hash"])
            if chunk is None:
                raise _invalid(f"the snapshot has no chunk with hash {kind.value['hash'].hex()}")
            self._charges.take_for_work(canister, SNAPSHOT_DATA_INSTRUCTIONS + len(chunk))
            return ({"chunk": chunk},)
        offset, size = kind.value["offset"], kind.value["size"]
        if size > MAX_SLICE_BYTES:
            raise _invalid(f"Requested slice too large: {size} > {MAX_SLICE_BYTES}")
        _require_within(str(kind.tag), snapshot, offset, size)
        self._charges.take_for_work(canister, SNAPSHOT_DATA_INSTRUCTIONS + size)
        if kind.tag == "wasm_module":
            return ({"chunk": snapshot.wasm[offset : offset + size]},)
        return ({"chunk": _memory(str(kind.tag), snapshot).read(offset, size)},)

    # --- uploading ---------------------------------------------------------------------------------------------------

    def _upload_metadata(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        replaced: bytes | None = argument["replace_snapshot"]
        require_room(canister, replaced)
        _check_sizes(argument)
        grown = argument["wasm_module_size"] + argument["wasm_memory_size"] + argument["stable_memory_size"]
        grown -= canister.snapshots[replaced].size_bytes if replaced is not None else 0
        self._charges.take_for_work(canister, SNAPSHOT_DATA_INSTRUCTIONS, grown)
        timer, hook = argument["global_timer"], argument["on_low_wasm_memory_hook_status"]
        snapshot = Snapshot(
            id=next_snapshot_id(canister),
            taken_at_ns=self._state.time_ns,
            canister_version=canister.version,
            uploaded=True,
            globals=tuple(_from_candid(value) for value in argument["globals"]),
            certified_data=argument["certified_data"],
            global_timer_ns=None if timer is None else timer.value if timer.tag == "active" else 0,
            low_memory_hook=None if hook is None else LowMemoryHook(hook.tag),
            wasm=bytes(argument["wasm_module_size"]),
            main=_zeroes(argument["wasm_memory_size"]),
            stable=_zeroes(argument["stable_memory_size"]),
        )
        add_snapshot(canister, snapshot, replaced)
        return ({"snapshot_id": snapshot.id},)

    def _upload_data(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        snapshot = find_snapshot(canister, argument["snapshot_id"])
        if not snapshot.uploaded:
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                "Only canister snapshots created by metadata upload can be mutated.",
                "IC0409",
            )
        chunk: bytes = argument["chunk"]
        kind: Case = argument["kind"]
        if kind.tag == "wasm_chunk":
            changed = _with_chunk(snapshot, chunk)
        else:
            _require_within(str(kind.tag), snapshot, kind.value["offset"], len(chunk))
            changed = _written(str(kind.tag), snapshot, kind.value["offset"], chunk)
        grown = changed.size_bytes - snapshot.size_bytes
        self._charges.take_for_work(canister, SNAPSHOT_DATA_INSTRUCTIONS + len(chunk), grown)
        canister.snapshots = {**canister.snapshots, snapshot.id: changed}
        return ()

    # --- access ------------------------------------------------------------------------------------------------------

    def _visible(self, request: Request, argument: Argument) -> tuple[CanisterState, Snapshot]:
        canister = managed(self._state, request, argument)
        return canister, find_snapshot(canister, argument["snapshot_id"])


# --- pieces ----------------------------------------------------------------------------------------------------------


def _memory(kind: str, snapshot: Snapshot) -> StableMemory:
    return snapshot.main if kind == "wasm_memory" else snapshot.stable


def _require_within(kind: str, snapshot: Snapshot, offset: int, size: int) -> None:
    length = len(snapshot.wasm) if kind == "wasm_module" else _memory(kind, snapshot).size_bytes
    if offset + size > length:
        raise _invalid(
            f"Invalid subslice into wasm module / main memory / stable memory: offset: {offset}, size: {size}; "
            f"the {kind} has {length} bytes"
        )


def _with_chunk(snapshot: Snapshot, chunk: bytes) -> Snapshot:
    if len(chunk) > MAX_CHUNK_BYTES:
        raise _invalid(f"the chunk has {len(chunk)} bytes, at most {MAX_CHUNK_BYTES} are allowed")
    chunks = {**snapshot.chunks, hashlib.sha256(chunk).digest(): chunk}
    if len(chunks) > MAX_CHUNKS:
        raise _invalid(f"the snapshot's chunk store is full with {MAX_CHUNKS} chunks")
    return replace(snapshot, chunks=chunks)


def _written(kind: str, snapshot: Snapshot, offset: int, chunk: bytes) -> Snapshot:
    """The snapshot with a piece in its place; memories share all blocks but those that the piece touches."""
    if kind == "wasm_module":
        return replace(snapshot, wasm=snapshot.wasm[:offset] + chunk + snapshot.wasm[offset + len(chunk) :])
    memory = _memory(kind, snapshot).fork()
    memory.write(offset, chunk)
    return replace(snapshot, main=memory) if kind == "wasm_memory" else replace(snapshot, stable=memory)


def _zeroes(size: int) -> StableMemory:
    memory = StableMemory()
    memory.grow(size // WASM_PAGE_BYTES)
    return memory


def _check_sizes(argument: Argument) -> None:
    bounds = {
        "wasm_module_size": MAX_WASM_BYTES,
        "wasm_memory_size": MAX_MEMORY64_BYTES,
        "stable_memory_size": MAX_WASM_PAGES * WASM_PAGE_BYTES,
    }
    for name, bound in bounds.items():
        if argument[name] > bound:
            raise _unusable(f"{name} is {argument[name]}, the largest possible value is {bound}")
    for name in ("wasm_memory_size", "stable_memory_size"):
        if argument[name] % WASM_PAGE_BYTES:
            raise _unusable(f"{name} is {argument[name]}, which isn't whole pages of {WASM_PAGE_BYTES} bytes")
    if len(argument["globals"]) > MAX_GLOBALS:
        raise _unusable(f"{len(argument['globals'])} globals given, at most {MAX_GLOBALS} are allowed")
    if len(argument["certified_data"]) > MAX_CERTIFIED_DATA_BYTES:
        raise _unusable(f"certified_data has {len(argument['certified_data'])} bytes, at most 32 are allowed")


def _to_candid(value: GlobalValue) -> Case:
    kind, bits = value.kind, value.bits
    if kind in _FLOATS:
        number, raw = _FLOATS[kind]
        return Case(kind.name.lower(), number.unpack(raw.pack(bits))[0])
    if kind is not GlobalKind.V128 and bits >> (kind.bit_width - 1):
        bits -= 1 << kind.bit_width
    return Case(kind.name.lower(), bits)


def _from_candid(case: Case) -> GlobalValue:
    kind = GlobalKind[str(case.tag).upper()]
    if kind in _FLOATS:
        number, raw = _FLOATS[kind]
        return GlobalValue(kind, raw.unpack(number.pack(case.value))[0])
    if kind is GlobalKind.V128 and case.value >> 128:
        raise _unusable(f"a global of type v128 has the value {case.value}")
    return GlobalValue(kind, case.value & ((1 << kind.bit_width) - 1))


def _invalid(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_REJECT, f"{problem}.", "IC0408")


def _unusable(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_ERROR, f"Could not validate the snapshot's metadata: {problem}.", "IC0504")
