"""HTTP with servers on this computer: whatever they answer and wherever they stop, a failure has one form."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest

from canister_factory.ic import transport as transport_module
from canister_factory.ic.loopback_http import LoopbackHttp
from canister_factory.ic.transport import FEW, Answer, AnswerTooLargeError, Transport

LARGE = bytes(range(256)) * 8_000
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, bytes]:
        """The next request: its head in lower case, and its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((line.split(": ")[1] for line in head.split("\r\n") if line.startswith("content-length")), "0")
        return head, await self._reader.readexactly(int(length))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[str, list[Peer]]]:
    """A server that does `script` on each connection; its URL, and the connections so far."""
    peers: list[Peer] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(peer := Peer(reader, writer))
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", peers


@asynccontextmanager
async def connected(
    url: str, *, maximum: int = 4, max_bytes: int = 4 << 20, read_s: float = 60
) -> AsyncIterator[LoopbackHttp]:
    http = LoopbackHttp(url, maximum=maximum, max_bytes=max_bytes, connect_s=10, read_s=read_s, pool_s=10)
    try:
        yield http
    finally:
        await http.aclose()


def answering(answer: bytes, *, then_close: bool = False) -> Script:
    """Answers each request with these bytes."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)
            if then_close:
                return

    return script


async def ask(answer: bytes, *, max_bytes: int = 4 << 20) -> Answer:
    """What becomes of such an answer, after which the server closes the connection."""
    async with (
        serving(answering(answer, then_close=True)) as (url, _),
        connected(url, max_bytes=max_bytes) as http,
    ):
        return await http.exchange("GET", "/x", None)


async def test_an_answer_has_status_headers_and_body() -> None:
    answer = await ask(SIZED + b"hello")
    assert (answer.status, answer.headers.get("retry-after"), answer.body) == (200, "7", b"hello")
    assert (await ask(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")).body == b"hello"
    moved = b"HTTP/1.1 301 Moved\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n"
    assert (await ask(moved)).status == 301, "nobody is sent elsewhere"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", SIZED + b"hell", CHUNKED + b"0x5\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n", b""],
)
async def test_an_answer_that_is_not_http_or_not_whole_breaks_the_connection(answer: bytes) -> None:
    with pytest.raises(httpx.TransportError) as failed:
        await ask(answer)
    assert not isinstance(failed.value, httpx.ConnectError), "the request may have been delivered"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n" + bytes(1_001),
        CHUNKED + (b"64\r\n" + bytes(100) + b"\r\n") * 11,
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_001),
    ],
)
async def test_an_answer_above_the_limit_is_not_read(answer: bytes) -> None:
    with pytest.raises(AnswerTooLargeError):
        await ask(answer, max_bytes=1_000)


async def test_a_request_has_its_path_below_the_url_its_type_and_its_body() -> None:
    heads: list[tuple[str, bytes]] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.send(SIZED + b"hello")

    async with serving(script) as (url, _), connected(f"{url}/base") as http:
        await http.exchange("POST", "/api/v2/status", LARGE, "application/cbor")
    head, body = heads[0]
    assert head.startswith("post /base/api/v2/status http/1.1\r\n")
    assert "\r\ncontent-type: application/cbor\r\n" in head
    assert "\r\naccept-encoding: identity\r\n" in head
    assert body == LARGE


async def test_requests_one_after_another_share_a_connection_and_those_at_once_have_one_each() -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(LARGE)}\r\n\r\n".encode()
    async with serving(answering(head + LARGE)) as (url, peers), connected(url, maximum=3) as http:
        for _ in range(3):
            assert (await http.exchange("POST", "/x", LARGE)).body == LARGE
        assert len(peers) == 1
        many = await asyncio.gather(*[http.exchange("POST", "/x", LARGE) for _ in range(10)])
        assert [answer.body for answer in many] == [LARGE] * 10
        assert len(peers) == 3


async def test_a_server_that_answers_nothing_for_too_long_is_a_time_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(SIZED)
        await peer.request()

    async with serving(script) as (url, _), connected(url, read_s=0.01) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.exchange("GET", "/x", None)


async def test_a_port_where_nothing_listens_is_named_as_such() -> None:
    async with serving(answering(b"")) as (url, _):
        pass
    async with connected(url) as http:
        with pytest.raises(httpx.ConnectError, match="Connection refused"):
            await http.exchange("GET", "/x", None)


async def test_closing_ends_the_requests_on_their_way() -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.request()

    async with serving(script) as (url, _), connected(url) as http:
        task = asyncio.create_task(http.exchange("GET", "/x", None))
        await asked.wait()
        await http.aclose()
        with pytest.raises(httpx.TransportError):
            await task


async def test_it_is_loaded_in_a_thread_and_used_when_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 0.1 s, in which a copy would stand still."""
    loaded, asked = threading.Event(), list[str]()

    def load(name: str) -> object:
        asked.append(threading.current_thread().name)
        assert loaded.wait(30)
        return importlib.import_module(name)

    monkeypatch.setattr(transport_module, "importlib", SimpleNamespace(import_module=load))

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(SIZED + b"hello")

    async with serving(script) as (url, peers), Transport(url, direct=True) as transport:
        transport.expect_many()
        transport.expect_many()
        await transport.post("/x", b"1")
        await transport.post("/x", b"1")
        assert len(peers) == 1, "nobody waits for it"
        loaded.set()
        assert transport._loading is not None
        await transport._loading
        await transport.post("/x", b"1")
        assert len(peers) == 2
    assert asked != [threading.main_thread().name]
    assert len(asked) == 1


async def test_what_may_go_by_a_proxy_never_goes_by_it() -> None:
    transport = Transport("http://127.0.0.1:1")
    transport.expect_many()
    assert transport._loading is None


async def test_a_transport_goes_over_to_it_where_there_are_many_requests_to_this_computer() -> None:
    agents: list[str] = []

    async def script(peer: Peer) -> None:
        while True:
            head, _ = await peer.request()
            agents.append(head)
            await peer.send(SIZED + b"hello")

    async with serving(script) as (url, peers):
        async with Transport(url, direct=True) as transport:
            for _ in range(FEW):
                assert (await transport.post("/x", b"1")).body == b"hello"
            assert len(peers) == 1
            for _ in range(FEW):
                assert (await transport.post("/x", b"1")).body == b"hello"
            assert len(peers) == 2
        async with Transport(url) as transport:
            for _ in range(2 * FEW):
                await transport.get("/x")
            assert len(peers) == 3, "a proxy may be in between: httpx has all of them"
    assert {line for head in agents for line in head.split("\r\n") if line.startswith("user-agent")} == {
        "user-agent: canister-factory"
    }
