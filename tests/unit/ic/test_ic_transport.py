"""The transport: the same bytes again when that can help, and never a library's exception."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from canister_factory.ic.errors import NetworkConfigError, NetworkUnreachableError, TransportError
from canister_factory.ic.network import Network
from canister_factory.ic.pacer import BULK_BYTES
from canister_factory.ic.transport import MAX_RESPONSE_BYTES, RetryPolicy, Transport
from support.hostile import hostile_server
from support.ic_test_support import NOW_NS, FakeClock, transport_to

Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Server:
    """Takes the given steps, one for each request; the last one for all that follow."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.bodies: list[bytes] = []
        self.clock = FakeClock()

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx.Response) else step(request)

    def transport(self, **options: Any) -> Transport:
        return transport_to(self.handle, self.clock, **options)


def ok(body: bytes = b"fine") -> httpx.Response:
    return httpx.Response(200, content=body)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_the_same_bytes_are_sent_again_while_the_network_is_busy(status: int) -> None:
    server = Server(httpx.Response(status), httpx.Response(status), ok())
    async with server.transport() as transport:
        response = await transport.post("/call", b"envelope")
    assert (response.status, response.body) == (200, b"fine")
    assert server.bodies == [b"envelope"] * 3
    assert server.clock.slept == [0.25, 0.5]


@pytest.mark.parametrize("status", [200, 202, 400, 403, 404, 500, 301])
async def test_other_answers_are_returned_as_they_are(status: int) -> None:
    server = Server(httpx.Response(status, content=b"text"))
    async with server.transport() as transport:
        response = await transport.post("/call", b"envelope")
    assert (response.status, response.text, response.resent) == (status, "text", False)
    assert len(server.bodies) == 1


async def test_an_answer_tells_whether_an_earlier_attempt_may_have_arrived() -> None:
    cases: list[tuple[Step, bool]] = [
        (httpx.ReadTimeout("slow"), True),
        (httpx.Response(504), True),
        (httpx.Response(503), True),
        (httpx.Response(429), False),
    ]
    for first, expected in cases:
        async with Server(first, ok()).transport() as transport:
            assert (await transport.post("/call", b"")).resent is expected


async def test_a_network_that_does_not_listen_is_named_with_what_to_do() -> None:
    server = Server(httpx.ConnectError("refused"))
    async with server.transport(hint="start it") as transport:
        with pytest.raises(NetworkUnreachableError, match=r"http://127\.0\.0\.1:1: refused; start it") as caught:
            await transport.post("/call", b"envelope")
    assert not caught.value.maybe_delivered
    assert len(server.bodies) == 3


async def test_it_gives_up_after_the_allowed_attempts_and_counts_what_was_throttled() -> None:
    server = Server(httpx.Response(503, content=b"overloaded"))
    async with server.transport(retry=RetryPolicy(max_attempts=4)) as transport:
        with pytest.raises(TransportError, match="HTTP 503: overloaded") as caught:
            await transport.post("/call", b"envelope")
    assert caught.value.retry_helps
    assert transport.throttled == 4


async def test_no_attempt_is_made_after_the_deadline() -> None:
    server = Server(httpx.Response(429))
    async with server.transport() as transport:
        with pytest.raises(TransportError):
            await transport.post("/call", b"", deadline_ns=NOW_NS + 10**9)
    assert server.clock.slept == [0.25, 0.5]
    assert len(server.bodies) == 3


async def test_a_large_message_whose_turn_comes_after_its_deadline_is_not_sent() -> None:
    server = Server(httpx.Response(429, headers={"retry-after": "30"}), ok())
    async with server.transport() as transport:
        with pytest.raises(TransportError):
            await transport.post("/call", b"", deadline_ns=NOW_NS + 10**9)
        with pytest.raises(TransportError, match="lets too little through in time") as caught:
            await transport.post("/call", bytes(BULK_BYTES), deadline_ns=NOW_NS + 10 * 10**9)
    assert not caught.value.maybe_delivered
    assert len(server.bodies) == 1


async def test_a_refusal_is_a_pause_for_other_requests_too() -> None:
    server = Server(httpx.Response(429, headers={"retry-after": "7"}), ok(), ok())
    async with server.transport() as transport:
        await transport.post("/call", b"")
        await transport.post("/query", b"")
    assert (server.clock.slept, transport.pacer.refusals) == ([7.0], 1)


@pytest.mark.parametrize(
    ("value", "waited"),
    [
        ("7", 7.0),
        (format_datetime(datetime.fromtimestamp(NOW_NS / 1e9 + 7, UTC), usegmt=True), 7.0),
        ("3600", 60.0),
        ("0", 0.25),
        ("soon", 0.25),
        ("nan", 0.25),
        ("-5", 0.25),
    ],
)
async def test_retry_after_is_honoured_within_reason(value: str, waited: float) -> None:
    server = Server(httpx.Response(429, headers={"retry-after": value}), ok())
    async with server.transport() as transport:
        await transport.post("/call", b"")
    assert server.clock.slept == [waited]


@pytest.mark.parametrize(
    ("failure", "maybe_delivered"),
    [
        (httpx.ReadTimeout("slow"), True),
        (httpx.WriteError("broken"), True),
        (httpx.RemoteProtocolError("gone"), True),
        (httpx.PoolTimeout("busy"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.ProxyError("407 Proxy Authentication Required"), False),
    ],
)
async def test_each_failure_tells_whether_the_request_may_have_arrived(
    failure: Exception, maybe_delivered: bool
) -> None:
    async with Server(failure).transport() as transport:
        with pytest.raises(TransportError) as caught:
            await transport.post("/call", b"")
    assert caught.value.maybe_delivered is maybe_delivered


async def test_one_attempt_that_may_have_arrived_is_not_forgotten_over_later_ones_that_did_not() -> None:
    async with Server(httpx.ReadTimeout("slow"), httpx.ConnectError("refused")).transport() as transport:
        with pytest.raises(TransportError, match="earlier attempt may have arrived") as caught:
            await transport.post("/call", b"")
    assert caught.value.maybe_delivered
    assert not isinstance(caught.value, NetworkUnreachableError)


async def test_an_answer_above_the_limit_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    async with Server(answer).transport(retry=RetryPolicy(max_attempts=1)) as transport:
        with pytest.raises(TransportError, match="larger than the limit"):
            await transport.post("/call", b"")
    assert sent <= MAX_RESPONSE_BYTES + (2 << 20)


async def test_a_url_that_http_cannot_use_is_refused() -> None:
    async with Transport("gopher://127.0.0.1") as transport:
        with pytest.raises(NetworkConfigError):
            await transport.get("/")


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("ALL_PROXY", "socks5://user:secret@proxy.test:1080", r"ALL_PROXY asks for a SOCKS proxy.*pip install"),
        ("https_proxy", "gopher://user:secret@proxy.test", "https_proxy is not the URL of a proxy"),
        ("SSL_CERT_FILE", "/no/such/file.pem", "SSL_CERT_FILE is /no/such/file.pem, .*No such file.*unset it"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE is .*can't be read as certificates"),
    ],
)
async def test_an_environment_that_can_not_be_used_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, advice: str
) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setitem(sys.modules, "socksio", None)
    async with Transport("https://127.0.0.1:1") as transport:
        with pytest.raises(NetworkConfigError, match=advice) as caught:
            await transport.get("/")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(NetworkConfigError, match=advice):
        Network.resolve("https://test.invalid", fetch_root_key=True)


async def test_a_closed_transport_opens_again_and_says_which_state_it_is_in() -> None:
    transport = Server(ok()).transport()
    assert repr(transport) == "Transport(http://127.0.0.1:1, idle, throttled=0)"
    await transport.get("/a")
    assert repr(transport) == "Transport(http://127.0.0.1:1, open, throttled=0)"
    await transport.close()
    assert (await transport.get("/b")).status == 200
    await transport.close()


def test_delays_double_up_to_their_limit_and_vary_by_chance() -> None:
    policy = RetryPolicy(base_s=1, max_delay_s=4)
    assert [policy.delay_s(n, 1.0, None) for n in (1, 2, 3, 4)] == [1, 2, 4, 4]
    assert policy.delay_s(1, 0.0, None) == 0.5
    assert policy.delay_s(1, 0.0, 9.0) == 9.0


class Searches:
    """Looks like one that finds modules; remembers what was searched for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        self.names.append(name)


async def test_a_request_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one may; a search looks into every folder of `sys.path`."""
    searches = Searches()
    with hostile_server(200, b"fine", b"") as url:
        transport = Transport(url, direct=True)
        await transport.post("/first", b"")
        monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])
        assert (await transport.post("/second", b"")).body == b"fine"
        await transport.close()
    assert searches.names == []
