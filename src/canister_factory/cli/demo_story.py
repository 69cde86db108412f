"""The demo's story: a backend, an owner with files, a personal canister, and what came of it.

Owns the order of the show. Does not own: the creation (`factory`), the files (`local_files`), the comparison
(`demo_capsule`), or the network (`demo_network`).
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.cli import output, quantities
from canister_factory.cli.demo_capsule import compare, fill
from canister_factory.cli.demo_network import DemoNetwork
from canister_factory.cli.local_files import LocalFile
from canister_factory.cli.outcomes import outcome_fields
from canister_factory.cli.progress import EventLines, bytes_bar, step
from canister_factory.cli.results import moment
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fill_reserve, register_release
from canister_factory.factory.funding import need
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.ic.agent import Agent
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister

ROLES = ("owner", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Result:
    """What happened; sizes in bytes, times in seconds. `memory_size` is what the owner's `canister_status` says."""

    owner: Principal
    operator: Principal
    backend_id: Principal
    canister_id: Principal
    outcome: Outcome
    memories: int
    size: int
    reserve_before: int
    reserve_after: int
    memory_size: int
    seconds: float

    def fields(self, url: str) -> dict[str, Any]:
        """The object that --json prints."""
        outcome = outcome_fields(self.outcome)
        del outcome["bytes_moved"]
        return {
            **outcome,
            "memories": self.memories,
            "bytes": self.size,
            "memory_size": self.memory_size,
            "seconds": round(self.seconds, 3),
            "replica_url": url,
            "backend_id": self.backend_id,
            "operator": self.operator,
            "read_back": "equal",
            "reserve_before": self.reserve_before,
            "reserve_after": self.reserve_after,
            "creation_seconds": outcome["seconds"],
            "mb_per_second": round(self.size / 1e6 / max(self.outcome.transfer_seconds, 1e-9), 1),
        }

    def show(self) -> None:
        """The table for a person."""
        outcome = self.outcome
        names = {self.owner: "owner", self.operator: "operator"}
        seconds = outcome.transfer_seconds

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
                (
                    "memories",
                    f"{self.memories}, {quantities.size(self.size)}, read back by the owner: every byte equal",
                ),
                ("memory size", quantities.size(self.memory_size)),
                ("source manifest", output.ident(outcome.source_manifest or b"")),
                ("target manifest", f"{output.ident(outcome.target_manifest or b'')} (certified)"),
                ("cycles consumed", quantities.cycles(outcome.creation.cycles_consumed)),
                ("paid until", moment(outcome.creation.paid_until)),
                (
                    "reserve",
                    f"{quantities.cycles(self.reserve_before)} before, {quantities.cycles(self.reserve_after)} after",
                ),
                ("copying", f"{quantities.duration(seconds)}, {quantities.rate(self.size, seconds)}"),
                ("creation", quantities.duration(outcome.seconds)),
                ("whole demo", quantities.duration(self.seconds)),
            ],
        )
        one = self.memories == 1
        output.sentence(
            f"The {'file' if one else f'{self.memories:,} files'} of owner {output.ident(self.owner)} "
            f"{'is' if one else 'are'} on canister {self.canister_id}, which they alone control, paid until "
            f"{moment(outcome.creation.paid_until)}."
        )


async def tell(demo_network: DemoNetwork, files: list[LocalFile], started: float) -> Result:
    """Plays the story with `files`; `started` is on the monotonic clock.

    Raises:
        CommandError: a file can't be stored, or came back different.
        Exception: what backend, network and orchestrator raise.
    """
    identities = {role: Identity.generate() for role in ROLES}
    demo_network.keep_identities(identities)
    step(f"embedded replica at {demo_network.network.url}")
    size = sum(file.size for file in files)
    async with AsyncExitStack() as stack:
        owner, operator, admin = [
            await stack.enter_async_context(Agent(identities[role], demo_network.network)) for role in ROLES
        ]
        as_admin = await _deploy(admin, operator.identity.sender())
        reserve_before = await _fund(admin, as_admin, size)
        as_owner = BackendClient(owner, as_admin.canister_id)
        owner_id = owner.identity.sender()
        ids = await _store(as_owner, files, owner_id, admin.identity.sender(), size)
        outcome = await _create(as_owner, owner_id, operator, size)
        canister_id = outcome.creation.canister_id
        assert canister_id is not None
        with bytes_bar("reading everything back as the owner", size) as advance:
            await compare(as_owner, PersonalClient(owner, canister_id), files, ids, advance)
        info = await owner.canister_info(canister_id)
        outcome.controllers_after, outcome.module_hash = frozenset(info.controllers), info.module_hash
        return Result(
            owner=owner_id,
            operator=operator.identity.sender(),
            backend_id=as_admin.canister_id,
            canister_id=canister_id,
            outcome=outcome,
            memories=len(files),
            size=size,
            reserve_before=reserve_before,
            reserve_after=(await as_admin.get_reserve_status()).available,
            memory_size=(await ManagementCanister(owner).canister_status(canister_id)).memory_size,
            seconds=time.monotonic() - started,
        )


async def _deploy(admin: Agent, operator: Principal) -> BackendClient:
    backend = await deploy_backend(admin, [operator])
    people = f"admin {output.ident(admin.identity.sender())}, operator {output.ident(operator)}"
    step(f"backend {backend.canister_id}, {people}")
    module = await register_release(backend)
    step(f"approved release {output.ident(module.module_hash)}")
    return backend


async def _store(
    as_owner: BackendClient, files: list[LocalFile], owner: Principal, friend: Principal, size: int
) -> list[str]:
    with bytes_bar("storing the files as memories", size) as advance:
        ids = await fill(as_owner, files, friend, advance)
    step(f"owner {output.ident(owner)}: {len(ids)} memories, a gallery, two connections and a group")
    return ids


async def _create(as_owner: BackendClient, owner: Principal, operator: Agent, size: int) -> Outcome:
    answer = await as_owner.create_personal_canister(CreatePersonalCanisterConfig(name="Demo"))
    step(f"create_personal_canister: {quoted(answer.message)}")
    with bytes_bar("creating the personal canister", size) as advance:
        config = FactoryConfig(worker="demo")
        orchestrator = Orchestrator(operator, as_owner.canister_id, config, emit=EventLines(advance))
        return await orchestrator.run(owner)


async def _fund(admin: Agent, as_admin: BackendClient, size: int) -> int:
    """Tops the reserve up to what a capsule of this size needs and the threshold; returns what is available then."""
    empty = await as_admin.get_reserve_status()
    costs = empty.settings
    needed = need(costs, await as_admin.get_personal_canister_settings(), size).total
    # Storing the capsule costs the backend cycles as well.
    await fill_reserve(admin, as_admin.canister_id, 2 * (needed + costs.threshold))
    funded = await as_admin.get_reserve_status()
    step(
        f"reserve: {quantities.cycles(empty.available)} available, topped up to {quantities.cycles(funded.available)}; "
        f"this creation needs {quantities.cycles(needed)}"
    )
    return funded.available
