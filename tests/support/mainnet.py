"""A simulated mainnet between clients and an embedded replica: blocks, latencies, a boundary gateway's cap, faults.

Owns what a request meets on its way, by the virtual time of the loop that it runs in. The replica behind it is real:
what is simulated is when things happen. Does not own that time (`virtual_time`) or the sums (`mainnet_record`).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import httpx

from canister_factory.ic import cbor
from canister_factory.ic.trace import Hook, log
from canister_factory.ic.transport import Transport
from canister_factory.replica.node.server import ReplicaServer
from support.mainnet_inner_calls import InnerCalls
from support.mainnet_pace import Gateway, Room
from support.mainnet_record import Exchange, Record
from support.virtual_time import VirtualTimeLoop

_URL = "http://127.0.0.1:1"
_REFUSAL_S = 0.05  # until a gateway's answer is there that asks nobody else
_SYNC_CALL_S = 10.0  # how long a boundary node holds a call before it answers 202


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each fault is, for each POST; `late_s` seconds is how late a late answer is. The same seed, the same.

    `unavailable`: 503 at once. `lost`: the connection breaks before delivery. `cut`: it breaks after execution.
    """

    seed: int = 0
    unavailable: float = 0.0
    lost: float = 0.0
    cut: float = 0.0
    late: float = 0.0
    late_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network is like. Times in seconds.

    update_s: from an update's submission to its certified reply, when there is room for it.
    query_s: of a query, and of whatever else is no call.
    block_s, block_bytes: how often there is a block, and how much ingress it has room for.
    blocks_per_inner_call: further blocks for each call that a canister makes and waits for.
    requests_per_s, bytes_per_s: the boundary gateway's caps; above them it answers 429 with Retry-After. What
        `burst_s` seconds let through, it lets through at once.
    """

    update_s: float = 1.8
    query_s: float = 0.2
    block_s: float = 1.0
    block_bytes: int = 4_000_000
    blocks_per_inner_call: float = 0.0
    requests_per_s: float | None = None
    bytes_per_s: float | None = None
    burst_s: float = 4.0
    faults: Faults = field(default_factory=Faults)

    @property
    def ingress_bytes_per_s(self) -> float:
        """What blocks take."""
        return self.block_bytes / self.block_s


AT_ONCE = Conditions(update_s=0.0, query_s=0.0, block_bytes=1 << 60)
"""No network at all: for what prepares a world, or watches it."""


class Mainnet(httpx.AsyncBaseTransport):
    """A way to the replica: what `Transport(http=...)` takes. Several may lead to the same replica."""

    def __init__(
        self, replica: ReplicaServer, loop: VirtualTimeLoop, inner_calls: InnerCalls, conditions: Conditions = AT_ONCE
    ) -> None:
        self.conditions = conditions
        self.record = Record()
        self.is_dead = False
        """As if the client's computer had lost its power: nothing that it sends from here on arrives."""
        self._replica = replica
        self._loop = loop
        self._inner_calls = inner_calls
        self._room = Room(conditions.ingress_bytes_per_s)
        self._gateway = Gateway(conditions.requests_per_s, conditions.bytes_per_s, conditions.burst_s)
        self._random = random.Random(conditions.faults.seed)
        self._executing: set[asyncio.Task[httpx.Response]] = set()

    def __repr__(self) -> str:
        return f"Mainnet({self.conditions}, {self.record!r})"

    def transport(self, trace: Hook = log) -> Transport:
        """A client's transport on this way."""
        return Transport(
            _URL, http=self, direct=True, clock_ns=self._loop.now_ns, chance=self._random.random, trace=trace
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_dead:
            raise httpx.ConnectError("dead")
        return await self.carried(request)

    async def carried(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request that has left its sender, who may be dead by now."""
        body = await request.aread()
        kind = request.url.path.rsplit("/", 1)[-1]
        exchange = Exchange(kind, _method_in(kind, body), len(body), self._loop.time())
        self.record.exchanges.append(exchange)
        try:
            response = await self._pass_on(request, body, exchange)
            exchange.outcome, exchange.answered_s = str(response.status_code), self._loop.time()
            return response
        except httpx.ReadError as error:
            exchange.outcome, exchange.answered_s = str(error), self._loop.time()
            raise

    async def _pass_on(self, request: httpx.Request, body: bytes, exchange: Exchange) -> httpx.Response:
        wait_s = self._gateway.retry_after_s(len(body), self._loop.time()) if request.method == "POST" else None
        if wait_s is not None:
            await asyncio.sleep(_REFUSAL_S)
            return _text(429, "too many requests", {"retry-after": str(wait_s)})
        fault = self._draw() if request.method == "POST" else ""
        if fault == "unavailable":
            return _text(503, "no healthy nodes")
        if fault == "lost":
            raise httpx.ReadError("lost")
        answer = self._call(body, request, exchange) if exchange.kind == "call" else self._read(body, request)
        response = await answer
        if fault == "late":
            await asyncio.sleep(self.conditions.faults.late_s)
        if fault == "cut":
            raise httpx.ReadError("cut")
        return response

    def _draw(self) -> str:
        """The fault that the next request meets; mostly none."""
        chance, faults = self._random.random(), self.conditions.faults
        for name in ("unavailable", "lost", "cut", "late"):
            chance -= getattr(faults, name)
            if chance < 0:
                return name
        return ""

    async def _read(self, body: bytes, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.conditions.query_s / 2)
        response = await self._answer(request, body)
        await asyncio.sleep(self.conditions.query_s / 2)
        return response

    async def _call(self, body: bytes, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        execution = self._loop.create_task(self._execute(body, request, exchange))
        self._executing.add(execution)  # it goes on without the client
        execution.add_done_callback(self._executing.discard)
        done, _ = await asyncio.wait([execution], timeout=_SYNC_CALL_S)
        return execution.result() if done else _text(202, "")

    async def _execute(self, body: bytes, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        conditions = self.conditions
        exchange.admitted_s = self._room.take(len(body), self._loop.time())
        await self._until(exchange.admitted_s + conditions.update_s / 2)
        if conditions.blocks_per_inner_call:
            with self._inner_calls.counted(request.url.path, body) as count:
                response = await self._answer(request, body)
                exchange.inner = count()
        else:
            response = await self._answer(request, body)
        delay_s = exchange.inner * conditions.blocks_per_inner_call * conditions.block_s
        await self._until(exchange.admitted_s + conditions.update_s + delay_s)
        return response

    async def _until(self, time_s: float) -> None:
        await asyncio.sleep(max(0.0, time_s - self._loop.time()))

    async def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        status, content_type, content = await self._replica.answer(request.method, request.url.path, body)
        return httpx.Response(status, content=content, headers={"content-type": content_type})


def _method_in(kind: str, body: bytes) -> str:
    if kind not in ("call", "query"):
        return ""
    content = cbor.loads_map(body, "a request")["content"]
    return str(content["method_name"])


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, content=text.encode(), headers={"content-type": "text/plain", **(headers or {})})
