"""Whether the hook `canister_on_low_wasm_memory` of a canister is to run.

Owns the condition, and that the hook runs once each time that it begins to hold. Does not own running it (`calls`).

Source: interface specification, "On Low Wasm Memory" and "Scheduling on low wasm memory hook".
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.subnet.canister import CanisterState, Settings
from canister_factory.replica.subnet.snapshot import LowMemoryHook


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


def is_low(settings: Settings, memory_bytes: int, largest_bytes: int) -> bool:
    """Whether a Wasm memory of this size has less room left than the settings' threshold.

    `largest_bytes`: what the memory could grow to without the settings.
    """
    if not settings.wasm_memory_threshold:
        return False
    limit = min(settings.wasm_memory_limit or largest_bytes, largest_bytes)
    return max(0, limit - memory_bytes) < settings.wasm_memory_threshold


def _is_low(canister: CanisterState) -> bool:
    instance = canister.instance
    return instance is not None and is_low(canister.settings, instance.memory_bytes, instance.largest_memory_bytes)
