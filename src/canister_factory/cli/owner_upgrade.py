"""`owner upgrade`: a newer module for an owner's own canister.

Owns the command, and which module it is. Does not own: the upgrade (`factory.upgrading`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, settings, upgrades
from canister_factory.cli.capsule_place import canister_or_backend
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import run_with_agent
from canister_factory.cli.own_canister import find
from canister_factory.cli.results import confirm, done
from canister_factory.cli.upgrades import upgrade_options

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.artifacts import WasmModule
    from canister_factory.factory.upgrade_health import PersonalHealth
    from canister_factory.factory.upgrading import Plan, Upgraded, Upgrading
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

_DAY_NS = 86_400 * 10**9
_NEWEST = "newest"


@click.command()
@click.option("--release", metavar="HASH", default=_NEWEST, show_default=True, help="Approved module to upgrade to.")
@click.option(
    "--module",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A module of your own choice (.wasm, .wasm.gz); nobody needs to have approved it.",
)
@upgrade_options("canister")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@canister_or_backend("your canister", "Your personal canister.  [default: the one that the backend made for you]")
def upgrade(
    release: str,
    file: Path | None,
    keep_days: int,
    only_plan: bool,
    yes: bool,
    canister: Principal | None,
    backend: Principal | None,
    network: Network,
    identity: Identity,
) -> None:
    """Give your canister a newer module, with everything that it has.

    First its interface, its memory and its cycles are checked. Then the canister is stopped, a snapshot is taken, the
    module is installed, and what the canister has is compared with what it had. If anything is wrong, the canister goes
    back to the snapshot. When the command is interrupted, the same command goes on.

    With --keep-snapshot, 'owner status' and 'owner upgrade' delete the snapshot when its time is over.
    """

    async def prepared(agent: Agent) -> Upgrading:
        return await _upgrading(agent, canister, backend, release, file, keep_days * _DAY_NS)

    async def look(agent: Agent) -> Plan:
        return await (await prepared(agent)).plan()

    async def work(agent: Agent) -> Upgraded:
        upgrading = await prepared(agent)
        interrupts.if_interrupted("the canister may be stopped, or take no writes; the same command goes on")
        return await upgrading.run()

    plan = run_with_agent(identity, network, look)
    if only_plan:
        upgrades.show_plan(plan, "Upgrade of your canister")
        return
    upgrades.require_possible(plan)
    if plan.changes:
        confirm(f"Upgrade {plan.canister_id} to the module {output.ident(plan.after.hex())}? {upgrades.PAUSE}.", yes)
    upgraded = run_with_agent(identity, network, work)
    kept = "" if upgraded.kept is None else f" Its snapshot stays for {keep_days} days."
    done(
        f"{plan.canister_id} runs the module {output.ident(upgraded.after.hex())} (certified), and has everything that "
        f"it had.{kept}"
        if plan.changes
        else f"{plan.canister_id} runs the module {output.ident(plan.after.hex())} already (certified).",
        canister_id=plan.canister_id,
        **upgrades.upgraded_fields(upgraded),
    )


async def _upgrading(
    agent: Agent, canister: Principal | None, backend: Principal | None, release: str, file: Path | None, keep_ns: int
) -> Upgrading:
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.retry import Retry
    from canister_factory.factory.upgrade_health import PersonalHealth
    from canister_factory.factory.upgrading import Upgrading

    config = FactoryConfig()
    retry = Retry(config)
    health = PersonalHealth(agent, (await find(agent, canister, backend)).canister_id, config, retry)
    module = _file(file) if file is not None else await _release(agent, health, backend, release)
    return Upgrading(agent, module, health, keep_ns=keep_ns, retry=retry, say=_say)


def _say(what: str) -> None:
    if not settings.current().json:
        output.note(what)


def _file(file: Path) -> WasmModule:
    from canister_factory.contract.artifacts import WasmModule
    from canister_factory.contract.wasm_sections import metadata_of

    wasm = file.read_bytes()
    metadata_of(wasm)  # which refuses what is no module
    return WasmModule(file.name, wasm, hashlib.sha256(wasm).digest())


async def _release(agent: Agent, health: PersonalHealth, backend: Principal | None, release: str) -> WasmModule:
    """The bundled module, if it is the release that is meant.

    Raises:
        CommandError: it isn't, or nobody approved it.
    """
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.contract.artifacts import personal_wasm
    from canister_factory.factory.upgrade_record import record_in
    from canister_factory.ic.management import ManagementCanister

    module = personal_wasm()
    status = await ManagementCanister(agent).canister_status(health.canister_id)
    record = record_in(status.settings)
    if record is not None and record.target == module.module_hash and release in (_NEWEST, module.module_hash.hex()):
        return module  # it was approved when the upgrade began; the canister may be stopped
    asked = backend or (await health.info()).backend
    approved = await CheckedBackend(agent, asked).list_releases()
    if not approved:
        raise CommandError(f"the backend {asked} has approved no release; name a file with --module")
    newest = max(approved, key=lambda each: each.registered_at).module_hash.hex()
    wanted = newest if release == _NEWEST else release.lower()
    if wanted not in {each.module_hash.hex() for each in approved}:
        raise CommandError(f"{wanted} is no release that the backend {asked} approved; name a file with --module")
    if wanted != module.module_hash.hex():
        raise CommandError(
            f"this package has the module {module.module_hash.hex()}, not the release {wanted}: get the package of "
            "that release, or name its file with --module"
        )
    return module
