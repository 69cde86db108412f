"""`demo`: the whole main job on an embedded replica of its own, with a directory's files as somebody's memories.

Owns the order of the show. Does not own: the creation (`factory`), the files (`demo_files`), the comparison
(`demo_capsule`), or the network (`demo_network`).
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.demo_capsule import compare, fill
from canister_factory.cli.demo_files import SAMPLE, DemoFile, find_files
from canister_factory.cli.demo_network import DemoNetwork
from canister_factory.cli.errors import FAILED
from canister_factory.cli.options import output_options
from canister_factory.cli.progress import EventLines, bytes_bar, step
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.stages import Outcome
from canister_factory.ic.agent import Agent
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.identity import Identity

ROLES = ("owner", "operator", "admin")


@click.command()
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--all", "hidden", is_flag=True, help="Take hidden files and folders, too.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders of that name or path, such as '*.tmp'; repeatable.",
)
@click.option("--keep", is_flag=True, help="Leave the replica running, and the identities' PEM files on disk.")
@output_options
def demo(directory: Path | None, hidden: bool, exclude: tuple[str, ...], keep: bool) -> None:
    """Create a personal canister from the files in DIR, on an embedded replica.

    Real files become memories on a backend canister; their owner asks for a canister of their own; the orchestrator
    creates, installs, fills, verifies and hands it over; the owner reads every byte back. Without DIR it uses a few
    files that come along. Exit code 1 when a file had to be left out because it can't be read.

    \b
    Example:
      canister-factory demo ~/memories --exclude '*.tmp' --exclude drafts
    """
    interrupts.if_interrupted("nothing of the demo is kept: run it again")
    started = time.monotonic()
    found = find_files(directory or SAMPLE, lambda why: step(f"left out: {why}"), hidden=hidden, exclude=exclude)
    where = "the files that come along" if directory is None else str(directory)
    step(f"{_files(len(found.files))}, {output.size(sum(file.size for file in found.files))}, from {where}")
    with interrupts.held(), DemoNetwork(keep=keep) as network:
        result = interrupts.run(lambda: network.watched(_demo(network, found.files, started)))
        if output.settings.json:
            output.json_object({**result.fields(network.network.url), "unreadable": found.unreadable})
        else:
            result.show()
        network.explain(result.backend_id, result.canister_id)
    if found.unreadable:
        left_out = f"{_files(len(found.unreadable))} can't be read, so they were left out"
        if len(found.unreadable) == 1:
            left_out = f"{found.unreadable[0]} can't be read, so it was left out"
        output.note(f"not everything is there: {left_out}")
        click.get_current_context().exit(FAILED)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


@dataclass(frozen=True, slots=True)
class Result:
    """What happened; sizes in bytes, times in seconds."""

    owner: Principal
    operator: Principal
    backend_id: Principal
    canister_id: Principal
    outcome: Outcome
    memories: int
    size: int
    reserve_before: int
    reserve_after: int
    seconds: float

    def fields(self, url: str) -> dict[str, Any]:
        """The object that --json prints."""
        outcome = self.outcome
        return {
            "owner": self.owner,
            "canister_id": self.canister_id,
            "status": outcome.creation.status,
            "controllers_before": sorted(map(str, outcome.controllers_before)),
            "controllers_after": sorted(map(str, outcome.controllers_after)),
            "module_hash": outcome.module_hash,
            "memories": self.memories,
            "bytes": self.size,
            "source_manifest": outcome.source_manifest,
            "target_manifest": outcome.target_manifest,
            "cycles_consumed": outcome.creation.cycles_consumed,
            "seconds": round(self.seconds, 3),
            "replica_url": url,
            "backend_id": self.backend_id,
            "operator": self.operator,
            "read_back": "equal",
            "reserve_before": self.reserve_before,
            "reserve_after": self.reserve_after,
            "creation_seconds": round(outcome.seconds, 3),
            "transfer_seconds": round(outcome.transfer_seconds, 3),
            "mb_per_second": round(self.size / 1e6 / max(outcome.transfer_seconds, 1e-9), 1),
        }

    def show(self) -> None:
        """The table for a person."""
        outcome = self.outcome
        names = {self.owner: "owner", self.operator: "operator"}

        def people(who: frozenset[Principal]) -> str:
            return ", ".join(sorted(f"{names.get(one, 'unknown')} {output.ident(one)}" for one in who))

        output.table(
            "Personal canister",
            [
                ("status", outcome.creation.status),
                ("canister", self.canister_id),
                ("controllers before", people(outcome.controllers_before)),
                ("controllers after", f"{people(outcome.controllers_after)} (certified)"),
                ("module hash", f"{output.ident(outcome.module_hash or b'')} (certified)"),
                ("memories", f"{self.memories}, {output.size(self.size)}, read back by the owner: every byte equal"),
                ("source manifest", output.ident(outcome.source_manifest or b"")),
                ("target manifest", f"{output.ident(outcome.target_manifest or b'')} (certified)"),
                ("cycles consumed", output.cycles(outcome.creation.cycles_consumed)),
                ("reserve", f"{output.cycles(self.reserve_before)} before, {output.cycles(self.reserve_after)} after"),
                (
                    "copying",
                    f"{output.duration(outcome.transfer_seconds)}, {output.rate(self.size, outcome.transfer_seconds)}",
                ),
                ("creation", output.duration(outcome.seconds)),
                ("whole demo", output.duration(self.seconds)),
            ],
        )
        one = self.memories == 1
        output.sentence(
            f"The {'file' if one else f'{self.memories:,} files'} of owner {output.ident(self.owner)} "
            f"{'is' if one else 'are'} on canister {self.canister_id}, which they alone control."
        )


async def _demo(demo_network: DemoNetwork, files: list[DemoFile], started: float) -> Result:
    identities = {role: Identity.generate() for role in ROLES}
    demo_network.keep_identities(identities)
    network = demo_network.network
    step(f"embedded replica at {network.url}")
    size = sum(file.size for file in files)
    async with AsyncExitStack() as stack:
        owner, operator, admin = [await stack.enter_async_context(Agent(identities[role], network)) for role in ROLES]
        owner_id, operator_id = owner.identity.sender(), operator.identity.sender()
        as_admin = await deploy_backend(admin, [operator_id])
        backend_id = as_admin.canister_id
        step(
            f"backend {backend_id}, admin {output.ident(admin.identity.sender())}, operator {output.ident(operator_id)}"
        )
        module = await register_release(as_admin)
        step(f"approved release {output.ident(module.module_hash)}")
        before = await _fund(admin, as_admin, size)

        as_owner = BackendClient(owner, backend_id)
        with bytes_bar("storing the files as memories", size) as advance:
            ids = await fill(as_owner, files, admin.identity.sender(), advance)
        step(f"owner {output.ident(owner_id)}: {len(ids)} memories, a gallery, two connections and a group")
        answer = await as_owner.create_personal_canister(CreatePersonalCanisterConfig(name="Demo"))
        step(f"create_personal_canister: {quoted(answer.message)}")
        with bytes_bar("creating the personal canister", size) as advance:
            orchestrator = Orchestrator(operator, backend_id, FactoryConfig(worker="demo"), emit=EventLines(advance))
            outcome = await orchestrator.run(owner_id)
        assert outcome.creation.canister_id is not None
        canister_id = outcome.creation.canister_id
        with bytes_bar("reading everything back as the owner", size) as advance:
            await compare(as_owner, PersonalClient(owner, canister_id), files, ids, advance)
        info = await owner.canister_info(canister_id)
        outcome.controllers_after, outcome.module_hash = frozenset(info.controllers), info.module_hash
        after = (await as_admin.get_reserve_status()).available
    return Result(
        owner_id,
        operator_id,
        backend_id,
        canister_id,
        outcome,
        len(files),
        size,
        before,
        after,
        time.monotonic() - started,
    )


async def _fund(admin: Agent, as_admin: BackendClient, size: int) -> int:
    """Tops the reserve up to what a capsule of this size needs and the threshold; returns what is available then."""
    empty = await as_admin.get_reserve_status()
    settings = empty.settings
    needed = settings.creation_base_cycles + settings.creation_cycles_per_byte * size
    # Storing the capsule costs the backend cycles as well.
    missing = 2 * (needed + settings.threshold) - empty.available
    if missing > 0:
        await fund(admin, as_admin.canister_id, missing)
    funded = await as_admin.get_reserve_status()
    step(
        f"reserve: {output.cycles(empty.available)} available, topped up to {output.cycles(funded.available)}; "
        f"this creation needs {output.cycles(needed)}"
    )
    return funded.available
