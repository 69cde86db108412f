"""`run OWNER`: takes one creation from wherever it stands to its end, as an operator.

Owns what is shown of it. Does not own: the creation (`factory`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.options import (
    PRINCIPAL,
    backend_option,
    identity_option,
    network_options,
    output_options,
    run_with_agent,
)
from canister_factory.cli.progress import EventLines, bytes_bar
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.stages import Outcome

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@backend_option
@network_options
@identity_option
@click.option("--worker", default="canister-factory", show_default=True, help="Name under which the lease is claimed.")
@output_options
def run(owner: Principal, backend: Principal, network: Network, identity: Identity, worker: str) -> None:
    """Run the creation that OWNER asked for. Interrupted at any point, the same command goes on from there."""

    async def work(agent: Agent) -> Outcome:
        with bytes_bar("creating the personal canister", None) as advance:
            orchestrator = Orchestrator(agent, backend, FactoryConfig(worker=worker), emit=EventLines(advance))
            return await orchestrator.run(owner)

    outcome = run_with_agent(identity, network, work)
    if output.settings.json:
        output.json_object(outcome_fields(outcome))
        return
    output.table(
        "Personal canister",
        [
            ("status", outcome.creation.status),
            ("owner", outcome.creation.owner),
            ("canister", outcome.creation.canister_id),
            ("controllers after", ", ".join(map(str, outcome.controllers_after))),
            ("module hash", (outcome.module_hash or b"").hex()),
            ("manifest", (outcome.target_manifest or b"").hex()),
            ("cycles consumed", output.cycles(outcome.creation.cycles_consumed)),
            ("copied", output.size(outcome.bytes_moved)),
            ("seconds", f"{outcome.seconds:.2f}"),
        ],
    )


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """A run's outcome as JSON has it."""
    return {
        "owner": outcome.creation.owner,
        "canister_id": outcome.creation.canister_id,
        "status": outcome.creation.status,
        "controllers_before": sorted(map(str, outcome.controllers_before)),
        "controllers_after": sorted(map(str, outcome.controllers_after)),
        "module_hash": outcome.module_hash,
        "source_manifest": outcome.source_manifest,
        "target_manifest": outcome.target_manifest,
        "cycles_consumed": outcome.creation.cycles_consumed,
        "bytes_moved": outcome.bytes_moved,
        "transfer_seconds": round(outcome.transfer_seconds, 3),
        "seconds": round(outcome.seconds, 3),
    }
