"""What canisters pay for work that the management canister does for them, and whether they can keep what it leaves.

Owns these charges and their refusals. Does not own prices (`cycles`), the books (`state`), or what executions leave
behind (`affordable`).

Source: interface specification, "IC method take_canister_snapshot" and "IC method upload_chunk"; dfinity/ic,
`CanisterManager`: memory that would freeze the canister is refused before anything is charged.
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.state import CyclesUse, SubnetState


class Charges:
    """Charges the canisters of a state."""

    def __init__(self, state: SubnetState, prices: Prices) -> None:
        self._state = state
        self._prices = prices

    def take(self, canister: CanisterState, cost: int, use: CyclesUse) -> None:
        """Takes a cost out of a balance.

        Raises:
            CanisterError: IC0207, the canister can't pay without being frozen.
        """
        canister.require_cycles(self._prices, cost)
        self._state.consume(canister, cost, use)

    def take_for_work(self, canister: CanisterState, instructions: int, grown_bytes: int = 0) -> None:
        """Takes the price of so many instructions, if the canister can keep the memory that they add.

        Raises:
            CanisterError: IC0532, it can't keep it; IC0207, it can't pay; nothing was taken.
        """
        self.require_growth(canister, grown_bytes, instructions)
        self.take(canister, self._prices.of_management(instructions), "instructions")

    def require_growth(self, canister: CanisterState, grown_bytes: int, cost_instructions: int) -> None:
        """Refuses more memory than the canister can keep without being frozen, after work of that many instructions.

        Raises:
            CanisterError: IC0532, the balance is too low.
        """
        if grown_bytes <= 0:
            return
        cost = self._prices.of_management(cost_instructions)
        missing = canister.freezing_threshold_cycles(self._prices, grown_bytes) + cost - canister.balance
        if missing > 0:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Canister cannot grow memory by {grown_bytes} bytes due to insufficient cycles. At least {missing} "
                "additional cycles are required.",
                "IC0532",
            )
