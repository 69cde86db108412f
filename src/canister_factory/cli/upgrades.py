"""What the commands that upgrade an owner's canister and a backend share: options, and what is shown before and after.

Owns these options and screens. Does not own: the upgrade (`factory.upgrading`), and which module it is to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import F
from canister_factory.cli.results import moment

if TYPE_CHECKING:
    from canister_factory.factory.upgrading import Plan, Upgraded

PAUSE = "It is stopped for some seconds, and takes no writes until its new module was found sound"


def upgrade_options(what: str) -> Callable[[F], F]:
    """`--keep-snapshot` and `--plan`: passed as `keep_days` and `only_plan` to the command, which upgrades a `what`."""

    def decorated(command: F) -> F:
        keep = click.option(
            "--keep-snapshot",
            "keep_days",
            metavar="DAYS",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help=f"Keep the snapshot for so long. It costs as much as the {what} itself.",
        )
        flag = click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and change nothing.")
        return keep(flag(command))

    return decorated


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
    rows: list[tuple[str, object]] = [
        ("canister", plan.canister_id),
        ("module now", f"{output.ident(plan.before or b'')} (certified)"),
        ("module then", output.ident(plan.after)),
        ("upgrade", _verdict(plan)),
    ]
    if plan.changes:
        rows += [
            ("steps", "stop, snapshot, new module, start, compare; back to the snapshot if anything is wrong"),
            ("snapshot", f"{quantities.size(plan.cycles.snapshot_bytes)} while it lasts"),
            ("cycles", quantities.cycles(plan.cycles.balance)),
            ("cycles needed", quantities.cycles(plan.cycles.frozen + plan.cycles.work)),
        ]
    output.table(title, rows)


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
