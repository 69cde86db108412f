"""`run OWNER`: takes one creation from wherever it stands to its end, as an operator.

Owns what is shown of it. Does not own: the creation (`factory`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import logs, output
from canister_factory.cli.backend import needs_role, worker_option
from canister_factory.cli.backend_check import require_backend
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import (
    PRINCIPAL,
    backend_option,
    network_options,
    output_options,
    run_with_agent,
)
from canister_factory.cli.present_canister import PresentCanister, look_at
from canister_factory.cli.progress import EventLines, bytes_bar
from canister_factory.cli.results import done
from canister_factory.cli.roles import Role
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import LeaseLostError
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.stages import Outcome
from canister_factory.factory.worker import completed_by_another

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@backend_option
@network_options
@signing_identity_option
@worker_option("canister-factory")
@output_options
@needs_role(Role.OPERATOR)
def run(owner: Principal, backend: Principal, network: Network, identity: Identity, worker: str) -> None:
    """Run the creation that OWNER asked for. Interrupted at any point, the same command goes on from there.

    Ctrl-C or SIGTERM stops it in good order: the lease is given back, and the creation stays open. A creation that is
    complete already is a success.
    """
    interrupts.if_interrupted("the creation stays open: the same command, or a worker, goes on with it")

    async def work(agent: Agent) -> Outcome | PresentCanister:
        logs.WORKER.set(worker)
        logs.OWNER.set(owner)
        await require_backend(agent, backend)
        with bytes_bar("creating the personal canister", None) as advance:
            orchestrator = Orchestrator(agent, backend, FactoryConfig(worker=worker), emit=EventLines(advance))
            try:
                return await orchestrator.run(owner)
            except (CreationRefused, LeaseLostError) as error:
                completed = await completed_by_another(orchestrator.backend, owner, error)
                if completed is None:
                    raise
                return await look_at(agent, completed)

    result = run_with_agent(identity, network, work)
    if isinstance(result, Outcome):
        _show(result)
    else:
        _show_completed(result)


def _show(outcome: Outcome) -> None:
    if output.settings.json:
        output.json_object(outcome_fields(outcome))
        return
    output.table(
        "Personal canister",
        [
            ("status", outcome.creation.status),
            ("owner", output.ident(outcome.creation.owner)),
            ("canister", outcome.creation.canister_id),
            ("controllers after", ", ".join(map(output.ident, outcome.controllers_after))),
            ("module hash", output.ident(outcome.module_hash or b"")),
            ("manifest", output.ident(outcome.target_manifest or b"")),
            ("cycles consumed", output.cycles(outcome.creation.cycles_consumed)),
            ("copied", output.size(outcome.bytes_moved)),
            ("creation", output.duration(outcome.seconds)),
        ],
    )


def _show_completed(present: PresentCanister) -> None:
    creation = present.creation
    done(
        f"The creation of {output.ident(creation.owner)} is complete already: canister {creation.canister_id}"
        + ("." if present.usable else f", but {present.message}."),
        owner=creation.owner,
        canister_id=creation.canister_id,
        status=creation.status,
        cycles_consumed=creation.cycles_consumed,
        completed_before=True,
        canister=present.presence,
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
