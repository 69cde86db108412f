"""`owner backup|restore|download`: copies of a capsule on disk.

Owns these commands. Does not own: how a copy is made, kept and restored (`canister_factory.owner`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities
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
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.own_canister import Ask, Own, own_canister_command
from canister_factory.cli.parameter_types import ROOT_KEY
from canister_factory.cli.results import confirm, done, moment

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.progress import Advance
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network
    from canister_factory.owner.backup import BackedUp
    from canister_factory.owner.backup_files import BackupDirectory, State
    from canister_factory.owner.download import Downloaded
    from canister_factory.owner.restore import Restored


@click.command()
@directory_argument
@own_canister_command
def backup(directory: Path, ask: Ask[Own]) -> None:
    """Copy everything in your canister into DIR.

    The first backup fetches all of it, later ones what has changed; each adds a state to DIR, and none takes one away.
    What is fetched is compared with what the network certifies. When the backup is interrupted, the same command goes
    on. 'owner check' reads DIR and compares it with its hashes.

    DIR has your memories in plain form: keep it where nobody else can read or change it.
    """

    async def work(own: Own) -> BackedUp:
        from canister_factory.cli.progress import bytes_bar
        from canister_factory.factory.config import FactoryConfig
        from canister_factory.owner.backup import Backup

        target = _directory(directory, own)
        with target.locked(), bytes_bar("fetching", None) as advance:
            interrupts.if_interrupted("the same command goes on; what is there stays")
            return await Backup(own.agent, own.client, target, FactoryConfig(), on_bytes=advance).take()

    taken = ask(work)
    manifest = taken.state.manifest
    holds = f"{manifest.memories:,} memories, {quantities.size(manifest.content_size)}"
    done(
        f"{directory} has the state {taken.name}: {holds}."
        if taken.is_new
        else f"Nothing has changed since the state {taken.name}: {holds}.",
        state=taken.name,
        is_new=taken.is_new,
        manifest_hash=manifest.manifest_hash,
        memories=manifest.memories,
        content_size=manifest.content_size,
        fetched_records=taken.records,
        fetched_chunks=taken.chunks,
        fetched_bytes=taken.bytes,
    )


def _directory(path: Path, own: Own) -> BackupDirectory:
    """The backup of this capsule at `path`, made if there is none.

    Raises:
        BackupError: it can't be made or read.
        CommandError: it is of another capsule.
    """
    from canister_factory.owner.backup_files import FORMAT, About, BackupDirectory

    capsule_id = own.info.capsule_id
    if capsule_id is None:
        raise CommandError(f"{own.canister_id} has no capsule yet: its import isn't finished")
    if not (path / "backup.json").exists():
        about = About(
            format=FORMAT,
            owner=own.info.owner,
            backend=own.info.backend,
            capsule_id=capsule_id,
            canister_id=own.canister_id,
        )
        return BackupDirectory.create(path, about)
    found = BackupDirectory.open(path)
    if (found.about.owner, found.about.capsule_id) != (own.info.owner, capsule_id):
        raise CommandError(
            f"{path} has a backup of capsule {found.about.capsule_id} of {found.about.owner}; give another directory"
        )
    return found


@click.command()
@directory_argument
@state_option("check")
@click.option(
    "--root-key",
    "root_key",
    type=ROOT_KEY,
    metavar="HEX",
    help="Root key of the network that it has to be of.  [default: the Internet Computer's, else as the backup says]",
)
@output_options
def check(directory: Path, name: str | None, root_key: bytes | None) -> None:
    """Read the backup in DIR, and compare it with its hashes, and with what the network certified.

    Hashes tell damage. The certificate tells forgery: it names the canister that had this state, and when. Compare that
    with your canister's id; and of a network other than the Internet Computer give its root key.

    The exit code is 1 when something is damaged, missing or forged. Another backup into DIR fetches what is missing;
    delete what is damaged before.
    """
    target, state, name = _state(directory, name)
    told, fields = _proof(state, root_key)
    show_checked(target, name, damages_of(target.damages(state)), told, **fields)


def _proof(state: State, root_key: bytes | None) -> tuple[str, dict[str, object]]:
    """What the certificate proves: for a person, and as JSON.

    Raises:
        ForgedBackupError: that the state is none of the canister's.
    """
    from canister_factory.owner.proof import prove

    if state.proof is None:
        told = "It has no certificate, since an earlier version made it: its hashes tell damage, not forgery."
        return told, {"certified": False}
    proven = prove(state.manifest, state.proof, root_key)
    where = f"canister {proven.canister_id}"
    if not proven.is_trusted:
        where += ", by the root key that the backup names: give --root-key to be sure of the network"
    elif proven.is_mainnet:
        where += " on the Internet Computer"
    told = f"The network certified it at {moment(proven.time_ns)} for {where}."
    fields = {"canister_id": proven.canister_id, "certified_at": moment(proven.time_ns)}
    return told, {"certified": True, "is_trusted": proven.is_trusted, **fields}


def _state(directory: Path, name: str | None) -> tuple[BackupDirectory, State, str]:
    from canister_factory.owner.backup_files import BackupDirectory

    target = BackupDirectory.open(directory)
    name = chosen(target, name)
    return target, target.state(name), name


@click.command()
@restore_options("A canister without a module that you alone control.", "Don't ask for confirmation.")
def restore(
    directory: Path, canister: Principal | None, name: str | None, yes: bool, network: Network, identity: Identity
) -> None:
    """Put a backup into another canister of yours.

    All of the backup is read and compared with its hashes before anything is sent. Then the personal canister's module
    is installed in --canister, the capsule is sent, and both sides are compared. When that is interrupted, the same
    command goes on. The memories, galleries and connections have the ids that they had, and the canister the settings
    that yours had, such as its freezing threshold and who sees its status; you alone control it.
    """
    target, state, name = _state(directory, name)
    is_this_network = state.proof is not None and state.proof.root_key == network.root_key
    told, _ = _proof(state, network.root_key if is_this_network else None)
    output.note(told)
    output.note(_settings_told(state))
    require_whole(target, name, damages_of(target.damages(state)), "owner check")
    size = quantities.size(state.manifest.content_size)
    where = "a new canister" if canister is None else str(canister)
    confirm(f"Restore {state.manifest.memories:,} memories, {size}, into {where}?", yes)

    async def work(agent: Agent) -> tuple[Principal, Restored]:
        from canister_factory.cli.progress import bytes_bar
        from canister_factory.ic.management import ManagementCanister

        made = canister or await ManagementCanister(agent).provisional_create_canister_with_cycles()
        if canister is None:
            output.note(f"created {made}")
        interrupts.if_interrupted(f"'owner restore {directory} --canister {made}' goes on")
        with bytes_bar("sending", state.manifest.content_size) as advance:
            return made, await _restore(agent, made, target, state, advance)

    canister_id, restored = run_with_agent(identity, network, work)
    verification = restored.verification
    done(
        f"{canister_id} has all of it{' already' if restored.was_there else ''}: "
        f"{verification.totals.memories:,} memories, {quantities.size(verification.totals.content_size)}, and the "
        f"manifest {output.ident(verification.target_manifest.hex())} (certified). It is yours to use.",
        canister_id=canister_id,
        state=name,
        manifest_hash=verification.target_manifest,
        memories=verification.totals.memories,
        content_size=verification.totals.content_size,
        sent_bytes=restored.bytes,
        settings=None if state.settings is None else state.settings.model_dump(mode="json", exclude={"controllers"}),
    )


def _settings_told(state: State) -> str:
    """What a restored canister is set to."""
    from canister_factory.cli.owner_status import setting_rows
    from canister_factory.factory.handoff import changed_settings

    kept = state.settings
    if kept is None:
        return "The backup has no settings of the canister: those of the new one stay ('owner status' shows them)."
    others = [each for each in changed_settings(kept) if "_visibility " not in each]
    told = "; ".join([*(f"{name} {value}" for name, value in setting_rows(kept)), *others])
    return f"The canister gets the settings that the backup names, which nothing certifies: {told}."


async def _restore(
    agent: Agent, canister_id: Principal, target: BackupDirectory, state: State, advance: Advance
) -> Restored:
    from canister_factory.contract.artifacts import personal_wasm
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.events import Transferred
    from canister_factory.ic.errors import OUT_OF_CYCLES, RejectedError
    from canister_factory.owner.restore import Restore

    told = 0

    def on_event(event: object) -> None:
        nonlocal told
        if isinstance(event, Transferred):
            advance(event.bytes_done - told)
            told = event.bytes_done

    restoring = Restore(agent, canister_id, target, state, personal_wasm(), FactoryConfig(), emit=on_event)
    try:
        return await restoring.run()
    except RejectedError as error:
        if error.error_code == OUT_OF_CYCLES:
            error.add_note(
                f"'owner top-up' with --canister {canister_id} gives it cycles; then the same command goes on"
            )
        raise


@click.command()
@directory_argument
@own_canister_command
def download(directory: Path, ask: Ask[Own]) -> None:
    """Write your memories into DIR as files under their names.

    A file that is there already with the same content is left as it is. One with another content keeps its name: the
    memory gets a number behind its own. Galleries and connections are in 'owner backup'.
    """

    async def work(own: Own) -> Downloaded:
        from canister_factory.cli.progress import bytes_bar
        from canister_factory.factory.config import FactoryConfig
        from canister_factory.owner.download import Download

        interrupts.if_interrupted("the same command goes on; files that are there stay")
        with bytes_bar("downloading", None) as advance:
            return await Download(own.client, directory, FactoryConfig(), on_bytes=advance).run()

    got = ask(work)
    are = "was" if len(got.present) == 1 else "were"
    there = f"; {quantities.files(len(got.present))} {are} there already" if got.present else ""
    elsewhere = (
        f" The bytes of {len(got.elsewhere):,} memories are elsewhere: {', '.join(list(got.elsewhere)[:3])}."
        if got.elsewhere
        else ""
    )
    written = f"{quantities.files(len(got.written))}, {quantities.size(got.bytes)}"
    done(
        f"Wrote {written}, into {directory}{there}.{elsewhere}",
        directory=str(directory),
        written=[str(path) for path in got.written],
        present=[str(path) for path in got.present],
        elsewhere=got.elsewhere,
        bytes=got.bytes,
    )
