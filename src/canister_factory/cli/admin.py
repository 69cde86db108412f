"""`admin …`: the switch, roles, approved releases and creations of a backend.

Owns these commands. Does not own: logs and registry (`admin_logs`), the reserve (`reserve`).
"""

from __future__ import annotations

import gzip
from collections import Counter
from hashlib import sha256
from typing import Any

import click

from canister_factory.candid.hexadecimal import from_hex
from canister_factory.candid.principal import Principal
from canister_factory.cli import admin_logs, output
from canister_factory.cli.backend import Ask, backend_command, follow
from canister_factory.cli.errors import CommandError
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.options import PRINCIPAL, ROLE_HOLDER
from canister_factory.cli.results import confirm, done, moment, record
from canister_factory.cli.roles import Role
from canister_factory.contract.artifacts import API_VERSION, backend_wasm, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationLimits,
    DetailedCreationStatus,
    NewRelease,
    OwnerPageRequest,
    Release,
)
from canister_factory.ic.foreign_text import quoted


@click.group(cls=CommandGroup)
def admin() -> None:
    """Look after a backend: roles, releases, failures.

    The caller must be an admin or a controller of the backend; operators may look at most of it.

    \b
    Example:
      export CANISTER_FACTORY_BACKEND=lxzze-o7777-77777-aaaaa-cai CANISTER_FACTORY_IDENTITY=admin.pem
      canister-factory admin status
      canister-factory admin operators add $OPERATOR
    """


for command in (
    admin_logs.errors,
    admin_logs.error_rate,
    admin_logs.notifications,
    admin_logs.acknowledge,
    admin_logs.registry,
):
    admin.add_command(command)


# --- The switch and the overview ------------------------------------------------------------------------------------


@admin.command()
@backend_command(Role.ADMIN)
def enable(ask: Ask) -> None:
    """Accept requests for personal canisters."""
    ask(lambda backend: backend.set_personal_canister_creation_enabled(True))
    done("The backend accepts requests for personal canisters.", creation_enabled=True)


@admin.command()
@backend_command(Role.ADMIN)
def disable(ask: Ask) -> None:
    """Refuse new requests for personal canisters. Creations in progress go on."""
    ask(lambda backend: backend.set_personal_canister_creation_enabled(False))
    done("The backend refuses new requests; creations in progress go on.", creation_enabled=False)


@admin.command()
@click.option("--in-progress", "max_in_progress", type=click.IntRange(1, 2**32 - 1), help="At most so many at a time.")
@click.option("--per-hour", "max_per_hour", type=click.IntRange(1, 2**32 - 1), help="At most so many attempts an hour.")
@backend_command(Role.ADMIN)
def limits(ask: Ask, **changes: int | None) -> None:
    """Show how many creations the backend allows over all owners, or change what is given.

    Requests above a limit are refused as Busy; creations in progress go on. 'disable' refuses all requests.
    """
    given = {name: limit for name, limit in changes.items() if limit is not None}

    async def work(backend: BackendClient) -> CreationLimits:
        if given:
            before = await backend.get_creation_limits()
            await backend.set_creation_limits(before.model_copy(update=given))
        return await backend.get_creation_limits()

    present = ask(work)
    record(
        present,
        [("in progress", f"{present.max_in_progress:,}"), ("within an hour", f"{present.max_per_hour:,}")],
        "Limits of creations",
    )


@admin.command("status")
@backend_command(Role.ADMIN)
def overview(ask: Ask) -> None:
    """Show the backend at a glance: version, switch, creations, reserve, roles."""

    async def look(backend: BackendClient) -> dict[str, Any]:
        creations = follow(
            lambda after, limit: backend.list_all_creation_states(OwnerPageRequest(after=after, limit=limit))
        )
        states = Counter([str(creation.status) async for creation in creations])
        reserve = await backend.get_reserve_status()
        return {
            "backend_id": backend.canister_id,
            "api_version": await backend.get_api_version(),
            "creation_enabled": await backend.is_personal_canister_creation_enabled(),
            "creations": dict(states),
            "reserve": reserve.available,
            "alert_level": reserve.alert_level,
            "admins": await backend.list_admins(),
            "operators": await backend.list_operators(),
            "releases": [release.module_hash for release in await backend.list_releases()],
        }

    found = ask(look)
    if output.settings.json:
        output.json_object(found)
        return
    output.table(
        "Backend",
        [
            ("backend", found["backend_id"]),
            ("API version", quoted(found["api_version"], 40)),
            ("creation", "enabled" if found["creation_enabled"] else "disabled"),
            ("creations", ", ".join(f"{count} {name}" for name, count in found["creations"].items()) or "none yet"),
            ("reserve", f"{output.cycles(found['reserve'])} available, {found['alert_level']}"),
            ("admins", ", ".join(map(output.ident, found["admins"])) or "none but the controllers"),
            ("operators", ", ".join(map(output.ident, found["operators"])) or "none: nobody can run creations"),
            ("releases", ", ".join(map(output.ident, found["releases"])) or "none: nothing can be installed"),
        ],
    )


@admin.command()
@backend_command(Role.ADMIN)
def stats(ask: Ask) -> None:
    """Show how many creations were attempted, succeeded and failed, and the cycles they took."""
    counted = ask(lambda backend: backend.get_personal_canister_creation_stats())
    record(
        counted,
        [
            ("attempts", f"{counted.total_attempts:,}"),
            ("successes", f"{counted.total_successes:,}"),
            ("failures", f"{counted.total_failures:,}"),
            ("cycles consumed", output.cycles(counted.total_cycles_consumed)),
        ],
    )


# --- Roles ----------------------------------------------------------------------------------------------------------


@admin.group(invoke_without_command=True)
@click.pass_context
def admins(ctx: click.Context) -> None:
    """List, add and remove admins. Controllers of the backend are admins without being listed."""
    run_default(ctx, list_admins)


@admins.command("list")
@backend_command(Role.ADMIN)
def list_admins(ask: Ask) -> None:
    """List the admins; so does 'admins' alone."""
    _show_people("admins", ask(lambda backend: backend.list_admins()))


@admins.command("add")
@click.argument("who", type=ROLE_HOLDER, metavar="PRINCIPAL")
@backend_command(Role.ADMIN)
def add_admin(who: Principal, ask: Ask) -> None:
    """Make PRINCIPAL an admin."""
    ask(lambda backend: backend.add_admin(who))
    _show_people("admins", ask(lambda backend: backend.list_admins()))


@admins.command("remove")
@click.argument("who", type=PRINCIPAL, metavar="PRINCIPAL")
@click.option("--force", is_flag=True, help="Remove the last admin too; only a controller of the backend can.")
@backend_command(Role.ADMIN)
def remove_admin(who: Principal, force: bool, ask: Ask) -> None:
    """Take the role of an admin from PRINCIPAL."""

    async def work(backend: BackendClient) -> list[Principal]:
        before = await backend.list_admins()
        if before == [who] and not force:
            raise CommandError(
                f"{who} is the last admin; nothing was changed. Add another one first ('admin admins add PRINCIPAL'), "
                "or repeat with --force: only controllers of the backend can then add an admin"
            )
        _note_unless(who, before, "admin")
        await backend.remove_admin(who)
        # Who has just removed itself may not ask any more.
        return [admin for admin in before if admin != who]

    _show_people("admins", ask(work))


@admin.group(invoke_without_command=True)
@click.pass_context
def operators(ctx: click.Context) -> None:
    """List, add and remove operators, who run creations."""
    run_default(ctx, list_operators)


@operators.command("list")
@backend_command(Role.ADMIN)
def list_operators(ask: Ask) -> None:
    """List the operators; so does 'operators' alone."""
    _show_people("operators", ask(lambda backend: backend.list_operators()))


@operators.command("add")
@click.argument("who", type=ROLE_HOLDER, metavar="PRINCIPAL")
@backend_command(Role.ADMIN)
def add_operator(who: Principal, ask: Ask) -> None:
    """Make PRINCIPAL an operator."""
    ask(lambda backend: backend.add_operator(who))
    _show_people("operators", ask(lambda backend: backend.list_operators()))


@operators.command("remove")
@click.argument("who", type=PRINCIPAL, metavar="PRINCIPAL")
@backend_command(Role.ADMIN)
def remove_operator(who: Principal, ask: Ask) -> None:
    """Take the role of an operator from PRINCIPAL; its leases end with it."""

    async def work(backend: BackendClient) -> list[Principal]:
        _note_unless(who, await backend.list_operators(), "operator")
        await backend.remove_operator(who)
        return await backend.list_operators()

    _show_people("operators", ask(work))


def _note_unless(who: Principal, people: list[Principal], role: str) -> None:
    if who not in people:
        output.note(f"note: {who} was no {role}")


def _show_people(role: str, people: list[Principal]) -> None:
    if output.settings.json:
        output.json_object({role: people})
    else:
        output.text("\n".join(map(str, people)) or f"no {role}")


# --- Releases -------------------------------------------------------------------------------------------------------


class ModuleHashType(click.ParamType[bytes]):
    """A module's SHA-256 in hexadecimal, as `module_hash` is shown everywhere."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return from_hex(str(value), 32)
        except ValueError:
            self.fail(f"{value!r} is not a SHA-256 in hexadecimal (64 digits)", param, ctx)


@admin.group(invoke_without_command=True)
@click.pass_context
def releases(ctx: click.Context) -> None:
    """List, register and revoke the modules approved for personal canisters.

    Nothing else than an approved module is installed or accepted; what runs already is not changed by revoking.
    """
    run_default(ctx, list_releases)


@releases.command("list")
@backend_command(Role.ANYONE)
def list_releases(ask: Ask) -> None:
    """List the approved modules; so does 'releases' alone."""
    _show_releases(ask(lambda backend: backend.list_releases()))


@releases.command("register")
@click.argument("module_hash", type=ModuleHashType(), metavar="[HASH]", required=False)
@click.option("--api-version", default=API_VERSION, show_default=True, help="The module's.")
@click.option("--note", default="", help="What it is.")
@backend_command(Role.ADMIN)
def register_release(module_hash: bytes | None, api_version: str, note: str, ask: Ask) -> None:
    """Approve the module with the SHA-256 HASH; without HASH the one that comes along."""
    bundled = personal_wasm()
    chosen = module_hash or bundled.module_hash
    default_note = bundled.name if chosen == bundled.module_hash else ""
    if (nothing := _no_personal_canister(chosen)) is not None:
        raise CommandError(
            f"{chosen.hex()} is {nothing}; nothing was approved. The bundled one is registered without HASH"
        )
    if chosen != bundled.module_hash:
        output.note("note: this isn't the module that comes along, and nobody can tell from a hash what a module does")
    new = NewRelease(module_hash=chosen, api_version=api_version, note=note or default_note)
    ask(lambda backend: backend.register_release(new))
    _show_releases(ask(lambda backend: backend.list_releases()))


@releases.command("revoke")
@click.argument("module_hash", type=ModuleHashType(), metavar="HASH")
@backend_command(Role.ADMIN)
def revoke_release(module_hash: bytes, ask: Ask) -> None:
    """Approve the module with the SHA-256 HASH no longer."""

    async def work(backend: BackendClient) -> list[Release]:
        if module_hash not in {release.module_hash for release in await backend.list_releases()}:
            output.note(f"note: {module_hash.hex()} was not approved")
        await backend.revoke_release(module_hash)
        return await backend.list_releases()

    _show_releases(ask(work))


def _no_personal_canister(module_hash: bytes) -> str | None:
    """What a hash is of, where that is known to be no personal canister: what people copy by mistake."""
    known = {
        bytes(32): "no hash of anything",
        sha256(b"").digest(): "the hash of nothing",
        backend_wasm().module_hash: "the module of the backend, not of personal canisters",
        sha256(gzip.decompress(personal_wasm().wasm)).digest(): (
            "the hash of the unzipped module; the network's module hash is of the bytes that are installed, zipped"
        ),
    }
    return known.get(module_hash)


def _show_releases(approved: list[Release]) -> None:
    if output.settings.json:
        output.json_object({"releases": [release.model_dump(mode="json") for release in approved]})
    elif approved:
        rows = [
            (output.ident(r.module_hash), quoted(r.api_version, 40), moment(r.registered_at), quoted(r.note))
            for r in approved
        ]
        output.table("", rows, ("module hash", "API version", "registered", "note"))
    else:
        output.note("no module is approved, so nothing can be installed: 'admin releases register'")


# --- Creations ------------------------------------------------------------------------------------------------------


@admin.command()
@click.argument("owner", type=PRINCIPAL)
@click.option("--yes", is_flag=True, help="Don't ask.")
@backend_command(Role.ADMIN)
def clear(owner: Principal, yes: bool, ask: Ask) -> None:
    """Forget the creation of OWNER, which must have ended, so that OWNER may begin anew.

    A canister that was created stays, and stays in the registry; 'cleanup' deletes it first. Clearing a completed
    creation makes the shared capsule writable again.
    """

    async def look(backend: BackendClient) -> DetailedCreationStatus | None:
        await backend.list_admins()  # refused to everybody else, before anything is asked
        return await backend.get_user_creation_status(owner)

    creation = ask(look)
    if creation is None:
        raise CommandError(f"{output.ident(owner)} has no creation: there is nothing to clear")
    stays = f"; canister {creation.canister_id} stays, if it is there still" if creation.canister_id else ""
    confirm(f"Forget the creation of {output.ident(owner)}, which is {creation.status}{stays}?", yes)
    ask(lambda backend: backend.clear_creation_state(owner))
    done(f"The creation of {output.ident(owner)} is forgotten{stays}.", owner=owner, cleared=True)
