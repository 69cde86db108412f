"""A run that is listened to: the calls of its agent, what disturbs them, and its events by a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.ic.agent import Agent
from support.creation_world import World

LEASE_SECONDS = 600.0
LOOK_SECONDS = 601.0


class Listening(Agent):
    """Keeps the updates of backend methods, and when handoffs expire. At the network: `refuse` has errors in the place
    of a method's answers, `alter` changes its answer, `disturb` is awaited before an update, and before a query, once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.deadlines: list[int | None] = []
        self.manifests: list[Any] = []
        self.refuse: dict[str, list[Exception]] = {}
        self.alter: dict[str, Callable[[bytes], bytes]] = {}
        self.disturb: dict[str, Callable[[], Awaitable[None]]] = {}

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        service = BackendClient.interface().service
        assert service is not None
        if method in dict(service.methods):
            self.calls.append((method, tuple(decode(arg, service.method(method).args))))
        if method == "update_settings":
            self.deadlines.append(rest.get("latest_ns"))
        if self.refuse.get(method):
            raise self.refuse[method].pop(0)
        if method in self.disturb:
            await self.disturb[method]()
        reply: bytes = await super().update(canister_id, method, arg, **rest)
        if method in self.alter:
            reply = self.alter[method](reply)
        if method == "claim_creation":
            self.manifests.append(BackendClient.method(method).decode(reply).manifest)
        return reply

    async def query(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method in self.disturb:
            await self.disturb.pop(method)()
        return await super().query(canister_id, method, arg, **rest)

    def locks(self) -> list[bool]:
        """Whether each export that was begun locks the capsule."""
        return [arguments[1] for method, arguments in self.calls if method == "begin_export"]

    def asked(self, *methods: str) -> list[str]:
        return [method for method, _ in self.calls if not methods or method in methods]

    def reports(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """Stage, message and figures of each progress report."""
        found = []
        for method, arguments in self.calls:
            if method == "report_progress":
                _, progress, message = arguments
                names = ("bytes_done", "bytes_total", "items_done", "items_total")
                found.append((progress["stage"].tag, message, tuple(progress[name] for name in names)))
        return found


class Seconds:
    """A clock that goes on by one second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        self.now += 1
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds in (LEASE_SECONDS / 3, LOOK_SECONDS):
            await asyncio.Event().wait()  # no renewals but those that stages make, and no looks beside them
        self.slept.append(seconds)


async def listening(world: World) -> Listening:
    return await world.stack.enter_async_context(Listening(world.operator.identity, world.network))


async def run(world: World, agent: Agent, clock: Seconds | None = None, **config: Any) -> tuple[Outcome, list[Any]]:
    """A run of a new orchestrator; its events from the first stage on."""
    events: list[Any] = []
    chosen = FactoryConfig(
        **{
            "backoff_seconds": 0.05,
            "progress_seconds": 0.0,
            "lease_seconds": LEASE_SECONDS,
            "look_seconds": LOOK_SECONDS,
            **config,
        }
    )
    clock = clock or Seconds()
    made = Orchestrator(agent, world.backend_id, chosen, emit=events.append, sleep=clock.sleep, clock=clock)
    return await made.run(world.owner_id), events[1:]
