"""`admin …`: the switch, the limits and the creations of a backend.

Owns these commands and the group. Does not own: roles (`admin_roles`), admission (`admin_admission`), releases
(`admin_releases`), logs and registry (`admin_logs`), quotas and settings (`admin_quotas`), the reserve (`reserve`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.cli import (
    admin_admission,
    admin_logs,
    admin_quotas,
    admin_releases,
    admin_roles,
    output,
    quantities,
    settings,
)
from canister_factory.cli.backend import Ask, backend_command, changed, follow
from canister_factory.cli.errors import CommandError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.request import ending, require_open
from canister_factory.cli.results import confirm, done, record
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.creation_models import DetailedCreationStatus


@click.group(cls=CommandGroup)
def admin() -> None:
    """Manage a backend: its roles, releases and failures.

    The caller must be an admin or a controller of the backend. Operators can see most of it.

    \b
    Example:
      export CANISTER_FACTORY_BACKEND=lxzze-o7777-77777-aaaaa-cai
      export CANISTER_FACTORY_IDENTITY=admin.pem
      canister-factory admin status
      canister-factory admin operators add $OPERATOR
    """


for command in (
    admin_roles.admins,
    admin_roles.operators,
    admin_admission.admission,
    admin_admission.requests,
    admin_releases.releases,
    admin_logs.audit,
    admin_logs.errors,
    admin_logs.error_rate,
    admin_logs.notifications,
    admin_logs.acknowledge,
    admin_logs.registry,
    admin_quotas.quotas,
    admin_quotas.capsules,
    admin_quotas.canisters,
):
    admin.add_command(command)


@admin.command()
@backend_command(Role.ADMIN)
def enable(ask: Ask) -> None:
    """Accept requests for personal canisters, and continue creations."""
    ask(lambda backend: backend.set_personal_canister_creation_enabled(True))
    done("The backend accepts requests for personal canisters.", creation_enabled=True)


@admin.command()
@backend_command(Role.ADMIN)
def disable(ask: Ask) -> None:
    """Stop everything that uses cycles of the reserve.

    The backend refuses requests, approvals, leases and new canisters. Creations in progress stay open, and workers
    continue them after 'admin enable'. What is verified already still completes.
    """
    ask(lambda backend: backend.set_personal_canister_creation_enabled(False))
    done(
        "The backend refuses requests, and uses no cycles of the reserve. Creations in progress continue after "
        "'admin enable'.",
        creation_enabled=False,
    )


@admin.command()
@click.option(
    "--in-progress", "max_in_progress", type=click.IntRange(1, 2**32 - 1), help="Maximum number of creations at a time."
)
@click.option(
    "--per-hour", "max_per_hour", type=click.IntRange(1, 2**32 - 1), help="Maximum number of attempts in an hour."
)
@backend_command(Role.ADMIN)
def limits(ask: Ask, **changes: int | None) -> None:
    """Show or change the limits of creations.

    The limits count the creations of all owners; one owner may make a tenth of the attempts of an hour. The backend
    refuses requests above a limit as Busy. Creations in progress continue. Use 'disable' to refuse all requests, and
    'reserve settings --per-day' for the cycles of a day.
    """
    given = {name: limit for name, limit in changes.items() if limit is not None}
    present = ask(lambda backend: changed(backend.get_creation_limits, backend.set_creation_limits, given))
    record(
        present,
        [("in progress", f"{present.max_in_progress:,}"), ("within an hour", f"{present.max_per_hour:,}")],
        "Limits of creations",
    )


@admin.command("status")
@backend_command(Role.ADMIN)
def overview(ask: Ask) -> None:
    """Show the backend at a glance: version, switch, creations, reserve and roles."""
    summary = ask(_summary)
    if settings.current().json:
        output.json_object(summary)
        return
    counts = [f"{count} {status}" for status, count in summary["creations"].items()]
    output.table(
        "Backend",
        [
            ("backend", summary["backend_id"]),
            ("API version", quoted(summary["api_version"], 40)),
            ("creation", "enabled" if summary["creation_enabled"] else "disabled"),
            ("admission", summary["admission"]),
            ("creations", ", ".join(counts) or "none yet"),
            ("reserve", f"{quantities.cycles(summary['reserve'])} available, {summary['alert_level']}"),
            ("admins", ", ".join(map(output.ident, summary["admins"])) or "none but the controllers"),
            ("operators", ", ".join(map(output.ident, summary["operators"])) or "none: nobody can run creations"),
            ("releases", ", ".join(map(output.ident, summary["releases"])) or "none: nothing can be installed"),
        ],
    )


async def _summary(backend: BackendClient) -> dict[str, Any]:
    """What `admin status` shows, under the names of its JSON."""
    from canister_factory.contract.creation_models import OwnerPageRequest

    creations = follow(
        lambda after, limit: backend.list_all_creation_states(OwnerPageRequest(after=after, limit=limit))
    )
    states = Counter([str(creation.status) async for creation in creations])
    reserve = await backend.get_reserve_status()
    return {
        "backend_id": backend.canister_id,
        "api_version": await backend.get_api_version(),
        "creation_enabled": await backend.is_personal_canister_creation_enabled(),
        "admission": str(await backend.get_admission()),
        "creations": dict(states),
        "reserve": reserve.available,
        "alert_level": reserve.alert_level,
        "admins": await backend.list_admins(),
        "operators": await backend.list_operators(),
        "releases": [release.module_hash for release in await backend.list_releases()],
    }


@admin.command()
@backend_command(Role.ADMIN)
def stats(ask: Ask) -> None:
    """Show the number of attempts, successes and failures, and the cycles they consumed."""
    counters = ask(lambda backend: backend.get_personal_canister_creation_stats())
    record(
        counters,
        [
            ("attempts", f"{counters.total_attempts:,}"),
            ("successes", f"{counters.total_successes:,}"),
            ("failures", f"{counters.total_failures:,}"),
            ("cycles consumed", quantities.cycles(counters.total_cycles_consumed)),
        ],
    )


@admin.command()
@click.argument("owner", type=PRINCIPAL)
@click.option("--reason", default="no reason given", help="What OWNER is told.  [default: no reason given]")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.ADMIN)
def abort(owner: Principal, reason: str, yes: bool, ask: Ask) -> None:
    """End the creation of OWNER, which is in progress.

    The creation fails, and OWNER is told the reason. The capsule on the backend stays as it is, and a canister that was
    created already is kept: OWNER can 'retry', or 'cleanup' deletes it. While the canister is being handed over, the
    creation can't be aborted.

    \b
    Example:
      canister-factory admin abort $OWNER --reason "the subnet is full"
    """
    creation = _creation_of(owner, "abort", ask)
    require_open(creation, "abort", f"its owner can 'retry', or 'cleanup {owner}' deletes what it left behind")
    confirm(f"Abort the creation of {output.ident(owner)}, which is {creation.status}?", yes)
    interrupts.if_interrupted(f"the creation may be aborted. 'status {owner}' shows it")
    ended = ask(
        lambda backend: ending(backend.abort_creation(owner, reason), f"status {owner}", f"admin abort {owner}")
    )
    kept = "" if ended.canister_id is None else f" Canister {ended.canister_id} is kept."
    done(
        f"The creation of {output.ident(owner)} is aborted.{kept}",
        owner=owner,
        canister_id=ended.canister_id,
        status=ended.status,
        aborted=True,
    )


@admin.command()
@click.argument("owner", type=PRINCIPAL)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.ADMIN)
def clear(owner: Principal, yes: bool, ask: Ask) -> None:
    """Forget the creation of OWNER, so that OWNER can ask again.

    The creation must have failed, or be undone. Its canister remains, and remains in the registry: use 'cleanup' first
    to delete the canister of a failed creation. A completed creation can't be cleared, since there would be two
    capsules that take writes: its owner undoes it ('owner undo').
    """

    creation = _creation_of(owner, "clear", ask)
    canisters = [str(canister) for canister in (creation.canister_id, *creation.lost_canisters) if canister]
    remains = f" Canister {', '.join(canisters)} remains, unless it was deleted." if canisters else ""
    confirm(f"Forget the creation of {output.ident(owner)}, which is {creation.status}?{remains}", yes)
    ask(lambda backend: backend.clear_creation_state(owner))
    done(f"The creation of {output.ident(owner)} is forgotten.{remains}", owner=owner, cleared=True)


@admin.command("pay-rest")
@click.argument("owner", type=PRINCIPAL)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.ADMIN)
def pay_rest(owner: Principal, yes: bool, ask: Ask) -> None:
    """Pay the rest of the cycles that OWNER's canister was promised.

    A backend that was restored from a backup doesn't know whether it has paid them after the backup. Where it can't see
    that itself, it doesn't pay, and 'admin notifications' has a DepositUnknown. Ask OWNER what the canister has ('owner
    status'); if the rest is missing, this pays it from the reserve, as soon as that has enough. Where OWNER lets the
    backend see the canister by now, it pays what is missing.

    \b
    Example:
      canister-factory admin pay-rest $OWNER --identity admin.pem
    """
    creation = _creation_of(owner, "pay", ask)
    if creation.canister_id is None:
        raise CommandError(f"the creation of {output.ident(owner)} has no canister: there is nothing to pay")
    confirm(f"Pay the rest of its cycles to {creation.canister_id}? It can't be taken back.", yes)
    interrupts.if_interrupted("it may be paid. The same command pays nothing then, and says so")
    ask(lambda backend: backend.pay_rest(owner))
    done(
        f"{creation.canister_id} gets the rest of its cycles, as soon as the reserve has enough. 'reserve consumption' "
        "shows it.",
        owner=owner,
        canister_id=creation.canister_id,
        paid=True,
    )


def _creation_of(owner: Principal, verb: str, ask: Ask) -> DetailedCreationStatus:
    """The creation of OWNER, as an admin sees it.

    Raises:
        CommandError: there is none to `verb`.
        CreationRefused, RejectedError: the caller is no admin.
    """

    async def look(backend: BackendClient) -> DetailedCreationStatus | None:
        await backend.list_admins()  # refused to everybody else, before anything is asked
        return await backend.get_user_creation_status(owner)

    creation = ask(look)
    if creation is None:
        raise CommandError(f"{output.ident(owner)} has no creation: there is nothing to {verb}")
    return creation
