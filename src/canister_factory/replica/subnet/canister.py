"""One canister as the subnet sees it: settings, status, code, memories, balance, history.

Owns the data and what can be computed from it alone. Who may change it is decided in `management`, what runs on it in
`calls`. Principals are raw bytes; times are nanoseconds; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from canister_factory.candid.principal import Principal
from canister_factory.replica.runtime.engine import Module
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.subnet.canister_history import Change
from canister_factory.replica.subnet.cycles import DAY_S, Prices
from canister_factory.replica.subnet.messages import CallContext, PendingCall, Request, StopWaiter
from canister_factory.replica.subnet.snapshot import CHUNK_BYTES, GLOBAL_BYTES, LowMemoryHook, Snapshot

MANAGEMENT_CANISTER = b""

MAX_CONTROLLERS = 10
MAX_CHUNK_BYTES = 1 << 20
MAX_HISTORY = 20
DEFAULT_FREEZING_THRESHOLD_S = 30 * DAY_S
DEFAULT_RESERVED_CYCLES_LIMIT = 5_000_000_000_000
DEFAULT_WASM_MEMORY_LIMIT = 3 << 30
DEFAULT_LOG_MEMORY_LIMIT = 4096
_OF_CODE = (
    *("wasm_memory_size", "stable_memory_size", "global_memory_size", "wasm_binary_size", "custom_sections_size"),
    "wasm_chunk_store_size",
)
_HISTORY_ENTRY_BYTES = 64
EOP_SECTION = "enhanced-orthogonal-persistence"


def text_of(principal: bytes) -> str:
    """The textual form of a principal, for messages."""
    return str(Principal(principal))


class Status(Enum):
    """Interface specification, "Canister status"; the values are what `ic0.canister_status` returns."""

    RUNNING = 1
    STOPPING = 2
    STOPPED = 3


class Audience(Enum):
    """Who may see logs, snapshots or the status of a canister."""

    CONTROLLERS = "controllers"
    PUBLIC = "public"
    ALLOWED_VIEWERS = "allowed_viewers"


@dataclass(frozen=True, slots=True)
class Visibility:
    audience: Audience = Audience.CONTROLLERS
    viewers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Interface specification, "IC method create_canister". Percent, bytes; the freezing threshold in seconds."""

    controllers: tuple[bytes, ...] = ()
    compute_allocation: int = 0
    memory_allocation: int = 0
    freezing_threshold: int = DEFAULT_FREEZING_THRESHOLD_S
    reserved_cycles_limit: int = DEFAULT_RESERVED_CYCLES_LIMIT
    log_visibility: Visibility = Visibility()
    status_visibility: Visibility = Visibility()
    snapshot_visibility: Visibility = Visibility()
    log_memory_limit: int = DEFAULT_LOG_MEMORY_LIMIT
    minimum_incoming_canister_call_cycles: int = 0
    wasm_memory_limit: int = DEFAULT_WASM_MEMORY_LIMIT
    wasm_memory_threshold: int = 0
    environment_variables: tuple[EnvironmentVariable, ...] = ()

    @property
    def has_allocations(self) -> bool:
        """Whether it pays for what it may not even use."""
        return bool(self.compute_allocation or self.memory_allocation)


@dataclass(frozen=True, slots=True)
class LogRecord:
    index: int
    timestamp_ns: int
    content: str


@dataclass(slots=True)
class CanisterState:
    """Everything the subnet knows about one canister.

    `module`, `instance` and `stable` belong to the runtime; a checkpoint stores them apart from the other fields.
    Values of fields are replaced, not changed in place, but `contexts` and `pending_calls` (`transaction`).
    """

    id: bytes
    settings: Settings
    balance: int = 0
    status: Status = Status.RUNNING
    version: int = 0
    created_ns: int = 0
    installed_ns: int | None = None  # when code was installed, or a snapshot loaded, last; None: there is no code
    certified_data: bytes = b""
    global_timer_ns: int = 0
    last_heartbeat_ns: int = 0
    low_memory_hook: LowMemoryHook = LowMemoryHook.CONDITION_NOT_SATISFIED
    chunks: dict[bytes, bytes] = field(default_factory=dict)  # SHA-256 -> chunk
    history: list[Change] = field(default_factory=list)
    history_length: int = 0
    logs: list[LogRecord] = field(default_factory=list)
    log_count: int = 0
    contexts: dict[int, CallContext] = field(default_factory=dict)
    pending_calls: dict[int, PendingCall] = field(default_factory=dict)
    stop_waiters: list[StopWaiter] = field(default_factory=list)
    snapshots: dict[bytes, Snapshot] = field(default_factory=dict)  # by their ids, in the order of taking
    snapshots_taken: int = 0
    consumed: dict[str, int] = field(default_factory=dict)  # cycles, by `state.CyclesUse`
    module: Module | None = field(default=None, metadata={"runtime": True})
    instance: Instance | None = field(default=None, metadata={"runtime": True})
    stable: StableMemory = field(default_factory=StableMemory, metadata={"runtime": True})

    def __repr__(self) -> str:
        code = self.module.hash.hex()[:12] if self.module else "no code"
        return f"<CanisterState {text_of(self.id)} {self.status.name.lower()} {code} balance={self.balance}>"

    def is_controller(self, principal: bytes) -> bool:
        return principal in self.settings.controllers

    def may_see(self, visibility: Visibility, principal: bytes) -> bool:
        if visibility.audience is Audience.PUBLIC or self.is_controller(principal):
            return True
        return visibility.audience is Audience.ALLOWED_VIEWERS and principal in visibility.viewers

    @property
    def running_module(self) -> tuple[Module, Instance]:
        """The installed code.

        Raises:
            CanisterError: IC0537, when the canister is empty.
        """
        if self.module is None or self.instance is None:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Error from Canister {text_of(self.id)}: Attempted to execute a message, but the canister contains no "
                "Wasm module. Install code first.",
                "IC0537",
            )
        return self.module, self.instance

    def require_running(self) -> None:
        """Refuses when the canister takes no messages.

        Raises:
            CanisterError: IC0508, it is stopped; IC0509, it is stopping.
        """
        if self.status is Status.STOPPED:
            raise CanisterError(RejectCode.CANISTER_ERROR, f"Canister {text_of(self.id)} is stopped", "IC0508")
        if self.status is Status.STOPPING:
            raise CanisterError(RejectCode.CANISTER_ERROR, f"Canister {text_of(self.id)} is stopping", "IC0509")

    def require_attached_cycles(self, request: Request) -> None:
        """Refuses another canister's call with less than `minimum_incoming_canister_call_cycles`.

        Raises:
            CanisterError: IC0406, it has less.
        """
        least = self.settings.minimum_incoming_canister_call_cycles
        if request.from_canister and request.caller != self.id and request.cycles < least:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Canister {text_of(self.id)} requires at least {least} cycles attached to a call, "
                f"but {request.cycles} were.",
                "IC0406",
            )

    # --- sizes and costs ---------------------------------------------------------------------------------------------

    def memory_metrics(self) -> dict[str, int]:
        """Sizes in bytes, by the names of `canister_status`' `memory_metrics`."""
        module = self.module
        return {
            "wasm_memory_size": self.instance.memory_bytes if self.instance else 0,
            "stable_memory_size": self.stable.size_bytes,
            "global_memory_size": GLOBAL_BYTES * module.instrumented.global_count if module else 0,
            "wasm_binary_size": len(module.wasm) if module else 0,
            "custom_sections_size": module.custom_sections_bytes if module else 0,
            "canister_history_size": _HISTORY_ENTRY_BYTES * len(self.history),
            "wasm_chunk_store_size": CHUNK_BYTES * len(self.chunks),  # each is charged as a whole one
            "snapshots_size": sum(snapshot.size_bytes for snapshot in self.snapshots.values()),
            "log_memory_store_size": sum(len(record.content.encode()) for record in self.logs),
        }

    @property
    def memory_bytes(self) -> int:
        """The sum of `memory_metrics`, without making these: each message asks for it, and upkeep for all canisters."""
        size = self.stable.size_bytes + _HISTORY_ENTRY_BYTES * len(self.history)
        if self.module is not None and self.instance is not None:
            size += self.instance.memory_bytes + len(self.module.wasm) + self.module.custom_sections_bytes
            size += GLOBAL_BYTES * self.module.instrumented.global_count
        if self.snapshots:
            size += sum(snapshot.size_bytes for snapshot in self.snapshots.values())
        size += CHUNK_BYTES * len(self.chunks)
        if self.logs:
            size += sum(len(record.content.encode()) for record in self.logs)
        return size

    @property
    def code_bytes(self) -> int:
        """The part of its memory that goes with its code when that is uninstalled or replaced by a snapshot."""
        metrics = self.memory_metrics()
        return sum(metrics[name] for name in _OF_CODE)

    @property
    def wasm64(self) -> bool:
        """Whether its code has 64-bit memory, whose instructions may be dearer."""
        return self.module is not None and self.module.memory64

    def idle_cycles_per_day(self, prices: Prices, added_bytes: int = 0) -> int:
        """What keeping this canister burns a day: its memory or the allocation, and its compute allocation.

        `added_bytes`: as if it used so much more memory.
        """
        size = max(self.memory_bytes + added_bytes, self.settings.memory_allocation)
        return prices.of_idling(size, self.settings.compute_allocation)

    def freezing_threshold_cycles(self, prices: Prices, added_bytes: int = 0) -> int:
        """The balance under which the canister is frozen: what it burns idle in `freezing_threshold` seconds."""
        return self.idle_cycles_per_day(prices, added_bytes) * self.settings.freezing_threshold // DAY_S

    def require_cycles(self, prices: Prices, needed: int, threshold: int | None = None) -> None:
        """Refuses unless `needed` cycles can be spent without freezing the canister.

        Args:
            prices: of the subnet.
            needed: cycles.
            threshold: the freezing threshold in cycles, where the caller knows it.

        Raises:
            CanisterError: IC0207, the balance is too low.
        """
        if threshold is None:
            threshold = self.freezing_threshold_cycles(prices)
        missing = threshold + needed - self.balance
        if missing > 0:
            raise CanisterError(
                RejectCode.SYS_TRANSIENT,
                f"Canister {text_of(self.id)} is out of cycles: please top up the canister with at least {missing} "
                "additional cycles",
                "IC0207",
            )

    # --- records -----------------------------------------------------------------------------------------------------

    def record(self, change: Change) -> None:
        """Adds to the history, of which the newest 20 changes are kept."""
        self.history = [*self.history, change][-MAX_HISTORY:]
        self.history_length += 1

    def append_logs(self, lines: Iterable[str], now_ns: int, *, dropped: int = 0) -> None:
        """Adds log lines, after `dropped` ones; the oldest go once the contents exceed `log_memory_limit` bytes."""
        self.log_count += dropped
        added = [LogRecord(index, now_ns, line) for index, line in enumerate(lines, self.log_count)]
        if not added:
            return
        self.log_count += len(added)
        self.logs = [*self.logs, *added]
        self.trim_logs()

    def trim_logs(self) -> None:
        """Drops the oldest log lines where all have more than `log_memory_limit` bytes, or, being empty, are more."""
        limit = self.settings.log_memory_limit
        newest = self.logs[-max(1, limit) :]
        size = sum(len(record.content.encode()) for record in newest)
        first = 0
        while first < len(newest) and size > limit:
            size -= len(newest[first].content.encode())
            first += 1
        self.logs = newest[first:]
