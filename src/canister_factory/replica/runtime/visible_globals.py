"""The globals that a snapshot has, from what an instance keeps, and back.

Owns the two mappings. Does not own finding these globals (`instrument`) or keeping their values (`instance`).
"""

from __future__ import annotations

from collections.abc import Sequence

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.instrument import InstrumentedModule


class UnkeptGlobalError(CanisterFactoryError):
    """A module has a mutable global of type v128: its value isn't kept from one execution to the next."""

    def __init__(self) -> None:
        super().__init__("the module has a mutable global of type v128, whose value the embedded replica doesn't keep")


def visible_globals(instance: Instance) -> tuple[int, ...]:
    """The raw bits of each of the module's `visible_globals`, as committed.

    Raises:
        UnkeptGlobalError: one of them isn't kept.
    """
    live, module = instance.ready(), instance.module.instrumented
    values = dict(zip(module.global_exports, live.noted_globals, strict=True))
    bits = []
    for variable in module.visible_globals:
        if variable.mutable and variable.export not in values:
            raise UnkeptGlobalError
        value = values[variable.export] if variable.mutable else live.constant(variable.export)
        bits.append(value & ((1 << variable.kind.bit_width) - 1))
    return tuple(bits)


def kept_values(module: InstrumentedModule, visible: Sequence[int]) -> tuple[int, ...]:
    """The values of the module's `global_exports` from those of its `visible_globals`, one for each.

    Raises:
        UnkeptGlobalError: one of them isn't kept.
    """
    values = {item.export: bits for item, bits in zip(module.visible_globals, visible, strict=True) if item.mutable}
    if len(values) != len(module.global_exports):
        raise UnkeptGlobalError
    return tuple(values[name] for name in module.global_exports)
