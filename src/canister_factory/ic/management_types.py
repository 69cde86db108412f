"""What the management canister's methods take and return, as models bound to Candid.

Source: interface specification, "The IC management canister". Fields that older networks leave out are optional. Does
not own calling it (`management`).
"""

from __future__ import annotations

from canister_factory.candid.binding import Blob, CandidEnum, CandidModel, CandidVariant, Nat, Nat64, TimeNs, Unit
from canister_factory.candid.principal import Principal


class Audience(CandidVariant):
    """Who may see something of a canister."""

    controllers: Unit = None
    public: Unit = None
    allowed_viewers: list[Principal] | None = None


class EnvironmentVariable(CandidModel):
    """A variable that a canister can read."""

    name: str
    value: str


class _LaterSettings(CandidModel):
    """Settings that were added one by one: an earlier network may leave them out."""

    reserved_cycles_limit: Nat | None = None
    minimum_incoming_canister_call_cycles: Nat | None = None
    wasm_memory_limit: Nat | None = None
    wasm_memory_threshold: Nat | None = None
    log_memory_limit: Nat | None = None
    log_visibility: Audience | None = None
    status_visibility: Audience | None = None
    snapshot_visibility: Audience | None = None
    environment_variables: list[EnvironmentVariable] | None = None


class CanisterSettings(_LaterSettings):
    """Settings to change; `None` leaves one as it is. Sizes in bytes, `freezing_threshold` in seconds."""

    controllers: list[Principal] | None = None
    compute_allocation: Nat | None = None
    memory_allocation: Nat | None = None
    freezing_threshold: Nat | None = None


class EffectiveSettings(_LaterSettings):
    """Settings in force."""

    controllers: list[Principal]
    compute_allocation: Nat
    memory_allocation: Nat
    freezing_threshold: Nat


class RunState(CandidEnum):
    """Whether a canister processes calls."""

    running = "running"
    stopping = "stopping"
    stopped = "stopped"


class QueryStats(CandidModel):
    """Totals over the queries of a canister."""

    num_calls_total: Nat
    num_instructions_total: Nat
    request_payload_bytes_total: Nat
    response_payload_bytes_total: Nat


class MemoryMetrics(CandidModel):
    """What a canister's memory is used for, in bytes."""

    wasm_memory_size: Nat
    stable_memory_size: Nat
    global_memory_size: Nat
    wasm_binary_size: Nat
    custom_sections_size: Nat
    canister_history_size: Nat
    wasm_chunk_store_size: Nat
    snapshots_size: Nat
    log_memory_store_size: Nat | None = None


class CanisterStatus(CandidModel):
    """A canister as its controllers may see it; `memory_size` in bytes, the rest in cycles."""

    status: RunState
    settings: EffectiveSettings
    module_hash: Blob | None = None
    version: Nat64 | None = None
    ready_for_migration: bool | None = None
    memory_size: Nat
    memory_metrics: MemoryMetrics | None = None
    cycles: Nat
    idle_cycles_burned_per_day: Nat
    reserved_cycles: Nat | None = None
    query_stats: QueryStats | None = None


class CyclesConsumed(CandidModel):
    """Cycles that a canister consumed since its creation, by what they were for."""

    canister_creation: Nat
    memory: Nat
    compute_allocation: Nat
    instructions: Nat
    ingress_induction: Nat
    request_and_response_transmission: Nat
    http_outcalls: Nat
    burned_cycles: Nat
    uninstall: Nat


class CanisterMetrics(CandidModel):
    """What `canister_metrics` returns."""

    cycles_consumed: CyclesConsumed


class CanisterIdRange(CandidModel):
    """Consecutive canister ids, both ends included."""

    start: Principal
    end: Principal


class CanisterIdRanges(CandidModel):
    """What `list_canisters` returns."""

    canisters: list[CanisterIdRange]


class MemoryPersistence(CandidVariant):
    """What an upgrade does with the Wasm memory: Motoko's enhanced orthogonal persistence needs `keep`."""

    keep: Unit = None
    replace: Unit = None


class UpgradeOptions(CandidModel):
    """How to upgrade."""

    skip_pre_upgrade: bool | None = None
    wasm_memory_persistence: MemoryPersistence | None = None


class InstallMode(CandidVariant):
    """How code gets into a canister: into an empty one, discarding what is there, or keeping its stable state."""

    install: Unit = None
    reinstall: Unit = None
    upgrade: UpgradeOptions | None = None


class LogRecord(CandidModel):
    """One line that a canister printed."""

    idx: Nat64
    timestamp_nanos: TimeNs
    content: Blob


class ChunkHash(CandidModel):
    """A stored chunk of a Wasm module, by its SHA-256."""

    hash: Blob


class Target(CandidModel):
    """The argument of methods that are only about a canister, and what creating one returns."""

    canister_id: Principal


class ProvisionalCreate(CandidModel):
    """The argument of `provisional_create_canister_with_cycles`."""

    amount: Nat | None = None
    settings: CanisterSettings | None = None
    specified_id: Principal | None = None


class ProvisionalTopUp(CandidModel):
    """The argument of `provisional_top_up_canister`."""

    canister_id: Principal
    amount: Nat


class UpdateSettings(CandidModel):
    """The argument of `update_settings`."""

    canister_id: Principal
    settings: CanisterSettings


class InstallCode(CandidModel):
    """The argument of `install_code`."""

    mode: InstallMode
    canister_id: Principal
    wasm_module: Blob
    arg: Blob


class UploadChunk(CandidModel):
    """The argument of `upload_chunk`."""

    canister_id: Principal
    chunk: Blob


class InstallChunkedCode(CandidModel):
    """The argument of `install_chunked_code`."""

    mode: InstallMode
    target_canister: Principal
    store_canister: Principal | None = None
    chunk_hashes_list: list[ChunkHash]
    wasm_module_hash: Blob
    arg: Blob


class CanisterLogs(CandidModel):
    """What `fetch_canister_logs` returns."""

    canister_log_records: list[LogRecord]
