"""How host functions are declared: their Wasm signature, and where the interface specification lets them be called.

Owns: the entry points' modes, the decorators, making the table of functions. Does not own: what the functions do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from canister_factory.replica.runtime.execution import Entry, Env

# The letters are the specification's ("Overview of imports").
MODE_NAMES: Final = {
    "s": "start",
    "I": "init",
    "G": "pre-upgrade",
    "U": "update",
    "RQ": "replicated query",
    "NRQ": "non-replicated query",
    "TQ": "transform",
    "CQ": "composite query",
    "Ry": "reply callback",
    "Rt": "reject callback",
    "CRy": "composite reply callback",
    "CRt": "composite reject callback",
    "C": "cleanup",
    "CC": "composite cleanup",
    "F": "inspect message",
    "T": "system task",
}
EVERYWHERE: Final = " ".join(mode for mode in MODE_NAMES if mode != "s")
EVEN_AT_START: Final = " ".join(MODE_NAMES)

_MODES: Final = {
    Entry.START: ("s", "s"),
    Entry.INIT: ("I", "I"),
    Entry.POST_UPGRADE: ("I", "I"),
    Entry.PRE_UPGRADE: ("G", "G"),
    Entry.UPDATE: ("U", "U"),
    Entry.QUERY: ("RQ", "NRQ"),
    Entry.COMPOSITE_QUERY: ("CQ", "CQ"),
    Entry.REPLY_CALLBACK: ("Ry", "CRy"),
    Entry.REJECT_CALLBACK: ("Rt", "CRt"),
    Entry.CLEANUP: ("C", "CC"),
    Entry.INSPECT_MESSAGE: ("F", "F"),
    Entry.HEARTBEAT: ("T", "T"),
    Entry.GLOBAL_TIMER: ("T", "T"),
    Entry.ON_LOW_WASM_MEMORY: ("T", "T"),
}


def mode_of(entry: Entry, env: Env) -> str:
    """The specification's letters for where an execution stands."""
    if env.transforms:
        return "TQ"
    replicated, non_replicated = _MODES[entry]
    return replicated if env.in_replicated_execution else non_replicated


# What a call costs besides the bytes that it moves, in instructions. The specification leaves that to the
# implementation; these are the official replica's: dfinity/ic, rs/embedders/src/wasmtime_embedder,
# system_api_complexity.rs, "overhead".
_USUAL_OVERHEAD: Final = 500
_OVERHEADS: Final = {
    "call_new": 1_500,
    "call_perform": 5_000,
    "debug_print": 100,
    "is_controller": 1_000,
    "performance_counter": 200,
    "stable_size": 20,
    "stable_read": 20,
    "stable_write": 20,
    "stable64_size": 20,
    "stable64_read": 20,
    "stable64_write": 20,
}


class HostTrapError(Exception):
    """A host function ends the execution.

    Args:
        error_code: the replica's code such as "IC0502".
        message: what follows "Canister <id> ".
    """

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


def contract_violation(message: str) -> HostTrapError:
    """The canister called a host function in a way that the specification forbids."""
    return HostTrapError("IC0504", f"violated contract: {message}")


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One function of the module `ic0`. Parameters and result: "I" pointer-sized, "i32", "i64"; result "" for none."""

    name: str
    parameters: tuple[str, ...]
    result: str
    modes: frozenset[str]
    method: Callable[..., Any]
    only_32_bit: bool = False

    @property
    def overhead(self) -> int:
        """Instructions that a call costs, whatever it does."""
        return _OVERHEADS.get(self.name, _USUAL_OVERHEAD)

    def wasm_types(self, memory64: bool) -> tuple[list[str], list[str]]:
        """Parameter and result types of the import, for a module with this kind of memory."""
        pointer = "i64" if memory64 else "i32"
        results = [self.result] if self.result else []
        return [pointer if t == "I" else t for t in self.parameters], [pointer if t == "I" else t for t in results]


_Method = TypeVar("_Method", bound=Callable[..., Any])
_DECLARED: Final = "_host_functions"  # the attribute of a method that has what it is declared as


def host_functions(api: type[Any]) -> Mapping[str, HostFunction]:
    """The functions, by name, that a class and those which it inherits from declare with the decorators below."""
    return MappingProxyType(
        {
            function.name: function
            for owner in reversed(api.__mro__)
            for member in vars(owner).values()
            for function in getattr(member, _DECLARED, ())
        }
    )


def host_function(
    parameters: str = "", result: str = "", modes: str = EVERYWHERE, *, only_32_bit: bool = False
) -> Callable[[_Method], _Method]:
    """Declares a method as the `ic0` function of the same name; it gets unsigned integers."""

    def declare(method: _Method) -> _Method:
        function = HostFunction(
            method.__name__, tuple(parameters.split()), result, frozenset(modes.split()), method, only_32_bit
        )
        setattr(method, _DECLARED, (function,))
        return method

    return declare


def host_blob(modes: str = EVERYWHERE) -> Callable[[_Method], _Method]:
    """Declares the pair `<name>_size` and `<name>_copy` for a method that returns bytes."""

    def declare(method: _Method) -> _Method:
        name = method.__name__
        allowed = frozenset(modes.split())

        def size(api: Any) -> int:
            return len(method(api))

        def copy(api: Any, target: int, offset: int, length: int) -> None:
            api.copy_out(name, method(api), target, offset, length)

        functions = (
            HostFunction(f"{name}_size", (), "I", allowed, size),
            HostFunction(f"{name}_copy", ("I", "I", "I"), "", allowed, copy),
        )
        setattr(method, _DECLARED, functions)
        return method

    return declare
