"""`admin admission` and `admin requests`: who gets a personal canister, and the requests that wait for approval.

Owns these commands. Does not own: what the rule lets through (the backend), its words (`admission`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, settings
from canister_factory.cli.admission import ADMISSIONS, MEANING
from canister_factory.cli.backend import Ask, backend_command, follow, limit_option, show_list
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.parameters import Choice
from canister_factory.cli.results import done, moment
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def admission(ctx: click.Context) -> None:
    """Show or change who gets a personal canister.

    Open: everybody who has a capsule. Listed: owners on the list. Approval: owners on the list, and those whose request
    an admin approves ('admin requests').

    \b
    Example:
      canister-factory admin admission set Listed
      canister-factory admin admission add $OWNER
    """
    run_default(ctx, show_admission)


@admission.command("show")
@backend_command(Role.STAFF)
def show_admission(ask: Ask) -> None:
    """Show who gets a personal canister. 'admission' alone does the same."""
    _show(ask(_present))


async def _present(backend: BackendClient) -> tuple[str, int]:
    from canister_factory.contract.creation_models import OwnerPageRequest

    listed = (await backend.list_admitted(OwnerPageRequest(limit=1))).total
    return str(await backend.get_admission()), listed


def _show(present: tuple[str, int]) -> None:
    mode, listed = present
    if settings.current().json:
        output.json_object({"admission": mode, "listed": listed})
    else:
        output.table("Admission", [("admission", f"{mode}: {MEANING[mode]}"), ("on the list", f"{listed:,}")])


@admission.command("set")
@click.argument("mode", type=Choice(ADMISSIONS))
@backend_command(Role.ADMIN)
def set_admission(mode: str, ask: Ask) -> None:
    """Set who gets a personal canister: Open, Listed or Approval.

    Creations in progress continue. Requests that wait for approval continue to wait.
    """
    from canister_factory.contract.creation_models import Admission

    async def work(backend: BackendClient) -> tuple[str, int]:
        await backend.set_admission(Admission(mode))
        return await _present(backend)

    _show(ask(work))


@admission.command("list")
@limit_option
@backend_command(Role.STAFF)
def list_admitted(limit: int | None, ask: Ask) -> None:
    """List the owners on the list."""

    async def work(backend: BackendClient) -> list[Principal]:
        from canister_factory.contract.creation_models import OwnerPageRequest

        owners = follow(lambda after, count: backend.list_admitted(OwnerPageRequest(after=after, limit=count)), limit)
        return [owner async for owner in owners]

    owners = ask(work)
    if settings.current().json:
        output.json_object({"owners": owners})
    else:
        output.text("\n".join(map(str, owners)) or "no owners on the list")


@admission.command("add")
@click.argument("owner", type=PRINCIPAL)
@backend_command(Role.ADMIN)
def add_admitted(owner: Principal, ask: Ask) -> None:
    """Put OWNER on the list. A request of OWNER then needs no approval."""
    ask(lambda backend: backend.add_admitted(owner))
    done(f"{output.ident(owner)} is on the list.", owner=owner, listed=True)


@admission.command("remove")
@click.argument("owner", type=PRINCIPAL)
@backend_command(Role.ADMIN)
def remove_admitted(owner: Principal, ask: Ask) -> None:
    """Take OWNER off the list. A creation of OWNER in progress continues."""
    ask(lambda backend: backend.remove_admitted(owner))
    done(f"{output.ident(owner)} is not on the list.", owner=owner, listed=False)


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def requests(ctx: click.Context) -> None:
    """List, approve and decline the requests that wait for approval.

    They hold no cycles of the reserve, and no worker runs them, until an admin approves them.
    """
    run_default(ctx, list_requests)


@requests.command("list")
@limit_option
@backend_command(Role.STAFF)
def list_requests(limit: int | None, ask: Ask) -> None:
    """List the requests that wait for approval, oldest first. 'requests' alone does the same."""
    from canister_factory.contract.creation_models import OwnerPageRequest

    show_list(
        ask,
        lambda backend, after, count: backend.list_waiting_requests(OwnerPageRequest(after=after, limit=count)),
        limit,
        {
            "owner": lambda request: request.owner,
            "requested": lambda request: moment(request.requested_at),
            "canister": lambda request: request.canister_id or "-",
        },
        "no requests wait for approval",
    )


@requests.command()
@click.argument("owner", type=PRINCIPAL)
@backend_command(Role.ADMIN)
def approve(owner: Principal, ask: Ask) -> None:
    """Approve the request of OWNER. A worker creates the canister afterwards."""
    creation = ask(lambda backend: backend.approve_creation(owner))
    done(
        f"The request of {output.ident(owner)} is approved; a worker creates the canister.",
        owner=owner,
        approved=True,
        status=creation.status,
    )


@requests.command()
@click.argument("owner", type=PRINCIPAL)
@click.option("--reason", required=True, help="What OWNER is told.")
@backend_command(Role.ADMIN)
def decline(owner: Principal, reason: str, ask: Ask) -> None:
    """Decline the request of OWNER. OWNER is told the reason, and can ask again."""
    creation = ask(lambda backend: backend.decline_creation(owner, reason))
    done(f"The request of {output.ident(owner)} is declined.", owner=owner, approved=False, status=creation.status)
