"""A way to the replica on which a test breaks chosen requests, and can kill whoever sends them.

Owns what is done to a request. Does not own which request it is done to (the tests), time or the replica (`mainnet`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from canister_factory.ic import cbor
from canister_factory.ic.transport import TIMEOUT
from support.mainnet import Mainnet

Deliver = Callable[[], Awaitable[httpx.Response]]
Break = Callable[["BrokenWay", Deliver], Awaitable[httpx.Response]]
Chosen = Callable[[int, str], Break | None]
"""What is done to a request, by its number from 1 and its name; `None`: nothing."""

GATEWAY_DOWN_S = 20.0
LATE_S = 45.0
LATER_THAN_A_LEASE_S = 100.0


def nothing(number: int, name: str) -> None:
    """A way that isn't broken."""


class BrokenWay(Mainnet):
    """Numbers the requests that are sent on it; `chosen` says which are broken, and how.

    `died` is set where the sender's process has ended: nothing that it sends from then on arrives.
    """

    def __init__(self, *args: Any, chosen: Chosen = nothing, **options: Any) -> None:
        super().__init__(*args, **options)
        self.chosen = chosen
        self.names: list[str] = []
        self.broken: list[str] = []
        self.died = asyncio.Event()
        self.down_until_s = 0.0
        self._on_their_way: set[asyncio.Task[httpx.Response]] = set()

    def __repr__(self) -> str:
        return f"BrokenWay({len(self.names)} requests, broken: {', '.join(self.broken) or 'none'})"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_dead:
            raise httpx.ConnectError("dead")
        name = name_of(request)
        self.names.append(name)
        breaks = self.chosen(len(self.names), name)
        if self._loop.time() < self.down_until_s:
            return _gateway_error()
        if breaks is None:
            return await super().handle_async_request(request)
        self.broken.append(name)
        return await breaks(self, lambda: self.carried(request))

    def die(self) -> None:
        """kill -9 of the sender."""
        self.is_dead = True
        self.died.set()

    async def send(self, deliver: Deliver, after_s: float = 0.0) -> asyncio.Task[httpx.Response]:
        """Has the request on its way, now or later, whoever waits for its answer; returns when it can't be stopped."""

        async def go() -> httpx.Response:
            if after_s:
                await asyncio.sleep(after_s)
            return await deliver()

        task = asyncio.create_task(go())
        self._on_their_way.add(task)
        task.add_done_callback(self._arrived)
        await asyncio.sleep(0)
        return task

    async def at_rest(self) -> None:
        """Returns when everything that is on its way has arrived and was executed."""
        while waiting := [*self._on_their_way, *self._executing]:
            await asyncio.wait(waiting)

    def _arrived(self, task: asyncio.Task[httpx.Response]) -> None:
        self._on_their_way.discard(task)
        if not task.cancelled():
            task.exception()


def name_of(request: httpx.Request) -> str:
    """The kind of a request and its method, such as `call install_code`."""
    kind = request.url.path.rsplit("/", 1)[-1]
    if kind not in ("call", "query"):
        return kind
    return f"{kind} {cbor.loads_map(request.content, 'a request')['content']['method_name']}"


# --- what can be done to a request -----------------------------------------------------------------------------------


async def lost_before_delivery(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    raise httpx.ReadError("the connection broke before the request was delivered")


async def answer_lost(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    await deliver()
    raise httpx.ReadError("the connection broke after the request was executed")


async def unavailable(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    """This request and all others get 503 for a while."""
    way.down_until_s = way._loop.time() + GATEWAY_DOWN_S
    return _gateway_error()


async def unreadable(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    await deliver()
    return httpx.Response(200, content=b"<html><title>Please log in</title></html>")


async def truncated(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    body = await (await deliver()).aread()
    return httpx.Response(200, content=body[: len(body) // 2])


async def late(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    answer = await deliver()
    await asyncio.sleep(LATE_S)
    return answer


async def too_late(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    """The client has given up before; no answer on this way comes sooner, until the lease has ended."""
    read_s = TIMEOUT.read or 0.0
    await way.send(deliver)
    await asyncio.sleep(read_s)
    way.down_until_s = way._loop.time() + LATER_THAN_A_LEASE_S - read_s
    raise httpx.ReadTimeout("no answer in time")


async def delivered_late(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    """The connection breaks at once, and the request arrives long after its sender has gone on without it."""
    await way.send(deliver, after_s=LATE_S)
    raise httpx.ReadError("the connection broke")


async def killed_before_delivery(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    way.die()
    raise httpx.ReadError("dead")


async def killed_meanwhile(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    """The sender ends while its request is under way."""
    await way.send(deliver)
    way.die()
    raise httpx.ReadError("dead")


def killed_and_delivered(after_s: float) -> Break:
    """The sender ends, and its request arrives when others have gone on without it."""

    async def breaks(way: BrokenWay, deliver: Deliver) -> httpx.Response:
        await way.send(deliver, after_s)
        way.die()
        raise httpx.ReadError("dead")

    return breaks


killed_and_delivered_late = killed_and_delivered(LATE_S)
killed_and_delivered_late.__name__ = "killed_and_delivered_late"


async def killed_after_execution(way: BrokenWay, deliver: Deliver) -> httpx.Response:
    await deliver()
    way.die()
    raise httpx.ReadError("dead")


CUTS: tuple[Break, ...] = (lost_before_delivery, answer_lost, unavailable, unreadable, truncated, late, too_late)
CUTS += (delivered_late,)
KILLS: tuple[Break, ...] = (killed_before_delivery, killed_meanwhile, killed_after_execution)


def at(number: int, breaks: Break) -> Chosen:
    """Breaks the request of this number."""
    return lambda present, name: breaks if present == number else None


def first(name: str, breaks: Break) -> Chosen:
    """Breaks the first request of this name."""
    met: list[int] = []

    def chosen(number: int, present: str) -> Break | None:
        if present == name:
            met.append(number)
        return breaks if met == [number] else None

    return chosen


def _gateway_error() -> httpx.Response:
    return httpx.Response(503, content=b"no healthy nodes")
