"""How an upgrade is shown before and after: what would be done, what was done.

Owns these screens. Does not own: the upgrade (`factory.upgrading`), and which module it is to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import CommandError
from canister_factory.cli.results import moment

if TYPE_CHECKING:
    from canister_factory.factory.upgrading import Plan, Upgraded

PAUSE = "It is stopped for some seconds, and takes no writes until its new module was found sound"


def plan_fields(plan: Plan) -> dict[str, Any]:
    """A plan as JSON has it; cycles as text."""
    return {
        "canister_id": plan.canister_id,
        "module_hash_before": plan.before,
        "module_hash": plan.after,
        "changes": plan.changes,
        "goes_on": plan.goes_on,
        "snapshot_bytes": plan.cycles.snapshot_bytes,
        "cycles": str(plan.cycles.balance),
        "cycles_needed": str(plan.cycles.frozen + plan.cycles.work),
        "cycles_missing": str(plan.cycles.missing),
        "problem": plan.problem,
    }


def show_plan(plan: Plan, title: str) -> None:
    """Shows what an upgrade would do; on stdout, for `--plan`."""
    if settings.current().json:
        output.json_object(plan_fields(plan))
        return
    output.table(
        title,
        [
            ("canister", plan.canister_id),
            ("module now", f"{output.ident(plan.before or b'')} (certified)"),
            ("module then", output.ident(plan.after)),
            ("upgrade", _verdict(plan)),
            ("steps", "stop, snapshot, new module, start, compare; back to the snapshot if anything is wrong"),
            ("snapshot", f"{quantities.size(plan.cycles.snapshot_bytes)} while it lasts"),
            ("cycles", quantities.cycles(plan.cycles.balance)),
            ("cycles needed", quantities.cycles(plan.cycles.frozen + plan.cycles.work)),
        ],
    )


def _verdict(plan: Plan) -> str:
    if plan.problem is not None:
        return f"not possible: {plan.problem}"
    if plan.goes_on:
        return "goes on with one that was begun"
    return "possible" if plan.changes else "not needed: the canister has this module already"


def require_possible(plan: Plan) -> None:
    """Before anything is changed.

    Raises:
        CommandError: the upgrade isn't possible.
    """
    if plan.problem is not None:
        raise CommandError(f"{plan.canister_id} was left as it is: {plan.problem}")


def upgraded_fields(upgraded: Upgraded) -> dict[str, Any]:
    """What an upgrade did, as JSON has it."""
    kept = upgraded.kept
    return {
        "changed": upgraded.changed,
        "module_hash_before": upgraded.before,
        "module_hash": upgraded.after,
        "snapshot_id": None if kept is None else kept.snapshot_id,
        "snapshot_until": None if kept is None else moment(kept.until_ns),
    }
