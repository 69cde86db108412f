"""HTTP outcalls leave the subnet: to loopback servers only, once they are durable, each once, and back again."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from canister_factory.replica.node import outcalls as module
from canister_factory.replica.node.outcall_error import OutcallError
from canister_factory.replica.node.outcalls import MAX_AT_ONCE, Outcalls, loopback_only
from canister_factory.replica.subnet.messages import FromSystem, HttpResponse, OutcallAnswer
from canister_factory.replica.subnet.outcalls import HttpRequest, Outcall
from support.replica_http_support import Network


class Site:
    """A server on this computer that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path_qs, headers, body))
        match request.path:
            case "/redirect":
                return web.Response(status=302, headers={"location": f"{self.url}/elsewhere"})
            case "/packed":
                return web.Response(body=gzip.compress(b"packed"), headers={"content-encoding": "gzip"})
            case "/large":
                return web.Response(body=bytes(1_000_000))
            case "/cut":
                assert request.transport is not None
                request.transport.close()
        return web.Response(text="here", headers={"x-site": "test"})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


def asked(url: str, method: str = "GET", **rest: Any) -> HttpRequest:
    given: dict[str, Any] = {"headers": (), "body": b"", "max_response_bytes": 2_000_000, **rest}
    return HttpRequest(url, method, **given)


def outcall(number: int, request: HttpRequest) -> Outcall:
    return Outcall(number, FromSystem(), b"asker", request, None, b"", 0, 0)


# --- servers of this computer ---


async def test_a_server_of_this_computer_is_asked_as_the_canister_says(site: Site) -> None:
    headers = (("accept", "text/plain"), ("X-Twice", "a"))
    response = await loopback_only(asked(f"{site.url}/x?y=1", "POST", headers=headers, body=b"question"))
    assert (response.status, response.body) == (200, b"here")
    assert ("x-site", "test") in response.headers
    ((method, path, sent, body),) = site.seen
    assert (method, path, body) == ("POST", "/x?y=1", b"question")
    assert (sent["accept"], sent["x-twice"], sent["user-agent"]) == ("text/plain", "a", "ic/1.0")
    assert set(sent) <= {"accept", "x-twice", "user-agent", "host", "content-length", "connection"}


async def test_the_canisters_own_user_agent_is_sent(site: Site) -> None:
    await loopback_only(asked(site.url, headers=(("User-Agent", "mine"),)))
    assert site.seen[0][2]["user-agent"] == "mine"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_each_method_is_sent(site: Site, method: str) -> None:
    response = await loopback_only(asked(site.url, method))
    assert site.seen[0][0] == method
    assert response.body == (b"" if method == "HEAD" else b"here")


async def test_redirects_are_told_and_contents_stay_packed(site: Site) -> None:
    assert (await loopback_only(asked(f"{site.url}/redirect"))).status == 302
    packed = await loopback_only(asked(f"{site.url}/packed"))
    assert gzip.decompress(packed.body) == b"packed"
    assert [path for _, path, _, _ in site.seen] == ["/redirect", "/packed"]


async def test_a_body_that_is_too_long_is_not_read_to_its_end(site: Site) -> None:
    response = await loopback_only(asked(f"{site.url}/large", max_response_bytes=10))
    assert 10 < len(response.body) <= 200_000


async def test_a_server_that_hangs_up_is_told_as_that(site: Site) -> None:
    with pytest.raises(OutcallError, match="gives no answer"):
        await loopback_only(asked(f"{site.url}/cut"))


async def test_where_nobody_listens_there_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(OutcallError, match=f"the server of localhost:{port} gives no answer"):
        await loopback_only(asked(f"http://localhost:{port}/"))


# --- servers elsewhere ---


@pytest.mark.parametrize(
    "addresses",
    [["192.0.2.7"], ["127.0.0.1", "192.0.2.7"], ["::ffff:192.0.2.7"], ["fe80::1%eth0"], ["0.0.0.0"], ["2001:db8::1"]],
)
async def test_servers_elsewhere_are_never_asked(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    connected: list[Any] = []

    async def resolved(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", resolved)
    monkeypatch.setattr(loop, "sock_connect", lambda *given: connected.append(given))
    with pytest.raises(OutcallError, match=r"on this computer only, and example\.com is at"):
        await loopback_only(asked("https://example.com/"))
    assert connected == []


async def test_a_host_that_is_not_known_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(OutcallError, match=r"the host nowhere\.test isn't known"):
        await loopback_only(asked("https://nowhere.test/"))


# --- tasks ---


class Desk:
    """Outcalls with a function that the test controls."""

    def __init__(self) -> None:
        self.pending: dict[int, Outcall] = {}
        self.answers: list[OutcallAnswer] = []
        self.begun: list[str] = []
        self.free = asyncio.Event()
        self.outcalls = Outcalls(lambda: self.pending, self.take, self.perform)

    def take(self, answer: OutcallAnswer) -> None:
        self.pending.pop(answer.outcall_id)
        self.answers.append(answer)

    async def perform(self, request: HttpRequest) -> HttpResponse:
        self.begun.append(request.url)
        await self.free.wait()
        if request.url == "refuse":
            raise OutcallError("not today")
        if request.url == "defect":
            raise RuntimeError("a defect")
        return HttpResponse(200, request.url.encode())

    async def settled(self) -> None:
        await asyncio.gather(*self.outcalls._tasks.values())


async def test_each_outcall_is_made_once_and_answered() -> None:
    desk = Desk()
    desk.pending = {number: outcall(number, asked(url)) for number, url in enumerate(("a", "refuse", "defect"))}
    desk.outcalls.begin()
    desk.outcalls.begin()
    desk.free.set()
    await desk.settled()
    assert desk.begun == ["a", "refuse", "defect"]
    assert desk.answers == [
        OutcallAnswer(b"asker", 0, HttpResponse(200, b"a")),
        OutcallAnswer(b"asker", 1, None, "not today"),
        OutcallAnswer(b"asker", 2, None, "RuntimeError: a defect"),
    ]


async def test_so_many_are_made_at_once_and_the_others_follow() -> None:
    desk = Desk()
    desk.pending = {number: outcall(number, asked(str(number))) for number in range(MAX_AT_ONCE + 3)}
    desk.outcalls.begin()
    await asyncio.sleep(0)
    assert len(desk.begun) == MAX_AT_ONCE
    desk.free.set()
    await desk.settled()
    assert len(desk.answers) == MAX_AT_ONCE + 3


async def test_a_server_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.0)
    desk = Desk()
    desk.pending = {1: outcall(1, asked("slow"))}
    desk.outcalls.begin()
    await desk.settled()
    assert [answer.problem for answer in desk.answers] == ["Canister http request timed out after 0 s"]


async def test_what_is_cancelled_answers_nobody_and_may_begin_again() -> None:
    desk = Desk()
    desk.pending = {1: outcall(1, asked("a"))}
    desk.outcalls.begin()
    await asyncio.sleep(0)
    desk.outcalls.cancel()
    desk.free.set()
    await asyncio.sleep(0)
    assert desk.answers == []
    desk.outcalls.begin()
    await desk.settled()
    assert [answer.outcall_id for answer in desk.answers] == [1]


# --- rounds ---


async def test_an_outcall_is_made_after_its_round_was_made_durable() -> None:
    network = Network()
    persisted_when_made: list[int] = []

    async def perform(request: HttpRequest) -> HttpResponse:
        persisted_when_made.append(network.subnet.persisted)
        return HttpResponse(200, b"here")

    network.rounds.outcalls.perform = perform
    network.subnet.outcalls[5] = outcall(5, asked("a"))
    network.rounds.tick()
    persisted = network.subnet.persisted
    await asyncio.gather(*network.rounds.outcalls._tasks.values())
    assert persisted_when_made == [persisted]
    assert network.subnet.outcall_answers == [OutcallAnswer(b"asker", 5, HttpResponse(200, b"here"))]


async def test_an_orderly_end_leaves_outcalls_to_the_next_start() -> None:
    async with Network() as network:
        never = asyncio.Event()

        async def perform(request: HttpRequest) -> HttpResponse:
            await never.wait()
            return HttpResponse(200)

        network.rounds.outcalls.perform = perform
        network.subnet.outcalls[5] = outcall(5, asked("a"))
        network.rounds.tick()
        (task,) = network.rounds.outcalls._tasks.values()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert network.subnet.outcall_answers == []
    assert list(network.subnet.outcalls) == [5]
