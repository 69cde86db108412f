"""A snapshot of a canister: what it consists of, and how large it is.

Owns the data, with the status of a hook that a canister has too. Does not own taking and loading (`snapshots`), or
downloads and uploads (`snapshot_transfer`). A snapshot never changes: whoever uploads to one puts another in its place,
which shares the memories' unchanged blocks.

Source: interface specification, "IC method take_canister_snapshot" and "Abstract behavior".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from canister_factory.replica.runtime.instrument import GlobalKind
from canister_factory.replica.runtime.stable_memory import StableMemory

MAX_SNAPSHOTS = 10
CHUNK_BYTES = 1 << 20
GLOBAL_BYTES = 8


class LowMemoryHook(Enum):
    """Whether `canister_on_low_wasm_memory` is to run; the values are the names in the interface."""

    CONDITION_NOT_SATISFIED = "condition_not_satisfied"
    READY = "ready"
    EXECUTED = "executed"


@dataclass(frozen=True, slots=True)
class GlobalValue:
    """A global of a module and the raw bits of its value."""

    kind: GlobalKind
    bits: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot. Sizes are bytes, times nanoseconds since 1970.

    Attributes:
        id: the snapshot's number on its canister (8 bytes), and the canister's id.
        uploaded: it came by `upload_canister_snapshot_metadata`, not of the canister's own state.
        globals: those that are exported or mutable, in the order of `InstrumentedModule.visible_globals`.
        global_timer_ns: 0: inactive; None: not stated, loading leaves the canister's own.
        low_memory_hook: None: not stated, loading leaves the canister's own.
        wasm, main, stable: the module, the Wasm memory and the stable memory. A checkpoint stores them apart.
        size_bytes: what it adds to its canister's memory usage; a chunk counts as 1 MiB, as in the chunk store.
    """

    id: bytes
    taken_at_ns: int
    canister_version: int
    uploaded: bool
    globals: tuple[GlobalValue, ...]
    certified_data: bytes
    global_timer_ns: int | None
    low_memory_hook: LowMemoryHook | None
    chunks: dict[bytes, bytes] = field(default_factory=dict)  # SHA-256 -> chunk
    wasm: bytes = field(default=b"", repr=False, metadata={"runtime": True})
    main: StableMemory = field(default_factory=StableMemory, metadata={"runtime": True})
    stable: StableMemory = field(default_factory=StableMemory, metadata={"runtime": True})
    size_bytes: int = field(init=False, default=0, metadata={"runtime": True})

    def __post_init__(self) -> None:
        """Sums it up once: it is asked for whenever a canister pays."""
        size = len(self.wasm) + self.main.size_bytes + self.stable.size_bytes + len(self.certified_data)
        size += CHUNK_BYTES * len(self.chunks) + GLOBAL_BYTES * len(self.globals)
        object.__setattr__(self, "size_bytes", size)
