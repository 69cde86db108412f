"""`demo`: the whole main job on an embedded replica of its own, with a directory's files as somebody's memories.

Owns the order of the show. Does not own: the creation (`factory`), the files (`demo_files`), the comparison
(`demo_capsule`), or the network (`demo_network`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.demo_capsule import compare, fill
from canister_factory.cli.demo_files import SAMPLE, DemoFile, find_files
from canister_factory.cli.demo_network import DemoNetwork
from canister_factory.cli.options import output_options
from canister_factory.cli.progress import EventLines, bytes_bar, rate, step
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
@click.option("--keep", is_flag=True, help="Leave the replica running, and the identities' PEM files on disk.")
@output_options
def demo(directory: Path | None, keep: bool) -> None:
    """Create a personal canister from the files in DIR, on an embedded replica.

    Real files become memories on a backend canister; their owner asks for a canister of their own; the orchestrator
    creates, installs, fills, verifies and hands it over; the owner reads every byte back. Without DIR it uses a few
    files that come along.
    """
    started = time.monotonic()
    files = find_files(directory or SAMPLE, lambda why: step(f"left out: {why}"))
    where = "the files that come along" if directory is None else output.printable(str(directory))
    step(f"{len(files)} files, {output.size(sum(file.size for file in files))}, from {where}")
    with DemoNetwork(keep=keep) as network:
        step(f"embedded replica at {network.network.url}")
        result = asyncio.run(network.watched(_demo(network, files, started)))
        if output.settings.json:
            output.json_object(result.fields(network.network.url))
        else:
            result.show()
        network.explain(result.backend_id, result.canister_id)


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
            return ", ".join(sorted(f"{names.get(one, 'unknown')} {one}" for one in who))

        output.table(
            "Personal canister",
            [
                ("status", outcome.creation.status),
                ("canister", self.canister_id),
                ("controllers before", people(outcome.controllers_before)),
                ("controllers after", f"{people(outcome.controllers_after)} (certified)"),
                ("module hash", f"{(outcome.module_hash or b'').hex()} (certified)"),
                ("memories", f"{self.memories}, {output.size(self.size)}, read back by the owner: every byte equal"),
                ("source manifest", (outcome.source_manifest or b"").hex()),
                ("target manifest", f"{(outcome.target_manifest or b'').hex()} (certified)"),
                ("cycles consumed", output.cycles(outcome.creation.cycles_consumed)),
                ("reserve", f"{output.cycles(self.reserve_before)} before, {output.cycles(self.reserve_after)} after"),
                ("copying", f"{outcome.transfer_seconds:.2f} s, {rate(self.size, outcome.transfer_seconds)}"),
                ("creation", f"{outcome.seconds:.2f} s"),
                ("whole demo", f"{self.seconds:.2f} s"),
            ],
        )


async def _demo(demo_network: DemoNetwork, files: list[DemoFile], started: float) -> Result:
    identities = {role: Identity.generate() for role in ROLES}
    demo_network.keep_identities(identities)
    network = demo_network.network
    size = sum(file.size for file in files)
    async with AsyncExitStack() as stack:
        owner, operator, admin = [await stack.enter_async_context(Agent(identities[role], network)) for role in ROLES]
        owner_id, operator_id = owner.identity.sender(), operator.identity.sender()
        as_admin = await deploy_backend(admin, [operator_id])
        backend_id = as_admin.canister_id
        step(f"backend {backend_id}, admin {admin.identity.sender()}, operator {operator_id}")
        module = await register_release(as_admin)
        step(f"approved release {module.module_hash.hex()}")
        before = await _fund(admin, as_admin, size)

        as_owner = BackendClient(owner, backend_id)
        with bytes_bar("storing the files as memories", size) as advance:
            ids = await fill(as_owner, files, admin.identity.sender(), advance)
        step(f"owner {owner_id}: {len(ids)} memories, a gallery, two connections and a group")
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
