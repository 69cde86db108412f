"""Whether the hook `canister_on_low_wasm_memory` of a canister is to run.

Owns the condition, and that the hook runs once each time that it begins to hold. Does not own running it (`calls`).

Source: interface specification, "On Low Wasm Memory" and "Scheduling on low wasm memory hook".
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.subnet.canister import CanisterState, LowMemoryHook


def is_hook_due(canister: CanisterState) -> bool:
    """Notes whether the canister's memory is low; whether the hook has to run. To be asked after each change."""
    if not _is_low(canister):
        canister.low_memory_hook = LowMemoryHook.CONDITION_NOT_SATISFIED
    elif canister.low_memory_hook is LowMemoryHook.CONDITION_NOT_SATISFIED:
        canister.low_memory_hook = LowMemoryHook.READY
    module = canister.module
    return (
        canister.low_memory_hook is LowMemoryHook.READY and module is not None and module.has(Entry.ON_LOW_WASM_MEMORY)
    )


def _is_low(canister: CanisterState) -> bool:
    settings, instance = canister.settings, canister.instance
    if not settings.wasm_memory_threshold or instance is None:
        return False
    limit = min(settings.wasm_memory_limit or instance.largest_memory_bytes, instance.largest_memory_bytes)
    return max(0, limit - instance.memory_bytes) < settings.wasm_memory_threshold
