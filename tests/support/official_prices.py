"""The official replica's prices and formulas, written down anew from its source: what the tests of prices expect.

Names and figures: dfinity/ic, rs/config/src/subnet_config.rs (`CyclesAccountManagerConfig::application_subnet`,
`SchedulerConfig::application_subnet`), rs/types/types/src/messages/inter_canister.rs (the largest payload);
formulas: rs/cycles_account_manager/src/cycles_account_manager.rs. The developer documentation's page "Cycle costs"
(docs/references/cycle-costs.md in dfinity/developer-docs, August 2026) differs in the three figures of `Documented`.
"""

from __future__ import annotations

GIB = 1 << 30
DAY = 86_400

CANISTER_CREATION_FEE = 500_000_000_000
COMPUTE_PERCENT_ALLOCATED_PER_SECOND_FEE = 10_000_000
UPDATE_MESSAGE_EXECUTION_FEE = 5_000_000
TEN_UPDATE_INSTRUCTIONS_EXECUTION_FEE = 10
XNET_CALL_FEE = 260_000
XNET_BYTE_TRANSMISSION_FEE = 1_000
INGRESS_MESSAGE_RECEPTION_FEE = 1_200_000
INGRESS_BYTE_RECEPTION_FEE = 2_000
HTTP_REQUEST_LINEAR_BASELINE_FEE = 3_000_000
HTTP_REQUEST_QUADRATIC_BASELINE_FEE = 60_000
HTTP_REQUEST_PER_BYTE_FEE = 400
HTTP_RESPONSE_PER_BYTE_FEE = 800
DEFAULT_UPLOAD_CHUNK_INSTRUCTIONS = 200_000_000
MAX_INSTRUCTIONS_PER_MESSAGE = 40_000_000_000
MAX_INSTRUCTIONS_PER_INSTALL_CODE = 300_000_000_000
MAX_INTER_CANISTER_PAYLOAD_IN_BYTES = 2 * 1024 * 1024


class Configured:
    """The configuration."""

    NAME = "configured"
    GIB_STORAGE_PER_SECOND_FEE = 317_500
    BASE_PER_SECOND_FEE = 10_000
    WASM64_INSTRUCTION_COST_OVERHEAD = 2

    @classmethod
    def execution_cost(cls, instructions: int, wasm64: bool = False) -> int:
        ten = TEN_UPDATE_INSTRUCTIONS_EXECUTION_FEE * (cls.WASM64_INSTRUCTION_COST_OVERHEAD if wasm64 else 1)
        return UPDATE_MESSAGE_EXECUTION_FEE + ten * instructions // 10

    @classmethod
    def idle_cycles_burned_rate(cls, memory_bytes: int, compute_percent: int = 0) -> int:
        memory = memory_bytes * cls.GIB_STORAGE_PER_SECOND_FEE * DAY // GIB
        base = cls.BASE_PER_SECOND_FEE * DAY if memory_bytes > 0 else 0
        return memory + base + COMPUTE_PERCENT_ALLOCATED_PER_SECOND_FEE * DAY * compute_percent

    @classmethod
    def xnet_call_total_fee(cls, payload_bytes: int, wasm64: bool = False) -> int:
        transmission = XNET_CALL_FEE + XNET_BYTE_TRANSMISSION_FEE * payload_bytes
        response = XNET_BYTE_TRANSMISSION_FEE * MAX_INTER_CANISTER_PAYLOAD_IN_BYTES
        return transmission + response + cls.execution_cost(MAX_INSTRUCTIONS_PER_MESSAGE, wasm64)


class Documented(Configured):
    """The documentation."""

    NAME = "documented"
    GIB_STORAGE_PER_SECOND_FEE = 127_000
    BASE_PER_SECOND_FEE = 0
    WASM64_INSTRUCTION_COST_OVERHEAD = 1


Table = type[Configured]


def ingress_induction_cost(size_bytes: int) -> int:
    return INGRESS_MESSAGE_RECEPTION_FEE + INGRESS_BYTE_RECEPTION_FEE * size_bytes


def http_request_fee(request_bytes: int, response_bytes: int, nodes: int) -> int:
    linear = HTTP_REQUEST_LINEAR_BASELINE_FEE + HTTP_REQUEST_QUADRATIC_BASELINE_FEE * nodes
    return (linear + HTTP_REQUEST_PER_BYTE_FEE * request_bytes + HTTP_RESPONSE_PER_BYTE_FEE * response_bytes) * nodes
