"""`backend backup|check|restore`: copies of a backend on disk, for the day when it is lost.

Owns these commands. Does not own: how a copy is made, kept and restored (`canister_factory.operating`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities, settings
from canister_factory.cli.backend import signed_backend_options
from canister_factory.cli.copies import (
    chosen,
    damages_of,
    directory_argument,
    require_whole,
    restore_options,
    show_checked,
    state_option,
)
from canister_factory.cli.errors import CommandError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.results import done, moment

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.admin_models import BackendInventory
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network
    from canister_factory.operating.backup import BackendBackedUp
    from canister_factory.operating.open_creations import OpenCreation
    from canister_factory.operating.restore import BackendRestored
    from canister_factory.operating.snapshot_files import SnapshotDirectory, SnapshotState


@click.group(cls=CommandGroup)
def backend() -> None:
    """Keep copies of a backend, and restore one that is lost.

    \b
    Example:
      canister-factory backend backup /safe/backend --identity admin.pem \\
        --backend $BACKEND
      canister-factory backend restore /safe/backend --new \\
        --identity admin.pem
    """


@backend.command()
@directory_argument
@signed_backend_options
@output_options
def backup(directory: Path, backend: Principal, network: Network, identity: Identity) -> None:
    """Copy the whole backend into DIR: all capsules, the registry, the settings.

    The identity must be a controller of the backend. The backend is stopped while the network takes a snapshot of it,
    for some seconds; then it runs on while the snapshot is read. What DIR has already is not written again. When the
    backup is interrupted, the same command goes on: it starts the backend, reads the snapshot to its end, deletes it.

    DIR has everybody's capsules in plain form: keep it where nobody else can read or change it.
    """

    async def work(agent: Agent) -> BackendBackedUp:
        from canister_factory.cli.backend_check import require_backend
        from canister_factory.cli.progress import bytes_bar, step
        from canister_factory.factory.config import FactoryConfig
        from canister_factory.operating.backup import BackendBackup

        await require_backend(agent, backend)
        target = await _directory(directory, agent, backend)
        with target.locked(), bytes_bar("reading", None) as advance:
            interrupts.if_interrupted(
                "the same command goes on: it starts the backend, and reads the snapshot to its end"
            )
            return await BackendBackup(agent, backend, target, FactoryConfig(), on_bytes=advance, say=step).take()

    taken = run_with_agent(identity, network, work)
    state = taken.state
    done(
        f"{directory} has the state {taken.name}: {_holds(state.inventory)}, {quantities.size(state.size)}, of which "
        f"{quantities.size(taken.new_bytes)} are new.",
        state=taken.name,
        taken_at=moment(state.taken_at_ns),
        canister_id=state.canister_id,
        module_hash=state.module_hash,
        inventory=state.inventory and state.inventory.model_dump(mode="json"),
        is_exact=state.is_exact,
        size=state.size,
        read_bytes=taken.read_bytes,
        new_bytes=taken.new_bytes,
    )


def _holds(inventory: BackendInventory | None) -> str:
    if inventory is None:
        return "a backend that can't say what it holds"
    return (
        f"{inventory.capsules:,} capsules with {inventory.memories:,} memories, {inventory.canisters:,} personal "
        f"canisters, {inventory.open_creations:,} open creations"
    )


async def _directory(path: Path, agent: Agent, backend: Principal) -> SnapshotDirectory:
    """The backup of this backend, by whatever id it had, at `path`; made if there is none.

    Raises:
        BackupError: it can't be made or read.
        CommandError: it is of another backend.
    """
    from canister_factory.contract.clients import BackendClient
    from canister_factory.operating.snapshot_files import SnapshotDirectory

    root_key = agent.network.root_key
    if not (path / "backup.json").exists():
        return SnapshotDirectory.create_for(backend, root_key, path)
    about = (found := SnapshotDirectory.open(path)).about
    is_its = about.backend == backend or about.backend in await BackendClient(agent, backend).get_backend_ids()
    if not is_its or about.root_key != root_key.hex():
        raise CommandError(f"{path} has a backup of backend {about.backend}; give another directory")
    return found


def _state(directory: Path, name: str | None) -> tuple[SnapshotDirectory, SnapshotState, str]:
    from canister_factory.operating.snapshot_files import SnapshotDirectory

    target = SnapshotDirectory.open(directory)
    name = chosen(target, name)
    return target, target.state(name), name


@backend.command()
@directory_argument
@state_option("check")
@output_options
def check(directory: Path, name: str | None) -> None:
    """Read the backup in DIR, and compare it with its hashes.

    The exit code is 1 when something is damaged or missing. Delete what is damaged; another backup reads it again.
    """
    target, state, name = _state(directory, name)
    taken = moment(state.taken_at_ns)
    found = f"It is of {taken}: {_holds(state.inventory)}, {quantities.size(state.size)}."
    show_checked(target, name, damages_of(target.damages(state)), found, taken_at=taken, size=state.size)


@backend.command()
@restore_options("A canister that you control, without a module.", "Replace what --canister has, if it has a module.")
def restore(
    directory: Path, canister: Principal | None, name: str | None, yes: bool, network: Network, identity: Identity
) -> None:
    """Put a backup of a backend into a canister, and compare what it holds then.

    All of the backup is read and compared with its hashes before anything is sent. Then it is uploaded as a snapshot
    and loaded. When that is interrupted, the same command goes on. What was written after the backup is lost.

    The canister may be the lost one, or another one: give its id to workers and owners then. The command lists the
    creations that were open, and what becomes of each.
    """
    target, state, name = _state(directory, name)
    require_whole(target, name, damages_of(target.damages(state)), "backend check")
    newer = "" if name == target.names()[-1] else f"; {directory} has a newer state, {target.names()[-1]}"
    output.note(f"restoring the state of {moment(state.taken_at_ns)}: what was written later is not in it{newer}")

    async def work(agent: Agent) -> tuple[BackendRestored, list[OpenCreation]]:
        made = canister or await _created(agent, state)
        interrupts.if_interrupted(f"'backend restore {directory} --canister {made}' goes on")
        return await _restore(agent, made, target, state, name, yes)

    restored, open_creations = run_with_agent(identity, network, work)
    _show(restored, open_creations, state)


async def _created(agent: Agent, state: SnapshotState) -> Principal:
    """A canister with the backup's settings.

    Raises:
        CommandError: on mainnet cycles are somebody's own.
    """
    from canister_factory.ic.management import ManagementCanister
    from canister_factory.ic.management_types import CanisterSettings

    if agent.network.is_mainnet:
        raise CommandError(
            "on mainnet you pay for the canister: create one with your own cycles, for example with 'icp canister "
            "create', and give its id with --canister"
        )
    limits = CanisterSettings(freezing_threshold=state.freezing_threshold_s, wasm_memory_limit=state.wasm_memory_limit)
    made = await ManagementCanister(agent).provisional_create_canister_with_cycles(settings=limits)
    output.note(f"created {made}")
    return made


async def _restore(
    agent: Agent, canister_id: Principal, target: SnapshotDirectory, state: SnapshotState, name: str, yes: bool
) -> tuple[BackendRestored, list[OpenCreation]]:
    from canister_factory.cli.progress import bytes_bar
    from canister_factory.contract.clients import BackendClient
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.operating.open_creations import fates
    from canister_factory.operating.restore import BackendRestore

    with target.locked(), bytes_bar("sending", state.size) as advance:
        config = FactoryConfig()
        restore = BackendRestore(agent, canister_id, target, name, state, config, overwrite=yes, on_bytes=advance)
        restored = await restore.run()
    return restored, [each async for each in fates(agent, BackendClient(agent, canister_id))]


def _show(restored: BackendRestored, open_creations: list[OpenCreation], state: SnapshotState) -> None:
    from canister_factory.operating.open_creations import MEANING

    compared = (
        "as the backup says" if restored.is_compared else "owners wrote during the backup, so nothing is compared"
    )
    done(
        f"{restored.canister_id} has the backend of {moment(state.taken_at_ns)}: {_holds(restored.inventory)} "
        f"({compared}).",
        canister_id=restored.canister_id,
        backend_ids=restored.ids,
        taken_at=moment(state.taken_at_ns),
        module_hash=state.module_hash,
        inventory=restored.inventory.model_dump(mode="json"),
        is_compared=restored.is_compared,
        sent_bytes=restored.sent_bytes,
        former_controllers=state.controllers,
        open_creations=[
            {**each.request.model_dump(mode="json"), "fate": str(each.fate), "meaning": MEANING[each.fate]}
            for each in open_creations
        ],
    )
    if settings.current().json:
        return
    if open_creations:
        rows = [(output.ident(each.request.owner), each.request.status, MEANING[each.fate]) for each in open_creations]
        output.table("Open creations", rows, ("owner", "stage", "what becomes of it"))
    others = ", ".join(map(output.ident, state.controllers))
    output.note(f"It was controlled by {others}: 'icp canister settings update --add-controller' adds who is missing.")
    if restored.canister_id != state.canister_id:
        output.note(f"Give workers and owners its id: export CANISTER_FACTORY_BACKEND={restored.canister_id}")
        output.note(f"Owners tell their canisters: 'owner backend {restored.canister_id}'.")
    output.note("'reserve status' shows its cycles: creations wait until there are enough.")
