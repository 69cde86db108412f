"""Several owners on one backend, and what some of them do when a worker is about to fill their canisters.

Owns the people and the moment. Does not own: the acts, and the worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from support.creation_contents import pattern
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile

FILLING = ("import_batch", "put_memory_chunks")
Trick = Callable[[Hostile], Awaitable[None]]
SMALL = {"max_message_bytes": 50_000, "start_window": 1, "max_window": 1, "backoff_seconds": 0.01, "free_passes": 2}
"""A capsule of two memories takes several messages."""


async def ask(world: World, name: str) -> World:
    """Another owner's world: they have two memories, and have asked for a canister."""
    owner = world.agent()
    client = BackendClient(owner, world.backend_id)
    await client.register()
    await client.register_capsule()
    for number in range(2):
        await client.add_memory_to_capsule(inline(pattern(40_000, f"{name} {number}")), note(name))
    await client.create_personal_canister(None)
    return replace(world, owner=owner)


class Tricked(Agent):
    """An operator's agent: each owner with a trick does it when their canister is about to be filled, once."""

    def __init__(self, world: World, tricks: dict[Principal, tuple[World, Trick]]) -> None:
        super().__init__(world.operator.identity, world.network)
        self.world, self.tricks = world, tricks
        self.known: set[Principal] = set()

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method in FILLING and canister_id not in self.known:
            self.known.add(canister_id)
            entry = await self.world.as_admin.get_registry_entry(canister_id)
            assert entry is not None
            if entry.created_by in self.tricks:
                theirs, trick = self.tricks[entry.created_by]
                await trick(Hostile(theirs, theirs.owner, canister_id))
        return await super().update(canister_id, method, arg, **rest)


@dataclass
class Watched:
    """A worker with one place, and how each creation ended."""

    world: World
    tricks: dict[Principal, tuple[World, Trick]]
    config: dict[str, Any] = field(default_factory=dict)
    patient_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    ended: dict[Principal, Outcome | Exception] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _finished(self, owner: Principal, result: Outcome | Exception) -> None:
        self.ended[owner] = result
        self.changed.set()

    async def run_until(self, *owners: Principal) -> None:
        """Works until the creations of these owners have ended."""
        agent = await self.world.stack.enter_async_context(Tricked(self.world, self.tricks))
        config = FactoryConfig(**{**SMALL, **self.config})
        worker = Worker(
            Orchestrator(agent, self.world.backend_id, config, clock=self.clock),
            parallel=1,
            patient_seconds=self.patient_seconds,
            idle_seconds=0.05,
            finished=self._finished,
        )
        task = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(240):
                while not set(owners) <= set(self.ended):
                    self.changed.clear()
                    waiting = asyncio.create_task(self.changed.wait())
                    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
