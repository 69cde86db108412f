"""Which entry point of a module a call enters.

Owns the choice and its refusals. Does not own executing it (`calls`, `queries`).

Source: interface specification, "Public methods".
"""

from __future__ import annotations

from canister_factory.replica.runtime.engine import Module
from canister_factory.replica.runtime.execution import CanisterError, Entry, RejectCode
from canister_factory.replica.subnet.canister import text_of


def update_entry(canister_id: bytes, module: Module, method: str) -> Entry:
    """The entry point that an update call of a method enters.

    Raises:
        CanisterError: IC0536, no such method; IC0527, a composite query.
    """
    if method in module.updates:
        return Entry.UPDATE
    if method in module.queries:
        return Entry.QUERY
    if method in module.composite_queries:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Error from Canister {text_of(canister_id)}: Composite query '{method}' cannot be called in replicated "
            "mode; send it as a query.",
            "IC0527",
        )
    raise CanisterError(
        RejectCode.CANISTER_ERROR,
        f"Error from Canister {text_of(canister_id)}: Canister has no update method '{method}'.",
        "IC0536",
    )
