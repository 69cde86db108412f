"""What an execution may ask its surroundings for, as far as the canister and the subnet decide it.

Owns the limits and prices that an execution sees. Does not own what the message adds (`calls`, `queries`, `install`).

Source: interface specification, "System API"; limits of the developer documentation, "Resource limits".
"""

from __future__ import annotations

from typing import Any

from canister_factory.replica.runtime.execution import Env
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.state import SubnetState

UPDATE_INSTRUCTIONS = 40_000_000_000
MAX_RESPONSE_BYTES = 2 << 20
MAX_OUTSTANDING_CALLS = 500


def response_prepayment(prices: Prices, *, wasm64: bool) -> int:
    """Cycles that each outgoing call reserves: the largest response and the longest callback; the rest comes back."""
    return prices.of_execution(UPDATE_INSTRUCTIONS, wasm64=wasm64) + prices.of_call_bytes(MAX_RESPONSE_BYTES)


class Environments:
    """Makes the environments of executions on one subnet."""

    def __init__(self, state: SubnetState, prices: Prices, subnet_id: bytes, root_key: bytes) -> None:
        self._state = state
        self._prices = prices
        self._call_costs = {
            wasm64: (prices.of_call(0) + response_prepayment(prices, wasm64=wasm64), prices.of_call_bytes(1))
            for wasm64 in (False, True)
        }
        self._creation_cost, self._http_request_cost = prices.of_creation(), prices.http_request_parts()
        self._subnet_id = subnet_id
        self._root_key = root_key

    def of(
        self,
        canister: CanisterState,
        *,
        time_ns: int | None = None,
        balance: int | None = None,
        threshold: int | None = None,
        **specific: Any,
    ) -> Env:
        """What every execution on this canister may ask for; `specific` sets the other fields of `Env`.

        Time, balance and freezing threshold (in cycles) are the present ones by default.
        """
        prices, variables = self._prices, canister.settings.environment_variables
        return Env(
            canister_id=canister.id,
            time_ns=self._state.time_ns if time_ns is None else time_ns,
            controllers=frozenset(canister.settings.controllers),
            balance=canister.balance if balance is None else balance,
            freezing_threshold_cycles=canister.freezing_threshold_cycles(prices) if threshold is None else threshold,
            call_cost=self._call_costs[canister.wasm64],
            max_outgoing_calls=MAX_OUTSTANDING_CALLS - len(canister.pending_calls),
            canister_status=canister.status.value,
            canister_version=canister.version,
            global_timer_ns=canister.global_timer_ns,
            create_canister_cost=self._creation_cost,
            http_request_cost=self._http_request_cost,
            max_response_bytes=MAX_RESPONSE_BYTES,
            log_limit_bytes=canister.settings.log_memory_limit,
            root_key=self._root_key,
            subnet_id=self._subnet_id,
            environment_variables=tuple(sorted((item.name, item.value) for item in variables)) if variables else (),
            **specific,
        )
