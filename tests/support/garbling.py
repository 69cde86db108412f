"""What stands between an agent and a replica and garbles chosen answers, after the replica has handled the request."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx

from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent, CallerIdentity
from canister_factory.ic.network import Network
from canister_factory.ic.transport import Transport
from canister_factory.replica.node.certification import CertifiedState, Delegation, RangesLayout
from canister_factory.replica.node.keys import BlsKey, ReplicaKeys
from canister_factory.replica.node.state_tree import StateTree

Garble = Callable[[bytes], httpx.Response]


class Garbler(httpx.AsyncBaseTransport):
    """Passes everything on; `chosen` says which answers, counted from 1, go through `garble`."""

    def __init__(self, garble: Garble, chosen: Callable[[int], bool]) -> None:
        self._onward = httpx.AsyncHTTPTransport()
        self._garble = garble
        self._chosen = chosen
        self.answers = 0
        self.garbled: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._onward.handle_async_request(request)
        body = await answer.aread()
        await answer.aclose()
        self.answers += 1
        if self._chosen(self.answers):
            self.garbled.append(request.url.path)
            return self._garble(body)
        return httpx.Response(answer.status_code, content=body)

    async def aclose(self) -> None:
        await self._onward.aclose()

    def agent(self, identity: CallerIdentity, network: Network) -> Agent:
        """An agent that sees the network through this."""
        return Agent(identity, network, transport=Transport(network.url, http=self, direct=True))


class _Broken(httpx.AsyncByteStream):
    """A body whose connection breaks in the middle."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def _with_certificate(made: bytes) -> Garble:
    """Puts a certificate in the place of the answer's own; an answer to a query has none, and loses its signature."""

    def garble(body: bytes) -> httpx.Response:
        fields = cbor.loads_map(body)
        if "certificate" in fields:
            return httpx.Response(200, content=cbor.dumps({**fields, "certificate": made}))
        return httpx.Response(200, content=cbor.dumps({**fields, "signatures": []}))

    return garble


def garbles(state_dir: Path) -> dict[str, Garble]:
    """Every way to garble an answer of the replica with this state directory, whose keys make the certificates."""
    keys = ReplicaKeys.load(state_dir)
    now = time.time_ns()
    delegation = Delegation(keys, time.time_ns)

    def certificate(time_ns: int, key: BlsKey) -> bytes:
        return CertifiedState(StateTree({}).root(time_ns), time_ns, key, delegation).certificate([], RangesLayout.BOTH)

    return {
        "HTML": lambda body: httpx.Response(200, content=b"<html>Please log in</html>"),
        "empty": lambda body: httpx.Response(200),
        "cut off": lambda body: httpx.Response(200, content=body[: len(body) // 2]),
        "broken in the middle": lambda body: httpx.Response(200, stream=_Broken(body)),
        "a stale certificate": _with_certificate(certificate(now - 3600 * 10**9, keys.subnet)),
        "a certificate of a stranger": _with_certificate(certificate(now, BlsKey(12345))),
        "a certificate of nothing": _with_certificate(certificate(now, keys.subnet)),
        "a gateway's error": lambda body: httpx.Response(503, content=b"upstream connect error"),
    }
