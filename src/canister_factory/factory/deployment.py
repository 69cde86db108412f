"""Setting up a factory: a backend created out of nothing where that works, installed, upgraded, its reserve funded.

Owns these steps, and that each can be repeated without harm to what is there. Does not own: mainnet's ways to create
canisters and to send them cycles, which need a person's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal, PrincipalLike, as_principal
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import (
    API_VERSION,
    WasmModule,
    backend_interface,
    backend_wasm,
    personal_wasm,
)
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import NewRelease
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import InstallError
from canister_factory.factory.funding import check_prices
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import BackendHealth
from canister_factory.factory.upgrading import Upgraded, Upgrading
from canister_factory.ic.agent import Agent
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings

INITIAL_CYCLES = 3_000_000_000_000
"""Enough for the backend itself; creations need the reserve to be funded on top (`fund`)."""

FREEZING_THRESHOLD_S = 90 * 86_400
"""Seconds of idling that a canister of the factory can pay for, or else it is frozen and can still be topped up."""

WASM_MEMORY_LIMIT = 4 * 2**30
"""Bytes of the backend's Wasm memory. Its heap takes nothing more from 3 GiB on, by default (`Quotas.heap_bytes`); the
rest is for collecting it."""

SETTINGS = CanisterSettings(freezing_threshold=FREEZING_THRESHOLD_S, wasm_memory_limit=WASM_MEMORY_LIMIT)
"""What a backend is set to. New personal canisters get the backend's `PersonalCanisterSettings`."""


async def deploy_backend(
    agent: Agent,
    operators: Iterable[PrincipalLike] = (),
    *,
    cycles: int = INITIAL_CYCLES,
    settings: CanisterSettings = SETTINGS,
) -> BackendClient:
    """Creates and installs a backend with the agent's identity as controller, and so as its first admin.

    Test networks only: `provisional_create_canister_with_cycles` makes cycles out of nothing, and mainnet rejects it.
    There, create a canister with cycles of your own and use `install_backend`.

    Args:
        agent: whose identity becomes the controller.
        operators: who may run creations.
        cycles: what the canister gets; creations are paid from what is added later (`fund`, `fill_reserve`).
        settings: what the canister is set to.

    Raises:
        PrincipalError: an operator's id is none; nothing was created.
        RejectedError: the network doesn't create canisters this way.
        IcError: the network failed.
    """
    init = BackendInit(operators=[as_principal(operator) for operator in operators])
    canister_id = await ManagementCanister(agent).provisional_create_canister_with_cycles(cycles, settings)
    await install_backend(agent, canister_id, init)
    return BackendClient(agent, canister_id)


async def install_backend(agent: Agent, canister_id: PrincipalLike, init: BackendInit | None = None) -> bool:
    """Installs the bundled backend into an empty canister; returns False when it runs there already.

    Args:
        agent: calls as a controller of the canister.
        canister_id: the canister.
        init: roles, switch, limits, admission and reserve settings to begin with. A backend that is there keeps its
            own: `apply_init` changes them.

    Raises:
        PrincipalError: the id is none.
        InstallError: the canister is another identity's, or runs any other module.
        PriceTableError: the reserve's prices are another network's; nothing was done.
        IcError: the network failed, or rejected the installation.
    """
    canister_id = as_principal(canister_id)
    if init is not None and init.reserve is not None:
        check_prices(init.reserve.prices, agent.root_key)
    if await is_installed(agent, canister_id):
        return False
    argument = encode(backend_interface().init_args, [to_candid(BackendInit | None, init)])
    await ManagementCanister(agent).install(canister_id, backend_wasm().wasm, argument)
    return True


async def is_installed(agent: Agent, canister_id: Principal) -> bool:
    """Whether a canister runs the bundled backend; false for an empty one, which it can be installed into.

    Raises:
        InstallError: the canister is another identity's, or runs any other module.
        IcError: the network failed.
    """
    info = await _controlled(agent, canister_id)
    if info.module_hash not in (None, backend_wasm().module_hash):
        raise InstallError(
            f"{canister_id} runs the module {info.module_hash.hex()} already, and installing would destroy its data; "
            "use `upgrade` if it is an older backend, or an empty canister if it isn't",
            canister_id=canister_id,
        )
    return info.module_hash is not None


async def set_backend(agent: Agent, canister_id: PrincipalLike, settings: CanisterSettings) -> bool:
    """Sees to it that a canister is set as `settings` say, as far as they say something; whether that changed anything.

    As a controller.

    Raises:
        PrincipalError: the id is none.
        IcError: the network failed, or refused the settings: a memory limit below what is used, a threshold that the
            balance doesn't cover.
    """
    management = ManagementCanister(agent)
    present = (await management.canister_status(canister_id)).settings
    wanted = {name: value for name, value in settings if value is not None}
    if all(getattr(present, name) == value for name, value in wanted.items()):
        return False
    await management.update_settings(canister_id, settings)
    return True


async def apply_init(backend: BackendClient, init: BackendInit) -> None:
    """Makes a backend that was installed before have what `init` gives; as an admin.

    Roles are added to those that there are. Whatever `init` leaves out stays as it is.

    Raises:
        CreationRefused: the caller isn't an admin, or a limit can't be used.
        IcError: the network failed.
    """
    for operator in set(init.operators or ()) - set(await backend.list_operators()):
        await backend.add_operator(operator)
    for admin in set(init.admins or ()) - set(await backend.list_admins()):
        await backend.add_admin(admin)
    if init.creation_enabled is not None:
        await backend.set_personal_canister_creation_enabled(init.creation_enabled)
    if init.reserve is not None:
        await backend.set_reserve_settings(init.reserve)
    if init.limits is not None:
        await backend.set_creation_limits(init.limits)
    if init.quotas is not None:
        await backend.set_quotas(init.quotas)
    if init.personal_canister_settings is not None:
        await backend.set_personal_canister_settings(init.personal_canister_settings)
    if init.admission is not None:
        await backend.set_admission(init.admission)


async def upgrade_backend(
    agent: Agent, canister_id: PrincipalLike, *, say: Callable[[str], None] = lambda _: None
) -> Upgraded:
    """Upgrades a backend to the bundled module, or leaves it with the module and everything that it had (`Upgrading`).

    Args:
        agent: calls as a controller of the canister.
        canister_id: the backend.
        say: told of each step.

    Raises:
        PrincipalError: the id is none.
        InstallError: the canister is another identity's, is empty, isn't a backend, or is one of a build that kept
            contents elsewhere.
        UpgradeError: the upgrade isn't possible, or was taken back.
        IcError: the network failed; the same call goes on.
    """
    return await (await backend_upgrading(agent, canister_id, say=say)).run()


async def backend_upgrading(
    agent: Agent, canister_id: PrincipalLike, *, keep_ns: int = 0, say: Callable[[str], None] = lambda _: None
) -> Upgrading:
    """The upgrade of a backend to the bundled module, to be looked at (`plan`) or done (`run`).

    `keep_ns`: how long the snapshot stays. The other parameters, and the errors, are those of `upgrade_backend`.
    """
    canister_id = as_principal(canister_id)
    info = await _controlled(agent, canister_id)
    module = backend_wasm()
    if info.module_hash is None:
        raise InstallError(
            f"{canister_id} has no module yet; install the backend with `deploy --canister {canister_id}`",
            canister_id=canister_id,
        )
    if info.module_hash != module.module_hash:
        await _require_upgradable(agent, canister_id, info.module_hash)
    retry = Retry(FactoryConfig())
    health = BackendHealth(agent, canister_id, retry)
    return Upgrading(agent, module, health, keep_ns=keep_ns, retry=retry, say=say)


async def _require_upgradable(agent: Agent, canister_id: Principal, module_hash: bytes) -> None:
    if not await is_backend(agent, canister_id):
        raise InstallError(
            f"{canister_id} runs the module {module_hash.hex()}, which is not a backend by its interface; it was "
            "left as it is",
            canister_id=canister_id,
        )
    if await _keeps_contents_in_heap(agent, canister_id):
        raise InstallError(
            f"the backend {canister_id} is of a build before 0.1.0 (module {module_hash.hex()}), which keeps "
            "contents in its heap; this build keeps them in stable memory and can't take them over, so it was left "
            "as it is. Deploy a new backend, and move what is there by its interface",
            canister_id=canister_id,
        )


async def is_backend(agent: Agent, canister_id: PrincipalLike) -> bool:
    """Whether a canister's certified interface is a backend's, of whatever version or build.

    Raises:
        IcError: the interface can't be read.
    """
    interface = await agent.metadata(canister_id, "candid:service")
    return interface is not None and b"add_operator" in interface


async def _keeps_contents_in_heap(agent: Agent, canister_id: Principal) -> bool:
    """Whether a backend's stable types have chunks of contents as blobs instead of extents of a region."""
    stable_types = await agent.metadata(canister_id, "motoko:stable-types")
    return stable_types is not None and b"Chunk" in stable_types and b"= Region;" not in stable_types


async def register_release(backend: BackendClient, module: WasmModule | None = None, note: str = "") -> WasmModule:
    """Approves a module for personal canisters, the bundled one unless given; as an admin. Does nothing if it is.

    Raises:
        CreationRefused: the caller isn't an admin.
        IcError: the network failed.
    """
    module = module or personal_wasm()
    if module.module_hash not in {release.module_hash for release in await backend.list_releases()}:
        await backend.register_release(
            NewRelease(module_hash=module.module_hash, api_version=API_VERSION, note=note or module.name)
        )
    return module


async def fund(agent: Agent, backend_id: PrincipalLike, cycles: int) -> None:
    """Adds cycles to the backend's balance, which its reserve is part of. Test networks only.

    Raises:
        RejectedError: the network doesn't add cycles this way.
        IcError: the network failed.
    """
    await ManagementCanister(agent).provisional_top_up_canister(backend_id, cycles)


async def fill_reserve(agent: Agent, backend_id: PrincipalLike, available: int) -> int:
    """Adds what the reserve lacks of `available` cycles for creations, and returns how many that were.

    As an admin or an operator, on test networks only.

    Raises:
        CreationRefused: the caller is neither; nothing was added.
        RejectedError: the network doesn't add cycles this way.
        IcError: the network failed.
    """
    lacking = available - (await BackendClient(agent, backend_id).get_reserve_status()).available
    if lacking > 0:
        await fund(agent, backend_id, lacking)
    return max(lacking, 0)


async def _controlled(agent: Agent, canister_id: Principal) -> CanisterInfo:
    """Certified facts about a canister that the agent's identity controls.

    Raises:
        InstallError: others control it.
    """
    info = await agent.canister_info(canister_id)
    caller = Principal(agent.identity.sender().bytes)
    if caller not in info.controllers:
        names = ", ".join(map(str, info.controllers)) or "nobody"
        raise InstallError(
            f"{canister_id} is not controlled by {caller}, but by {names}; use the identity of a controller",
            canister_id=canister_id,
        )
    return info
