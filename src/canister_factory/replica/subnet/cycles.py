"""What things cost, in cycles.

Owns the prices and the arithmetic on them. Moving cycles between balances is the business of `calls`, which keeps the
books exact: every cycle is in a balance, in flight, or counted as consumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GIB = 1 << 30
REFERENCE_NODES = 13

# What work of the management canister counts as, in instructions, besides one for each byte (the official replica's
# scheduler configuration): taking or loading a snapshot, and reading or writing a piece of one.
SNAPSHOT_INSTRUCTIONS = 2_000_000_000
SNAPSHOT_DATA_INSTRUCTIONS = 5_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of an application subnet of 13 nodes, in cycles ("Cycles costs" of the developer documentation)."""

    canister_creation: int = 500_000_000_000
    execution: int = 5_000_000  # every replicated execution, before its instructions
    instruction: int = 1
    ingress_message: int = 1_200_000
    ingress_byte: int = 2_000
    call: int = 260_000
    call_byte: int = 1_000  # of the request and of its response
    storage_gib_second: int = 127_000
    compute_percent_second: int = 10_000_000
    http_request: int = 49_140_000
    http_request_byte: int = 5_200
    http_response_byte: int = 10_400  # of the largest response that is asked for

    def for_nodes(self, nodes: int) -> Prices:
        """The same prices on a subnet of another size: cost is proportional to the number of nodes."""
        if nodes == REFERENCE_NODES:
            return self
        scaled = {name: max(1, getattr(self, name) * nodes // REFERENCE_NODES) for name in self.__slots__}
        return replace(self, **scaled)

    def of_execution(self, instructions: int) -> int:
        return self.execution + self.instruction * instructions

    def of_ingress(self, size_bytes: int) -> int:
        return self.ingress_message + self.ingress_byte * size_bytes

    def of_http_request(self, request_bytes: int, max_response_bytes: int) -> int:
        return self.http_request + self.http_request_byte * request_bytes + self.http_response_byte * max_response_bytes

    def of_storage(self, size_bytes: int, compute_percent: int, duration_ns: int) -> int:
        """Keeping memory and a compute allocation for a while, rounded down."""
        per_second = size_bytes * self.storage_gib_second + compute_percent * self.compute_percent_second * GIB
        return per_second * duration_ns // (GIB * 1_000_000_000)
