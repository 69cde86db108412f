"""Creations that are disturbed on purpose, by a time that is made up: who there is, and how it goes on afterwards.

Owns people, orchestrators' lives and what is undone. Does not own the disturbances (`broken_way`, `fault_acts`) or how
a creation must have ended (`creation_ends`).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.upload import upload_memory
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.node.server import ReplicaServer
from support.broken_way import BrokenWay, Chosen, nothing
from support.creation_contents import pattern
from support.creation_world import FUNDS, inline, note
from support.mainnet import AT_ONCE, Conditions
from support.mainnet_world import MainnetWorld
from support.virtual_time import VirtualTimeLoop

T = TypeVar("T")
WORKER = FactoryConfig().worker
ENDED = (CreationStatus.Completed, CreationStatus.Failed)
START_S = 5.0
"""Until a new backend has learnt from the network what it begins with."""
REST_S = 20.0
"""Between two looks of a worker for open requests."""
PATIENCE_S = 1_200.0
"""How long a worker may need; the longest that it waits for is a lease, a permit and a seal."""


@dataclass(frozen=True, slots=True)
class Capsule:
    """Sizes of memories, bytes, and how the orchestrator copies them."""

    name: str
    sizes: tuple[int, ...]
    config: dict[str, Any]

    def __str__(self) -> str:
        return self.name


ONE_MESSAGE = Capsule("one message", (3_000, 40), {})
PASSES = Capsule("passes", (200_000, 70_000, 10), {"max_message_bytes": 100_000})
CAPSULES = (ONE_MESSAGE, PASSES)


@dataclass
class Person:
    """An owner who has asked for a canister. `contents`: what the canisters have accepted of them, by memory id."""

    agent: Agent
    client: BackendClient
    capsule: Capsule
    contents: dict[str, bytes] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        return self.agent.principal

    @property
    def management(self) -> ManagementCanister:
        return ManagementCanister(self.agent)

    async def creation(self) -> DetailedCreationStatus:
        found = await self.client.get_detailed_creation_status()
        assert found is not None, "the owner has asked for no canister"
        return found

    def personal(self, canister_id: Principal) -> PersonalClient:
        return PersonalClient(self.agent, canister_id)

    async def write(self, text: str) -> bool:
        """Adds a memory, wherever the capsule is; whether it was accepted."""
        data = text.encode()
        try:
            memory_id = await self.client.add_memory_to_capsule(inline(data), note(text))
        except CapsuleRefused as refusal:
            if refusal.kind != "Moved":
                return False
            moved = await self.client.get_my_personal_canister_id()
            assert moved is not None, "the capsule has moved, and nobody says where to"
            memory_id = await self.personal(moved).add_memory_to_capsule(inline(data), note(text))
        except IcError:
            return False  # the canister takes nothing at present: the way to it is whole
        self.contents[memory_id] = data
        return True


@dataclass(frozen=True, slots=True)
class Life:
    """How an orchestrator's process ended: with an outcome, with an error, or killed. `way`: what it sent."""

    way: BrokenWay
    outcome: Outcome | None = None
    error: BaseException | None = None


class FaultWorld(MainnetWorld):
    """A backend with an admin, an operator and any number of owners. Made by `fault_world`."""

    async def prepare(self) -> None:
        self.admin = self.agent(Identity.generate())
        backend = await deploy_backend(self.admin, [self.operator.sender()])
        await register_release(backend)
        await fund(self.admin, backend.canister_id, FUNDS)
        self.backend_id = backend.canister_id
        # Each scenario begins where this ends: with a backend that has asked the network what it asks when it starts.
        # One that hasn't pays the second part of a creation's cycles a minute later.
        await asyncio.sleep(START_S)
        self._requests: dict[str, list[str]] = {}
        self._ways: list[BrokenWay] = []

    @property
    def as_admin(self) -> BackendClient:
        return BackendClient(self.admin, self.backend_id)

    @property
    def subnet(self) -> Any:
        """The replica's own, to look at."""
        return self._replica.subnet

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens within the block is undone; time goes on."""
        anchor = self._replica.anchor()
        try:
            yield
        finally:
            self._replica.revert(anchor)

    async def person(self, capsule: Capsule) -> Person:
        """A new owner with such a capsule, who has asked for a personal canister."""
        agent = self.agent(Identity.generate())
        client = BackendClient(agent, self.backend_id)
        await client.register()
        await client.register_capsule()
        person = Person(agent, client, capsule)
        for size in capsule.sizes:
            data = pattern(size, f"{size}")
            memory_id = await upload_memory(client, io.BytesIO(data), note(f"{size}"), chunk_size=50_000)
            person.contents[memory_id] = data
        await client.create_personal_canister(None)
        return person

    def broken_way(self, chosen: Chosen = nothing, conditions: Conditions = AT_ONCE) -> BrokenWay:
        way = BrokenWay(self._replica, self.loop, self._inner_calls, conditions, chosen=chosen)
        self._ways.append(way)
        return way

    async def at_rest(self) -> None:
        """Returns when nothing is on its way any more, however late it is delivered."""
        while self._ways:
            await self._ways.pop().at_rest()

    def _orchestrator_on(self, way: BrokenWay, worker: str, config: dict[str, Any]) -> Orchestrator:
        agent = self.agent(self.operator, way)
        return Orchestrator(agent, self.backend_id, FactoryConfig(worker=worker, **config), clock=self.loop.time)

    async def life(
        self, person: Person, chosen: Chosen = nothing, conditions: Conditions | None = None, worker: str = WORKER
    ) -> Life:
        """One process runs the creation, until it ends or is killed."""
        way = self.broken_way(chosen, conditions or Conditions())
        orchestrator = self._orchestrator_on(way, worker, person.capsule.config)
        return await self.until_death(way, orchestrator.run(person.principal))

    async def until_death(self, way: BrokenWay, work: Coroutine[Any, Any, Any]) -> Life:
        """Runs what sends on a way, until it ends or is killed; nothing of it is left afterwards."""
        run, death = asyncio.create_task(work), asyncio.create_task(way.died.wait())
        try:
            await asyncio.wait({run, death}, return_when=asyncio.FIRST_COMPLETED)
            if way.is_dead:
                return Life(way)
            error = run.exception()
            return Life(way, error=error) if error else Life(way, run.result())
        finally:
            for task in (run, death):
                task.cancel()
            await asyncio.gather(run, death, return_exceptions=True)

    def worker(self, way: BrokenWay, name: str, config: dict[str, Any]) -> Worker:
        """A process that runs all open requests, as `worker` does."""
        orchestrator = self._orchestrator_on(way, name, config)
        return Worker(orchestrator, idle_seconds=REST_S, clock_ns=self.loop.now_ns)

    async def go_on(self, *people: Person, name: str = WORKER) -> None:
        """A worker whom nobody helps, until every creation has ended or its patience."""
        worker = self.worker(self.broken_way(conditions=Conditions()), name, people[0].capsule.config)
        until_s = self.loop.time() + PATIENCE_S
        while self.loop.time() < until_s:
            with suppress(IcError):  # as the command, which waits it out; a backend that is stopped tells nobody
                await worker.run_once()
                if all([(await person.creation()).status in ENDED for person in people]):
                    return
            await asyncio.sleep(REST_S)

    async def requests_of(self, capsule: Capsule) -> list[str]:
        """The names of the requests of a creation that nobody disturbs."""
        if capsule.name not in self._requests:
            self._requests[capsule.name] = (await self.life(await self.person(capsule))).way.names
        return self._requests[capsule.name]


@asynccontextmanager
async def fault_world(loop: VirtualTimeLoop) -> AsyncIterator[FaultWorld]:
    """A new replica in a loop whose time is made up, with a backend."""
    async with ReplicaServer(clock_ns=loop.now_ns, threads=False) as replica:
        world = FaultWorld(replica, loop)
        await world.prepare()
        yield world


class Stage:
    """A fault world that lasts for a file of tests; each scenario on it is undone."""

    def __init__(self, runner: asyncio.Runner, world: FaultWorld) -> None:
        self._runner = runner
        self._world = world

    def __repr__(self) -> str:
        return f"Stage({self._world!r})"

    def play(self, scenario: Callable[[FaultWorld], Awaitable[T]]) -> T:
        """Runs a scenario by the world's time."""

        async def undone() -> T:
            with self._world.undone():
                try:
                    return await scenario(self._world)
                finally:
                    await self._world.at_rest()  # or it would arrive in the next scenario

        return self._runner.run(undone())


@contextmanager
def stage() -> Iterator[Stage]:
    """A fault world, and the loop that it lives in."""
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        made = fault_world(loop)
        world = runner.run(made.__aenter__())
        try:
            yield Stage(runner, world)
        finally:
            runner.run(made.__aexit__(None, None, None))
