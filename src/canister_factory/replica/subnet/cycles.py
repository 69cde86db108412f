"""What things cost, in cycles: two tables, and the official replica's formulas on them.

Owns the prices and the arithmetic on them. Moving cycles between balances is the business of `calls`, which keeps the
books exact: every cycle is in a balance, in flight, or counted as consumed.

Sources: `configured` has what the official replica's configuration says for application subnets (dfinity/ic,
`CyclesAccountManagerConfig::application_subnet` and `SchedulerConfig::application_subnet` in
rs/config/src/subnet_config.rs), `documented` what the page "Cycle costs" of the developer documentation printed in
August 2026. They differ where `DOCUMENTED` below says so. The formulas are those of rs/cycles_account_manager. What
mainnet charges is for mainnet to tell: `idle_cycles_burned_per_day` of a canister's status shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from canister_factory.base_error import CanisterFactoryError

GIB: Final = 1 << 30
REFERENCE_NODES: Final = 13
SECOND_NS: Final = 1_000_000_000
DAY_S: Final = 86_400
DAY_NS: Final = DAY_S * SECOND_NS
MAX_DELAYED_INGRESS_BYTES: Final = 366
"""`update_settings` by a user with an argument of at most so many bytes is charged after the settings have changed, so
that a frozen canister can be thawed (`MAX_DELAYED_INGRESS_COST_PAYLOAD_SIZE`)."""


class PricesError(CanisterFactoryError):
    """Prices that there are not, or not those that a state was made with; the message says which there are."""


# What work of the management canister counts as, in instructions (the official replica's scheduler configuration):
# taking or loading a snapshot, and reading or writing a piece of one, each and one more for each byte; storing a chunk.
SNAPSHOT_INSTRUCTIONS = 2_000_000_000
SNAPSHOT_DATA_INSTRUCTIONS = 5_000_000
UPLOAD_CHUNK_INSTRUCTIONS = 200_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a subnet, in cycles on one of 13 nodes. The names in the comments are the configuration's."""

    name: str
    nodes: int = REFERENCE_NODES
    canister_creation: int = 500_000_000_000  # canister_creation_fee
    execution: int = 5_000_000  # update_message_execution_fee: every replicated execution, before its instructions
    ten_instructions: int = 10  # ten_update_instructions_execution_fee
    ten_instructions_wasm64: int = 20  # ten_update_instructions_execution_fee_wasm64
    ingress_message: int = 1_200_000  # ingress_message_reception_fee
    ingress_byte: int = 2_000  # ingress_byte_reception_fee, of the whole signed message
    call: int = 260_000  # xnet_call_fee
    call_byte: int = 1_000  # xnet_byte_transmission_fee, of the request and of its response
    storage_gib_second: int = 317_500  # gib_storage_per_second_fee
    base_second: int = 10_000  # base_per_second_fee, of every canister that uses memory
    compute_percent_second: int = 10_000_000  # compute_percent_allocated_per_second_fee
    http_linear: int = 3_000_000  # http_request_linear_baseline_fee
    http_quadratic: int = 60_000  # http_request_quadratic_baseline_fee
    http_request_byte: int = 400  # http_request_per_byte_fee
    http_response_byte: int = 800  # http_response_per_byte_fee

    def for_nodes(self, nodes: int) -> Prices:
        """The same prices on a subnet of another size: cost is proportional to the number of nodes."""
        return replace(self, nodes=nodes)

    def _scaled(self, cycles: int) -> int:
        return cycles * self.nodes // REFERENCE_NODES

    def of_creation(self) -> int:
        return self._scaled(self.canister_creation)

    def of_execution(self, instructions: int, *, wasm64: bool = False) -> int:
        """One execution of a canister's code, whether it succeeds or not (`execution_cost`)."""
        ten = self.ten_instructions_wasm64 if wasm64 else self.ten_instructions
        return self._scaled(self.execution + ten * instructions // 10)

    def of_management(self, instructions: int) -> int:
        """Work of the management canister (`management_canister_cost`)."""
        return self._scaled(self.ten_instructions * instructions // 10)

    def of_ingress(self, size_bytes: int) -> int:
        """Taking a message of a user (`ingress_induction_cost_from_bytes`)."""
        return self._scaled(self.ingress_message) + self._scaled(self.ingress_byte) * size_bytes

    def of_call(self, payload_bytes: int) -> int:
        """Making a call whose method name and argument have so many bytes, without its response."""
        return self._scaled(self.call) + self.of_call_bytes(payload_bytes)

    def of_call_bytes(self, size_bytes: int) -> int:
        return self._scaled(self.call_byte * size_bytes)

    def of_idling(self, memory_bytes: int, compute_percent: int, duration_s: int = DAY_S) -> int:
        """What a canister burns without doing anything (`idle_cycles_burned_rate`): memory, base, allocation."""
        memory = memory_bytes * self.storage_gib_second * duration_s // GIB
        base = self.base_second * duration_s if memory_bytes else 0
        compute = self.compute_percent_second * compute_percent * duration_s
        return self._scaled(memory) + self._scaled(base) + self._scaled(compute)

    def of_http_request(self, request_bytes: int, max_response_bytes: int) -> int:
        """An HTTPS outcall of version 1 (`http_request_fee`)."""
        fixed, per_request_byte, per_response_byte = self.http_request_parts()
        return fixed + per_request_byte * request_bytes + per_response_byte * max_response_bytes

    def http_request_parts(self) -> tuple[int, int, int]:
        """Of an HTTPS outcall: fixed, per byte of the request, per byte of the largest response."""
        fixed = (self.http_linear + self.http_quadratic * self.nodes) * self.nodes
        return fixed, self.http_request_byte * self.nodes, self.http_response_byte * self.nodes


def share_between(per_day: int, begin_ns: int, end_ns: int) -> int:
    """What is due of a rate from one moment to another, in whole cycles.

    Nothing is lost by asking often: shares of adjoining times add up to what is due for all of it.
    """
    return per_day * end_ns // DAY_NS - per_day * begin_ns // DAY_NS


CONFIGURED: Final = Prices("configured")
DOCUMENTED: Final = replace(
    CONFIGURED, name="documented", storage_gib_second=127_000, base_second=0, ten_instructions_wasm64=10
)
DEFAULT_PRICES: Final = CONFIGURED
"""The dearer ones: what can be paid for here can be paid for anywhere."""
PRICES: Final = MappingProxyType({table.name: table for table in (DOCUMENTED, CONFIGURED)})


def prices_named(name: str) -> Prices:
    """A table by its name.

    Raises:
        PricesError: there is none of that name.
    """
    if name not in PRICES:
        raise PricesError(f"there are no prices {name!r}: choose one of {', '.join(PRICES)}")
    return PRICES[name]


def chosen_prices(wanted: str | Prices | None, kept: str | None) -> Prices:
    """The table to charge by.

    Args:
        wanted: a table or its name; None: whatever was chosen before, or the default.
        kept: the name of the one that a state was charged by until now; None: the state is new.

    Raises:
        PricesError: there is no such table, or the state was charged by another one.
    """
    table = wanted if isinstance(wanted, Prices) else prices_named(wanted or kept or DEFAULT_PRICES.name)
    if kept is not None and table.name != kept:
        raise PricesError(
            f"this state is kept with {kept} prices, which stay: start the replica without other ones, or choose "
            "another directory with --state-dir"
        )
    return table
