"""A plan of a creation: what is there, what would be done and why, what it takes, and what would be refused.

Owns the steps and their form. Does not own: what is asked (`plan_facts`), what would be refused (`plan_refusals`),
cycles (`plan_cost`) and seconds (`pace`). A plan spends nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from canister_factory.candid.binding import rfc3339
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig, CreationStatus
from canister_factory.contract.import_models import ImportState
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.pace import EMBEDDED, GATEWAY, MAINNET, Pace
from canister_factory.factory.plan_cost import Cost, cost_of
from canister_factory.factory.plan_facts import NOTHING, Facts, Stored, creation_is_over, look
from canister_factory.factory.plan_refusals import Command, Refusal, asks, refusals, unknown, would_wait
from canister_factory.ic.agent import Agent


class State(StrEnum):
    """Of a step: whether the command would do anything about it."""

    TO_DO = "to do"
    SKIPPED = "skipped"
    """It is found done, by the run itself: that is asked again."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `updates`: those of it that wait for the one before. `cycles`: of the reserve."""

    name: str
    state: State
    why: str
    updates: int = 0
    cycles: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command would do. Updates, bytes and seconds are those of the run, from its claim on."""

    of: Command
    facts: Facts
    cost: Cost
    steps: tuple[Step, ...]
    refusals: tuple[Refusal, ...]
    unknown: tuple[str, ...]
    network: str
    is_embedded: bool

    @property
    def ok(self) -> bool:
        """Whether nothing would be refused, as far as is known."""
        return not self.refusals

    @property
    def updates(self) -> int:
        """Updates of the run, one after another."""
        return sum(step.updates for step in self.steps if step.name in _STAGES)

    @property
    def to_copy(self) -> int:
        """Bytes of contents that aren't in the canister yet."""
        return _left_to_copy(self.facts)

    def seconds(self, pace: Pace) -> float:
        """How long the run would take at a network's speed."""
        return pace.seconds(self.updates, self.to_copy, in_one_message=_fits(self.facts))

    @property
    def paces(self) -> tuple[Pace, ...]:
        """The networks whose speed the plan tells of."""
        return (MAINNET, GATEWAY, EMBEDDED) if self.is_embedded else (MAINNET, GATEWAY)

    def fields(self) -> dict[str, Any]:
        """As JSON; cycles, bytes and seconds are numbers."""
        facts, canister = self.facts, self.facts.canister
        creation = facts.creation
        info = canister.info if canister is not None else None
        office, paid_until_ns = facts.office, self.cost.paid_until_ns
        cost = {name: getattr(self.cost, name) for name in CYCLES}
        return {
            "command": self.of,
            "ok": self.ok,
            "owner": facts.owner,
            "network": self.network,
            "now": {
                "status": facts.status,
                "error": creation.error.message if creation is not None and creation.error is not None else None,
                "canister_id": creation.canister_id if creation is not None else None,
                "canister_exists": info is not None,
                "controllers": sorted(map(str, info.controllers)) if info is not None else [],
                "module_hash": info.module_hash if info is not None else None,
                "content_size": facts.content.size,
                "items": facts.content.items,
                "content_is_exact": facts.content.is_exact,
                "stored_size": canister.stored.size if canister is not None else 0,
            },
            "steps": [asdict(step) for step in self.steps],
            "cycles": {**cost, "at_most": self.cost.at_most, "is_told": self.cost.is_told, "prices": self.cost.prices},
            "funded_days": self.cost.funded_days,
            "paid_until": None if paid_until_ns is None else rfc3339(paid_until_ns),
            "reserve": None if office is None else {"available": office.reserve.available},
            "seconds": {pace.name: round(self.seconds(pace), 1) for pace in self.paces},
            "updates": self.updates,
            "to_copy": self.to_copy,
            "refusals": [asdict(refusal) for refusal in self.refusals],
            "unknown": list(self.unknown),
        }


CYCLES = ("creation", "importing", "life", "first", "rest", "expected", "per_year", "spent", "left", "expected_left")
_STAGES = ("Exporting", "Creating", "Installing", "Importing", "Verifying", "Completed")


async def plan(
    backend: BackendClient,
    agent: Agent,
    owner: Principal,
    of: Command = Command.ALL,
    *,
    config: FactoryConfig | None = None,
    module: WasmModule | None = None,
    asked: CreatePersonalCanisterConfig | None = None,
) -> Plan:
    """What `of` would do for `owner` now, by queries and certified reads alone.

    Args:
        backend: the backend, asked as the caller.
        agent: the caller's; asks the network about the creation's canister.
        owner: whose creation.
        of: what is planned.
        config: how a run would go, and under which worker's name.
        module: what would be installed; the bundled release unless given.
        asked: what a request would ask for.

    Raises:
        CreationRefused: the caller may not know of another's creation (kind Unauthorized).
        IcError: a query failed.
    """
    config, module = config or FactoryConfig(), module or personal_wasm()
    facts = await look(backend, agent, owner, config)
    is_embedded = (await agent.status()).is_embedded
    return made_of(facts, of, module.module_hash, network=agent.network.name, is_embedded=is_embedded, asked=asked)


def made_of(
    facts: Facts,
    of: Command,
    module_hash: bytes,
    *,
    network: str,
    is_embedded: bool,
    asked: CreatePersonalCanisterConfig | None = None,
) -> Plan:
    """The plan of `of` by what is known; `module_hash` is what would be installed."""
    cost = cost_of(facts)
    return Plan(
        of,
        facts,
        cost,
        tuple(_steps(facts, cost)),
        tuple(refusals(facts, cost, of, module_hash, worker=facts.config.worker, asked=asked)),
        tuple(unknown(facts, of)),
        network,
        is_embedded,
    )


def _steps(facts: Facts, cost: Cost) -> Iterator[Step]:
    if creation_is_over(facts.creation):
        creation = facts.creation
        assert creation is not None
        yield Step("Completed", State.DONE, f"the canister {creation.canister_id} is its owner's")
        return
    yield _request(facts)
    if asks(facts) and would_wait(facts):
        yield Step("Approval", State.TO_DO, "an admin approves it ('admin requests approve')")
    yield Step("Exporting", State.TO_DO, "takes the lease, and the manifest of the capsule", updates=1)
    yield _creating(facts, cost)
    yield _installing(facts)
    yield _importing(facts)
    yield _verifying(facts)
    yield Step(
        "Completed",
        State.TO_DO,
        f"the canister gets what it lacks, {cost.rest / 10**12:,.3f} T cycles at most; "
        "the capsule here takes no writes any more",
        updates=1,
        cycles=cost.rest,
    )


def _request(facts: Facts) -> Step:
    if facts.creation is None:
        return Step(
            "Request", State.TO_DO, "the owner asks for it ('request'), and the reserve holds its cycles", updates=1
        )
    if facts.is_undone:
        return Step("Request", State.TO_DO, "the creation was undone; the owner's 'request' begins another", updates=1)
    if facts.status == CreationStatus.Failed:
        return Step("Request", State.TO_DO, "the creation failed; the owner's 'retry' opens it again", updates=1)
    return Step("Request", State.DONE, "the owner has asked")


def _creating(facts: Facts, cost: Cost) -> Step:
    canister = facts.canister
    if canister is None or facts.creation is None:
        why = f"a canister that operator and owner control, with {cost.first / 10**12:,.3f} T cycles"
        return Step("Creating", State.TO_DO, why, updates=1, cycles=cost.first)
    state = "is there already, and paid for" if canister.info is not None else "was deleted"
    return Step("Creating", State.SKIPPED, f"the canister {facts.creation.canister_id} {state}", updates=1)


def _module(facts: Facts) -> bytes | None:
    return facts.canister.info.module_hash if facts.canister is not None and facts.canister.info is not None else None


def _is_handed_over(facts: Facts) -> bool:
    return facts.canister is not None and facts.canister.is_handed_over


def _installing(facts: Facts) -> Step:
    module_hash = _module(facts)
    if _is_handed_over(facts):
        return Step("Installing", State.SKIPPED, "the owner alone controls the canister already")
    if module_hash is not None:
        return Step("Installing", State.SKIPPED, f"it runs the module {module_hash.hex()[:8]}… already")
    return Step("Installing", State.TO_DO, "installs the approved module", updates=1)


def _stored(facts: Facts) -> Stored:
    return facts.canister.stored if facts.canister is not None else NOTHING


def _left_to_copy(facts: Facts) -> int:
    if creation_is_over(facts.creation) or _is_handed_over(facts) or _stored(facts).session == ImportState.Completed:
        return 0
    return max(0, facts.content.size - _stored(facts).size)


def _fits(facts: Facts) -> bool:
    """Whether what is left fits a message."""
    config = facts.config
    items = facts.content.items - _stored(facts).items
    return _left_to_copy(facts) <= config.max_message_bytes and items <= config.items_per_message


def _importing(facts: Facts) -> Step:
    stored = _stored(facts)
    if _is_handed_over(facts):
        return Step("Importing", State.SKIPPED, "the owner alone controls the canister already")
    if stored.session == ImportState.Completed:
        return Step("Importing", State.SKIPPED, "the import is final; what the owner wrote since is copied")
    whole = f"{facts.content.items:,} item{'s' * (facts.content.items != 1)}, {facts.content.size:,} bytes"
    if stored.size or stored.items:
        why = f"{stored.size:,} bytes of {whole} are there already; copies the rest"
    else:
        why = f"copies {whole}" + (", in one message" if _fits(facts) else "")
    is_new = _module(facts) is None
    return Step("Importing", State.TO_DO, why, updates=1 if is_new and _fits(facts) else 2)


def _verifying(facts: Facts) -> Step:
    if _is_handed_over(facts):
        verified = facts.creation is not None and facts.creation.verified
        return Step("Verifying", State.TO_DO, "the backend compares both sides", updates=0 if verified else 1)
    return Step("Verifying", State.TO_DO, "compares both sides; then the owner alone controls the canister", updates=2)
