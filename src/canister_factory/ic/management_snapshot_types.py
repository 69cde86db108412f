"""What the management canister's methods about snapshots take and return, as models bound to Candid.

Source: interface specification, "The IC management canister". Does not own calling it (`management_snapshots`).
"""

from __future__ import annotations

from canister_factory.candid.binding import (
    Blob,
    CandidEnum,
    CandidModel,
    CandidVariant,
    Float32,
    Float64,
    Int32,
    Int64,
    Nat,
    Nat64,
    Reserved,
    TimeNs,
    Unit,
)
from canister_factory.candid.principal import Principal
from canister_factory.ic.management_types import ChunkHash


class CanisterSnapshot(CandidModel):
    """A snapshot of a canister, as it is listed; `total_size` in bytes."""

    id: Blob
    taken_at_timestamp: TimeNs
    total_size: Nat64


class SnapshotSource(CandidVariant):
    """Where a snapshot came from: the canister's own state, or an upload."""

    taken_from_canister: Reserved = None
    metadata_upload: Reserved = None


class GlobalValue(CandidVariant):
    """The value of a global variable of a Wasm module."""

    i32: Int32 | None = None
    i64: Int64 | None = None
    f32: Float32 | None = None
    f64: Float64 | None = None
    v128: Nat | None = None


class GlobalTimer(CandidVariant):
    """A canister's global timer: off, or due at a time."""

    inactive: Unit = None
    active: TimeNs | None = None


class LowWasmMemoryHook(CandidEnum):
    """How far the hook "on low Wasm memory" of a canister is."""

    condition_not_satisfied = "condition_not_satisfied"
    ready = "ready"
    executed = "executed"


class SnapshotMetadata(CandidModel):
    """What a snapshot is made of; sizes in bytes."""

    source: SnapshotSource
    taken_at_timestamp: TimeNs
    canister_version: Nat64
    wasm_module_size: Nat64
    wasm_memory_size: Nat64
    stable_memory_size: Nat64
    wasm_chunk_store: list[ChunkHash]
    globals: list[GlobalValue]
    certified_data: Blob
    global_timer: GlobalTimer | None = None
    on_low_wasm_memory_hook_status: LowWasmMemoryHook | None = None


class Slice(CandidModel):
    """A part of a module or memory, in bytes."""

    offset: Nat64
    size: Nat64


class Place(CandidModel):
    """Where a piece goes, in bytes."""

    offset: Nat64


class SnapshotPiece(CandidVariant):
    """A piece of a snapshot to read: a slice of at most 2,000,000 bytes, or a chunk of its chunk store."""

    wasm_module: Slice | None = None
    wasm_memory: Slice | None = None
    stable_memory: Slice | None = None
    wasm_chunk: ChunkHash | None = None


class SnapshotPlace(CandidVariant):
    """The place in a snapshot that a piece is written to."""

    wasm_module: Place | None = None
    wasm_memory: Place | None = None
    stable_memory: Place | None = None
    wasm_chunk: Unit = None


class TakeSnapshot(CandidModel):
    """The argument of `take_canister_snapshot`."""

    canister_id: Principal
    replace_snapshot: Blob | None = None
    uninstall_code: bool | None = None


class NamedSnapshot(CandidModel):
    """The argument of methods about one snapshot."""

    canister_id: Principal
    snapshot_id: Blob


class ReadSnapshotData(CandidModel):
    """The argument of `read_canister_snapshot_data`."""

    canister_id: Principal
    snapshot_id: Blob
    kind: SnapshotPiece


class SnapshotData(CandidModel):
    """What `read_canister_snapshot_data` returns."""

    chunk: Blob


class UploadSnapshotMetadata(CandidModel):
    """The argument of `upload_canister_snapshot_metadata`; what isn't stated is left as it is when it is loaded."""

    canister_id: Principal
    replace_snapshot: Blob | None = None
    wasm_module_size: Nat64
    wasm_memory_size: Nat64
    stable_memory_size: Nat64
    globals: list[GlobalValue]
    certified_data: Blob = b""
    global_timer: GlobalTimer | None = None
    on_low_wasm_memory_hook_status: LowWasmMemoryHook | None = None


class UploadedSnapshot(CandidModel):
    """What `upload_canister_snapshot_metadata` returns."""

    snapshot_id: Blob


class UploadSnapshotData(CandidModel):
    """The argument of `upload_canister_snapshot_data`."""

    canister_id: Principal
    snapshot_id: Blob
    kind: SnapshotPlace
    chunk: Blob
