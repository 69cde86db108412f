"""What an owner, who controls a personal canister from its beginning, can make of it before it is theirs.

Owns the acts, and what a person does who follows the words of the error. Does not own when an act happens, and what has
to come of it.
"""

from __future__ import annotations

from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management_types import CanisterSettings
from support.creation_world import World
from support.hostile_operator import Hostile, doctored

STRANGER = Identity.generate().sender()
USUAL_FREEZING_S, FROZEN_S = 7_776_000, 10**13

ACTS = (
    "stops it",
    "starves it",
    "deletes it",
    "reinstalls it",
    "installs another module",
    "uninstalls it",
    "takes it",
    "lets a stranger control it",
    "blackholes it",
)


async def act(hostile: Hostile, what: str) -> None:
    """The owner, as whom `hostile` acts, does it."""
    management, canister, world = hostile.management, hostile.canister, hostile.world
    match what:
        case "stops it":
            await management.stop_canister(canister)
        case "starves it":
            await management.update_settings(canister, CanisterSettings(freezing_threshold=FROZEN_S))
        case "deletes it":
            await management.stop_canister(canister)
            await management.delete_canister(canister)
        case "reinstalls it":
            await hostile.deploy(personal_wasm().wasm, "reinstall")
        case "installs another module":
            await hostile.deploy(doctored(), "upgrade")
        case "uninstalls it":
            await management.uninstall_code(canister)
        case "takes it":
            await hostile.set_controllers(world.owner_id)
        case "lets a stranger control it":
            await hostile.set_controllers(world.owner_id, world.operator_id, STRANGER)
        case "blackholes it":
            await hostile.set_controllers()
        case _:
            raise ValueError(f"nobody does this: {what}")


async def make_good(hostile: Hostile, what: str) -> None:
    """What the error asks for, before a retry; nothing where a retry is enough."""
    management, canister, world = hostile.management, hostile.canister, hostile.world
    match what:
        case "stops it":
            await management.start_canister(canister)
        case "starves it":
            await management.update_settings(canister, CanisterSettings(freezing_threshold=USUAL_FREEZING_S))
        case "deletes it":
            await world.as_admin.clear_creation_state(world.owner_id)
        case "takes it":
            await hostile.set_controllers(world.owner_id, world.operator_id)


class Acting(Agent):
    """An operator's agent: just before it calls a method for the first time, the owner does something."""

    def __init__(self, world: World, method: str, what: str) -> None:
        super().__init__(world.operator.identity, world.network)
        self.world, self.method, self.what = world, method, what
        self.canister: Principal | None = None

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method == self.method and self.canister is None:
            self.canister = (await self.world.creation()).canister_id
            assert self.canister is not None
            await act(Hostile(self.world, self.world.owner, self.canister), self.what)
        return await super().update(canister_id, method, arg, **rest)
