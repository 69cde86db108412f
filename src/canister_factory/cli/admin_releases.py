"""`admin releases`: the modules that may run in personal canisters.

Owns these commands. Does not own: the bundled modules (`contract.artifacts`).
"""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, settings
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import CommandError
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.parameter_types import MODULE_HASH
from canister_factory.cli.results import moment
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.creation_models import Release


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def releases(ctx: click.Context) -> None:
    """List, register and revoke the modules approved for personal canisters.

    Only an approved module is installed or accepted. Revoking a module changes no canister that runs it.
    """
    run_default(ctx, list_releases)


@releases.command("list")
@backend_command(Role.ANYONE)
def list_releases(ask: Ask) -> None:
    """List the approved modules. 'releases' alone does the same."""
    _show(ask(lambda backend: backend.list_releases()))


@releases.command("register")
@click.argument("module_hash", type=MODULE_HASH, metavar="[HASH]", required=False)
@click.option("--api-version", help="API version of the module.  [default: that of the bundled personal canister]")
@click.option("--note", default="", help="Description of the module.")
@backend_command(Role.ADMIN)
def register_release(module_hash: bytes | None, api_version: str | None, note: str, ask: Ask) -> None:
    """Approve the module with the SHA-256 HASH.

    Without HASH the command approves the bundled personal canister.
    """
    from canister_factory.contract.artifacts import API_VERSION, personal_wasm
    from canister_factory.contract.creation_models import NewRelease

    bundled = personal_wasm()
    chosen = module_hash or bundled.module_hash
    default_note = bundled.name if chosen == bundled.module_hash else ""
    mistake = _mistaken_hash(chosen)
    if mistake is not None:
        raise CommandError(
            f"{chosen.hex()} is {mistake}; nothing was approved. Leave HASH out to approve the bundled module"
        )
    if chosen != bundled.module_hash:
        output.note("note: this is not the bundled module. A hash does not show what a module does")
    new = NewRelease(module_hash=chosen, api_version=api_version or API_VERSION, note=note or default_note)
    ask(lambda backend: backend.register_release(new))
    _show(ask(lambda backend: backend.list_releases()))


@releases.command("revoke")
@click.argument("module_hash", type=MODULE_HASH, metavar="HASH")
@backend_command(Role.ADMIN)
def revoke_release(module_hash: bytes, ask: Ask) -> None:
    """Withdraw the approval of the module with the SHA-256 HASH."""

    async def work(backend: BackendClient) -> list[Release]:
        if module_hash not in {release.module_hash for release in await backend.list_releases()}:
            output.note(f"note: {module_hash.hex()} was not approved")
        await backend.revoke_release(module_hash)
        return await backend.list_releases()

    _show(ask(work))


def _mistaken_hash(module_hash: bytes) -> str | None:
    """What a hash is of, when that is no personal canister: hashes that people copy by mistake."""
    from canister_factory.contract.artifacts import backend_wasm, personal_wasm

    mistakes = {
        bytes(32): "no hash of anything",
        sha256(b"").digest(): "the hash of nothing",
        backend_wasm().module_hash: "the module of the backend, not of personal canisters",
        sha256(gzip.decompress(personal_wasm().wasm)).digest(): (
            "the hash of the unzipped module; the network's module hash is of the bytes that are installed, zipped"
        ),
    }
    return mistakes.get(module_hash)


def _show(approved: list[Release]) -> None:
    if settings.current().json:
        output.json_object({"releases": [release.model_dump(mode="json") for release in approved]})
    elif approved:
        rows = [
            (
                output.ident(release.module_hash),
                quoted(release.api_version, 40),
                moment(release.registered_at),
                quoted(release.note),
            )
            for release in approved
        ]
        output.table("", rows, ("module hash", "API version", "registered", "note"))
    else:
        output.note("no module is approved, so nothing can be installed. 'admin releases register' approves one")
