"""What `deploy` and `upgrade` do with a backend, step by step, and what they show of it.

Owns the order of the steps, and what is said when one fails. Does not own: the steps (`factory.deployment`), and the
options (`deploy`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import output, quantities
from canister_factory.cli.admission import MEANING
from canister_factory.cli.backend_check import require_backend
from canister_factory.cli.errors import done_already
from canister_factory.cli.progress import step
from canister_factory.cli.upgrades import upgraded_fields
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import API_VERSION, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import Admission, CreationErrorKind
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.calibration import calibrated, read_burns
from canister_factory.factory.deployment import (
    INITIAL_CYCLES,
    SETTINGS,
    apply_init,
    backend_upgrading,
    fill_reserve,
    install_backend,
    register_release,
    set_backend,
)
from canister_factory.factory.errors import PriceTableError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings

if TYPE_CHECKING:
    from canister_factory.factory.upgrading import Plan
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.network import Network

_LOOK_S, _LOOKS = 0.5, 20
"""How often a backend that takes no writes yet is asked: it looks each second whether its maintenance has ended."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The backend that a person wants; amounts in cycles."""

    operators: Sequence[Principal]
    admins: Sequence[Principal]
    admission: str | None
    """A name of `Admission`; `None`: Approval on mainnet and Open elsewhere for a new backend, else as it is."""
    disabled: bool
    cycles: int | None
    """To create the canister with; `None`: as many as usual."""
    reserve: int
    canister: Principal | None
    """An empty canister to install into; `None`: a new one."""
    freezing_threshold: int | None
    """Seconds, of the backend and of new personal canisters; `None`: the usual ones of a new backend, else as it is."""
    wasm_memory_limit: int | None
    """Bytes; `None` as before."""

    def settings(self, usual: CanisterSettings) -> CanisterSettings:
        """What the backend is to be set to: what a person wants, else what is usual."""
        wanted = {"freezing_threshold": self.freezing_threshold, "wasm_memory_limit": self.wasm_memory_limit}
        return usual.model_copy(update={name: value for name, value in wanted.items() if value is not None})

    def init(self) -> BackendInit:
        """What a person wants of a backend, new or not."""
        return BackendInit(
            operators=list(self.operators),
            admins=list(self.admins),
            creation_enabled=False if self.disabled else None,
            admission=None if self.admission is None else Admission(self.admission),
        )

    def first_init(self, is_mainnet: bool) -> BackendInit:
        """The same with what is usual for a new backend: on mainnet strangers' requests cost real cycles."""
        usual = Admission.Approval if is_mainnet else Admission.Open
        init = self.init()
        return init if init.admission is not None else init.model_copy(update={"admission": usual})


async def deploy(agent: Agent, wanted: Wanted) -> dict[str, Any]:
    """Creates, installs and funds a backend, as far as that isn't done yet; the backend as JSON shows it.

    Raises:
        Exception: what the steps raise, with a note that says what was done before.
    """
    canister_id = wanted.canister
    if canister_id is None:
        interrupts.if_interrupted("a canister may have been created; its id is not known")
        cycles = INITIAL_CYCLES if wanted.cycles is None else wanted.cycles
        settings = wanted.settings(SETTINGS)
        canister_id = await ManagementCanister(agent).provisional_create_canister_with_cycles(cycles, settings)
        step(f"created canister {canister_id}")
    interrupts.if_interrupted(f"the backend is canister {canister_id}. {_continuation(canister_id)}")
    with done_already("" if wanted.canister else _done(canister_id, "was created")):
        installed = await install_backend(agent, canister_id, wanted.first_init(agent.network.is_mainnet))
    step(f"backend {canister_id}: {'installed' if installed else 'installed already'}")
    backend = BackendClient(agent, canister_id)
    with done_already(_done(canister_id, "has the backend")):
        if wanted.canister:
            await set_backend(agent, canister_id, wanted.settings(SETTINGS if installed else CanisterSettings()))
        if not installed:
            await apply_init(backend, wanted.init())
        if wanted.freezing_threshold is not None:
            await _set_freezing_threshold(backend, wanted.freezing_threshold)
        await register_release(backend)
        if not agent.network.is_mainnet:
            # Before the settings: with them the backend judges its reserve, and would warn of an empty one.
            await fill_reserve(agent, canister_id, wanted.reserve)
        if installed:
            await _set_prices(agent, backend)
        return await _described(agent, backend, installed)


async def _set_prices(agent: Agent, backend: BackendClient) -> None:
    """The network's own, as far as they follow from what the new backend burns; else it keeps the dearest known."""
    try:
        prices = calibrated(await read_burns(agent, [backend.canister_id]), agent.root_key)
    except PriceTableError:
        return
    settings = (await backend.get_reserve_status()).settings
    await backend.set_reserve_settings(settings.model_copy(update={"prices": prices}))


async def _set_freezing_threshold(backend: BackendClient, seconds: int) -> None:
    """Of new personal canisters; the backend reckons with it for itself as well."""
    present = await backend.get_personal_canister_settings()
    if present.freezing_threshold != seconds:
        await backend.set_personal_canister_settings(present.model_copy(update={"freezing_threshold": seconds}))


async def plan_upgrade(agent: Agent, backend_id: Principal) -> Plan:
    """What `upgrade` would do.

    Raises:
        Exception: the canister can't be looked at, or is no backend of the caller's.
    """
    await require_backend(agent, backend_id)
    return await (await backend_upgrading(agent, backend_id)).plan()


async def upgrade(agent: Agent, backend_id: Principal, release: bool, keep_ns: int) -> dict[str, Any]:
    """Upgrades a backend to the bundled module; the backend as JSON shows it. `release`: approves the bundled one.

    Raises:
        Exception: what the steps raise, with a note that says what was done before.
    """
    await require_backend(agent, backend_id)
    interrupts.if_interrupted("the backend may be stopped, or take no writes. The same command continues")
    upgrading = await backend_upgrading(agent, backend_id, keep_ns=keep_ns, say=step)
    change = await upgrading.run()
    client = BackendClient(agent, backend_id)
    with done_already(f"The backend {backend_id} was upgraded" if change.changed else ""):
        if release:
            await _register(client, change.changed)
        return {
            "backend_id": backend_id,
            **upgraded_fields(change),
            "api_version": await client.get_api_version(),
            "releases": [release.module_hash for release in await client.list_releases()],
        }


async def _register(client: BackendClient, is_upgraded: bool) -> None:
    """Approves the bundled release: a backend that was just upgraded takes that once it saw its maintenance end."""
    for _ in range(_LOOKS if is_upgraded else 1):
        try:
            await register_release(client)
            return
        except CreationRefused as refusal:
            if refusal.error.kind != CreationErrorKind.Disabled:
                raise
            last = refusal
            await asyncio.sleep(_LOOK_S)
    raise last


def show_deployed(deployed: dict[str, Any], network: Network) -> None:
    """Shows a person the backend, and what to do next."""
    output.table(
        "Backend",
        [
            ("backend", deployed["backend_id"]),
            ("module hash", f"{output.ident(deployed['module_hash'])} (certified)"),
            ("approved release", output.ident(deployed["personal_module_hash"])),
            ("API version", quoted(deployed["api_version"], 40)),
            ("admins", ", ".join(map(output.ident, deployed["admins"])) or "none"),
            ("operators", ", ".join(map(output.ident, deployed["operators"])) or "none"),
            ("creation", "enabled" if deployed["creation_enabled"] else "disabled"),
            ("admission", f"{deployed['admission']}: {MEANING[deployed['admission']]}"),
            ("reserve", f"{quantities.cycles(deployed['reserve'])} available"),
        ],
    )
    _show_next_steps(deployed, network)


def show_upgraded(upgraded: dict[str, Any]) -> None:
    """Shows a person the module hashes before and after."""
    output.table(
        "Backend",
        [
            ("backend", upgraded["backend_id"]),
            ("upgrade", "done" if upgraded["changed"] else "not needed: the backend has this module already"),
            ("module hash before", f"{output.ident(upgraded['module_hash_before'])} (certified)"),
            ("module hash", f"{output.ident(upgraded['module_hash'])} (certified)"),
            ("API version", quoted(upgraded["api_version"], 40)),
            ("approved releases", ", ".join(map(output.ident, upgraded["releases"])) or "none"),
        ],
    )


def _done(canister_id: Principal, what: str) -> str:
    return f"The canister {canister_id} {what}. {_continuation(canister_id)}"


def _continuation(canister_id: Principal) -> str:
    return f"'deploy --canister {canister_id}' continues"


async def _described(agent: Agent, client: BackendClient, installed: bool) -> dict[str, Any]:
    """The backend as it is now; the module hash is certified."""
    module_hash = (await agent.canister_info(client.canister_id)).module_hash
    return {
        "backend_id": client.canister_id,
        "installed": installed,
        "module_hash": module_hash,
        "personal_module_hash": personal_wasm().module_hash,
        "api_version": API_VERSION,
        "admins": await client.list_admins(),
        "operators": await client.list_operators(),
        "creation_enabled": await client.is_personal_canister_creation_enabled(),
        "admission": str(await client.get_admission()),
        "reserve": (await client.get_reserve_status()).available,
        "network": agent.network.name,
        "url": agent.network.url,
    }


def _show_next_steps(deployed: dict[str, Any], network: Network) -> None:
    backend_id = deployed["backend_id"]
    output.note("What to do next:")
    output.verbatim(f"  export CANISTER_FACTORY_BACKEND={backend_id}")
    if not deployed["operators"]:
        output.verbatim("  canister-factory admin operators add PRINCIPAL   # who runs creations")
    if network.is_mainnet:
        output.verbatim("  canister-factory reserve top-up 5T               # shows how to send cycles to the reserve")
    if not deployed["creation_enabled"]:
        output.verbatim("  canister-factory admin enable                    # accept requests")
    if deployed["admission"] == "Approval":
        output.verbatim("  canister-factory admin requests                  # who waits for approval")
    output.verbatim("  canister-factory worker --identity OPERATOR.pem  # creates what owners ask for")
