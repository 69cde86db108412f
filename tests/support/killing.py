"""Kills an orchestrator at a place of a creation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus
from canister_factory.factory.events import (
    HandedOver,
    PassDone,
    Provisioned,
    StageDone,
    StageStarted,
    Transferred,
    Verified,
)
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from support.creation_world import World


class Killed(BaseException):
    """The process ends here: nothing of the orchestrator runs afterwards."""


def killing_at(when: Callable[[Any], bool]) -> Callable[[Any], None]:
    def hook(event: Any) -> None:
        if when(event):
            raise Killed

    return hook


def done(stage: CreationStatus) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, StageDone) and event.stage == stage


def begun(stage: CreationStatus) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, StageStarted) and event.stage == stage


class DyingAgent(Agent):
    """The process ends at the update of that number, from 1: before it is sent, or when it was executed. At 0 it
    lives; `sent` has the methods. Or at the call of the method `dies_of`, when it has survived `lives` of them.
    """

    dies_at = 0
    dies_of = ""
    lives = 0
    executed = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sent: list[str] = []

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        self.sent.append(method)
        dies = len(self.sent) == self.dies_at or (method == self.dies_of and self.sent.count(method) > self.lives)
        if dies and not self.executed:
            raise Killed
        reply: bytes = await super().update(canister_id, method, arg, **rest)
        if dies:
            raise Killed
        return reply


PLACES: dict[str, Callable[[Any], bool]] = {
    "after the export": done(CreationStatus.Exporting),
    "after the canister was created": lambda event: isinstance(event, Provisioned),
    "before the installation": begun(CreationStatus.Installing),
    "after the installation": done(CreationStatus.Installing),
    "in the middle of the copy": lambda event: isinstance(event, Transferred) and event.bytes_done > 1_000_000,
    "after the first pass": lambda event: isinstance(event, PassDone) and not event.locked,
    "after the import was final": done(CreationStatus.Importing),
    "after the verification": lambda event: isinstance(event, Verified),
    "after the handoff": lambda event: isinstance(event, HandedOver),
    "before the completion": begun(CreationStatus.Completed),
    "after the completion": done(CreationStatus.Completed),
}


async def killed_at(world: World, place: str, **config: Any) -> DetailedCreationStatus:
    """The owner asks for a canister, and an orchestrator is killed at this place; the creation as it is then."""
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing_at(PLACES[place]), **config).run(world.owner_id)
    # What the orchestrator had sent is executed before this, and no later: each canister takes its messages in order.
    # They are inspected in turns before, so this has to be as large as any. It isn't Candid, and changes nothing.
    await _fence(world, world.backend_id)
    status = await world.creation()
    if status.canister_id is not None:
        await _fence(world, status.canister_id)  # it may have no module yet
    return status


async def _fence(world: World, canister_id: Principal) -> None:
    with pytest.raises(RejectedError):
        await world.owner.update(canister_id, "add_memory_to_capsule", bytes(2_000_000))
