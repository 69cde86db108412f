"""`deploy --plan`: which steps `deploy` would do on this network, which are done already, and where it puts cycles.

Owns this plan and how it looks. Does not own: the steps (`deploy_steps`), and the form of a step (`factory.plan`). The
questions are queries and certified reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.cli import output, quantities, settings
from canister_factory.cli.amounts import CyclesPrice
from canister_factory.cli.deploy import MIN_CYCLES
from canister_factory.cli.deploy_steps import Wanted
from canister_factory.cli.plan import in_money, show_refusals, show_steps, with_money
from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.deployment import INITIAL_CYCLES, SETTINGS, is_installed
from canister_factory.factory.errors import InstallError
from canister_factory.factory.plan import State, Step
from canister_factory.factory.plan_refusals import Refusal
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import ProtocolError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, CanisterStatus

_OPERATING_MINIMUM = 2 * 10**12
"""What a new backend keeps for itself (`Reserve.defaultSettings` of the backend)."""


@dataclass(slots=True)
class DeployPlan:
    """Steps in their order; `canister` and `reserve`: the cycles that are made for each."""

    backend_id: Principal | None
    steps: list[Step] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    canister: int = 0
    reserve: int = 0

    def step(self, name: str, is_done: bool, why: str, done: str, cycles: int = 0) -> None:
        """Adds a step: `why` it is to be done, or that it is `done`."""
        self.steps.append(Step(name, State.DONE if is_done else State.TO_DO, done if is_done else why, cycles=cycles))

    def refuse(self, kind: str, message: str) -> None:
        """Adds a refusal."""
        self.refusals.append(Refusal("deploy", kind, message, retry_helps=False))


async def plan(agent: Agent, wanted: Wanted) -> DeployPlan:
    """What `deploy_steps.deploy` would do.

    Raises:
        IcError: the network failed, or has no such canister.
    """
    made = DeployPlan(wanted.canister)
    is_there = False
    status: CanisterStatus | None = None
    if wanted.canister is None:
        await agent.status()
        made.canister = INITIAL_CYCLES if wanted.cycles is None else wanted.cycles
        made.step("Creating", False, f"a canister with {quantities.cycles(made.canister)} cycles", "", made.canister)
    else:
        made.step("Creating", True, "", f"the canister {wanted.canister} is yours")
        try:
            is_there = await is_installed(agent, wanted.canister)
        except InstallError as error:
            made.refuse("InstallFailed", str(error))
            return made
        with suppress(RejectedError, ProtocolError):  # a network that tells it by an update only isn't asked
            status = await ManagementCanister(agent).canister_status(wanted.canister, certified=False)
        if not is_there and status is not None and status.cycles < MIN_CYCLES:
            balance, least = quantities.cycles(status.cycles), quantities.cycles(MIN_CYCLES)
            made.refuse("OutOfCycles", f"{wanted.canister} has {balance} cycles; an installation needs {least}")
    module_hash = backend_wasm().module_hash.hex()[:8]
    made.step("Installing", is_there, f"the bundled backend, module {module_hash}…", f"it runs {module_hash}… already")
    _settings(made, wanted, status, is_there=is_there)
    if is_there and wanted.canister is not None:
        await _of_present(made, BackendClient(agent, wanted.canister), wanted, agent.network.is_mainnet)
    else:
        _of_new(made, wanted, agent.network.is_mainnet, status)
    return made


def _settings(made: DeployPlan, wanted: Wanted, status: CanisterStatus | None, *, is_there: bool) -> None:
    """Freezing threshold and memory limit."""
    target = wanted.settings(CanisterSettings() if is_there else SETTINGS)
    values = {name: value for name, value in target if value is not None}
    is_set = status is not None and all(getattr(status.settings, name) == value for name, value in values.items())
    said = []
    if target.freezing_threshold is not None:
        said.append(f"freezing threshold {quantities.duration(target.freezing_threshold)}")
    if target.wasm_memory_limit is not None:
        said.append(f"Wasm memory of {quantities.size(target.wasm_memory_limit)} at most")
    words = ", ".join(said)
    made.step("Settings", is_set or not values, words, f"{words} already" if values else "as they are")


def _of_new(made: DeployPlan, wanted: Wanted, is_mainnet: bool, status: CanisterStatus | None) -> None:
    """What a backend gets at its installation."""
    init = wanted.first_init(is_mainnet)
    people = [*_people("operator", wanted.operators), *_people("admin besides this identity", wanted.admins)]
    made.step("Roles", not people, ", ".join(people), "none besides this identity as an admin")
    switch = "disabled" if wanted.disabled else "enabled"
    made.step("Creations", False, f"{switch}, admission {init.admission}", "")
    made.step("Release", False, f"approves the personal canister {personal_wasm().module_hash.hex()[:8]}…", "")
    balance = made.canister if status is None else status.cycles
    _reserve(made, wanted, max(0, balance - _OPERATING_MINIMUM), is_mainnet)
    made.step("Prices", False, "the network's, as far as they follow from what the new backend burns", "")


def _people(role: str, principals: Any) -> Iterator[str]:
    return (f"{role} {output.ident(principal)}" for principal in principals)


async def _of_present(made: DeployPlan, backend: BackendClient, wanted: Wanted, is_mainnet: bool) -> None:
    """What a backend lacks of what is wanted."""
    try:
        operators, admins = await backend.list_operators(), await backend.list_admins()
        reserve = await backend.get_reserve_status()
        hosting = await backend.get_personal_canister_settings()
    except CreationRefused as refusal:
        made.refuse(str(refusal.error.kind), refusal.error.message)
        return
    people = [
        *_people("operator", [one for one in wanted.operators if one not in operators]),
        *_people("admin", [one for one in wanted.admins if one not in admins]),
    ]
    made.step("Roles", not people, ", ".join(people), "as wanted already")
    init = wanted.init()
    changes = []
    if init.creation_enabled is False and await backend.is_personal_canister_creation_enabled():
        changes.append("disabled")
    if init.admission is not None and init.admission != await backend.get_admission():
        changes.append(f"admission {init.admission}")
    threshold = wanted.freezing_threshold
    if threshold is not None and hosting.freezing_threshold != threshold:
        changes.append(f"freezing threshold of new canisters {threshold:,}")
    made.step("Creations", not changes, ", ".join(changes), "as they are")
    approved = {release.module_hash for release in await backend.list_releases()}
    bundled = personal_wasm().module_hash
    shown = bundled.hex()[:8]
    made.step(
        "Release", bundled in approved, f"approves the personal canister {shown}…", f"{shown}… is approved already"
    )
    _reserve(made, wanted, reserve.available, is_mainnet)
    made.step("Prices", True, "", "as they are")


def _reserve(made: DeployPlan, wanted: Wanted, available: int, is_mainnet: bool) -> None:
    """What the reserve lacks, which test networks make."""
    if is_mainnet:
        made.step("Reserve", True, "", "on mainnet you fund it yourself: 'reserve top-up' says how")
        return
    made.reserve = max(0, wanted.reserve - available)
    lacking = (
        f"adds {quantities.cycles(made.reserve)} cycles, so that {quantities.cycles(wanted.reserve)} are available"
    )
    made.step(
        "Reserve", not made.reserve, lacking, f"{quantities.cycles(available)} are available already", made.reserve
    )


def show(made: DeployPlan, price: CyclesPrice | None, network: str) -> None:
    """Shows the plan to a person, or as JSON."""
    parts = {"canister": made.canister, "reserve": made.reserve, "needed": made.canister + made.reserve}
    if settings.current().json:
        output.json_object(
            {
                "command": "deploy",
                "ok": not made.refusals,
                "network": network,
                "backend_id": made.backend_id,
                "steps": [asdict(step) for step in made.steps],
                "cycles": parts,
                "money": in_money(parts, price),
                "refusals": [asdict(refusal) for refusal in made.refusals],
            }
        )
        return
    show_steps(made.steps)
    shown = {"canister": "the canister", "reserve": "the reserve", "needed": "in all"}
    output.table("Cycles", [(shown[name], with_money(cycles, price)) for name, cycles in parts.items()])
    show_refusals(made.refusals)
