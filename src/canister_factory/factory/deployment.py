"""Bringing a backend to a test network: created out of nothing, installed, its reserve funded.

Owns these steps. Does not own: mainnet, where canisters are created with a person's own cycles.
"""

from __future__ import annotations

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encode import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import (
    API_VERSION,
    WasmModule,
    backend_interface,
    backend_wasm,
    personal_wasm,
)
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import NewRelease
from canister_factory.contract.reserve_models import BackendInit
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister

INITIAL_CYCLES = 3_000_000_000_000
"""Enough for the backend itself; creations need the reserve to be funded on top (`fund`)."""


async def deploy_backend(
    agent: Agent, operators: list[Principal], *, cycles: int = INITIAL_CYCLES, init: BackendInit | None = None
) -> BackendClient:
    """Creates and installs a backend with the agent's identity as controller, and so as its first admin.

    Test networks only: `provisional_create_canister_with_cycles` makes cycles out of nothing, and mainnet rejects it.
    """
    management = ManagementCanister(agent)
    canister_id = await management.provisional_create_canister_with_cycles(cycles)
    argument = encode(
        backend_interface().init_args, [to_candid(BackendInit | None, init or BackendInit(operators=operators))]
    )
    await management.install(canister_id, backend_wasm().wasm, argument)
    return BackendClient(agent, canister_id)


async def register_release(backend: BackendClient, module: WasmModule | None = None, note: str = "") -> WasmModule:
    """Approves a module for personal canisters, the bundled one unless given; as an admin."""
    module = module or personal_wasm()
    await backend.register_release(
        NewRelease(module_hash=module.module_hash, api_version=API_VERSION, note=note or module.name)
    )
    return module


async def fund(agent: Agent, backend_id: Principal, cycles: int) -> None:
    """Adds cycles to the backend's balance, which its reserve is part of. Test networks only."""
    await ManagementCanister(agent).provisional_top_up_canister(backend_id, cycles)
