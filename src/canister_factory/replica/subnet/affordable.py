"""Whether a canister can pay for what an execution, or an installation, would leave behind.

Owns these checks and their errors. Does not own undoing (`calls`, `install`), or what may begin at all (`canister`).

Sources: interface specification, "Message execution" (`New_balance`, `Min_balance`) and "IC Management Canister: Code
installation". As on the official replica (`check_freezing_threshold_for_memory_grow`), what adds no memory isn't
measured by the freezing threshold here: cycles that it spends were when it spent them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from canister_factory.replica.runtime.engine import Module
from canister_factory.replica.runtime.execution import CanisterError, Entry, Outcome, RejectCode
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.cycles import Prices

# Callbacks may go below the threshold, since what came before them can't be undone; queries leave no memory behind.
_MEASURED: Final = frozenset({Entry.UPDATE, Entry.HEARTBEAT, Entry.GLOBAL_TIMER, Entry.ON_LOW_WASM_MEMORY})


def execution_unaffordable(
    canister: CanisterState, entry: Entry, outcome: Outcome, prices: Prices, unspent: int
) -> CanisterError | None:
    """Why a successful execution can't be kept, or None; its memory is held and isn't committed yet.

    `unspent`: cycles that it gets back of what it paid for its instructions.
    """
    balance = canister.balance + outcome.cycles_accepted - outcome.cycles_spent
    if balance < 0:  # fees of messages and of storage were taken since the execution began
        message = f"Canister {text_of(canister.id)} ran out of cycles, by other charges, while it executed."
        return CanisterError(RejectCode.CANISTER_ERROR, message, "IC0207")
    if entry not in _MEASURED:
        return None
    _, instance = canister.running_module
    stable = canister.stable
    of_stable = stable.wasm_pages * WASM_PAGE_BYTES - stable.size_bytes
    grown = of_stable + instance.memory_bytes - instance.memory.length
    if not grown:
        return None
    return _growth_error(canister, grown, canister.freezing_threshold_cycles(prices, of_stable) - balance - unspent)


def installation_unaffordable(
    canister: CanisterState,
    module: Module,
    instance: Instance,
    stable: StableMemory,
    prices: Prices,
    outcomes: list[Outcome],
) -> CanisterError | None:
    """Why a canister can't have this code and these memories in place of its own, or None.

    `outcomes`: what the installation's steps did, none of which was applied yet.
    """
    planned = replace(canister, module=module, instance=instance, stable=stable)
    grown = planned.memory_bytes - canister.memory_bytes
    if grown <= 0:
        return None
    balance = canister.balance - sum(outcome.cycles_spent for outcome in outcomes)
    return _growth_error(canister, grown, planned.freezing_threshold_cycles(prices) - balance)


def _growth_error(canister: CanisterState, grown_bytes: int, missing: int) -> CanisterError | None:
    if missing <= 0:
        return None
    return CanisterError(
        RejectCode.CANISTER_ERROR,
        f"Canister {text_of(canister.id)} cannot grow memory by {grown_bytes} bytes due to insufficient cycles: at "
        f"least {missing} additional cycles are required",
        "IC0532",
    )
