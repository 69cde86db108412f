"""HTTP/1.1 over a transport that is fed bytes: framing, limits, keep-alive, order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.replica.http1 import MAX_BODY_BYTES, HttpConnection, HttpRequest, HttpResponse


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, "text/plain", f"{request.method} {request.path} ".encode() + request.body)


def connected(handler: Any = echo) -> tuple[HttpConnection, RecordingTransport]:
    transport = RecordingTransport()
    connection = HttpConnection(handler, set())
    connection.connection_made(transport)
    return connection, transport


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def exchange(data: bytes, handler: Any = echo) -> RecordingTransport:
    connection, transport = connected(handler)
    connection.data_received(data)
    await settle()
    return transport


def post(body: bytes, extra: bytes = b"") -> bytes:
    return b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n" % (len(body), extra) + body


def bodies(sent: bytes) -> list[bytes]:
    """The bodies of a sequence of responses."""
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append(rest[:size])
        sent = rest[size:]
    return found


async def test_a_request_is_answered_and_the_connection_stays_open() -> None:
    transport = await exchange(post(b"hello"))
    assert transport.sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert bodies(transport.sent) == [b"POST /x hello"]
    assert not transport.closed


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.data())
def test_requests_are_understood_however_the_bytes_are_cut(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(post(content) for content in contents)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))

    async def run() -> bytes:
        connection, transport = connected()
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            connection.data_received(stream[start:end])
            await asyncio.sleep(0)
        for _ in range(3 * len(contents)):
            await asyncio.sleep(0)
        return transport.sent

    assert bodies(asyncio.run(run())) == [b"POST /x " + content for content in contents]


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    gate = asyncio.Event()
    running = 0

    async def slow(request: HttpRequest) -> HttpResponse:
        nonlocal running
        running += 1
        assert running == 1
        await gate.wait()
        running -= 1
        return await echo(request)

    connection, transport = connected(slow)
    connection.data_received(post(b"1") + post(b"2") + post(b"3"))
    await settle()
    assert transport.sent == b""
    gate.set()
    await settle()
    await settle()
    assert bodies(transport.sent) == [b"POST /x 1", b"POST /x 2", b"POST /x 3"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"GET /" + b"x" * 20_000, 431),
    ],
)
async def test_what_cannot_be_served_is_refused_and_the_connection_closed(data: bytes, status: int) -> None:
    transport = await exchange(data)
    assert transport.sent.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in transport.sent
    assert transport.closed


@pytest.mark.parametrize(
    ("request_line", "header", "closes"),
    [
        (b"GET / HTTP/1.1", b"", False),
        (b"GET / HTTP/1.1", b"Connection: close\r\n", True),
        (b"GET / HTTP/1.0", b"", True),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive\r\n", False),
    ],
)
async def test_the_connection_is_kept_as_the_client_wants_it(request_line: bytes, header: bytes, closes: bool) -> None:
    assert (await exchange(request_line + b"\r\n" + header + b"\r\n")).closed is closes


async def test_a_client_that_waits_for_permission_to_send_its_body_gets_it() -> None:
    connection, transport = connected()
    connection.data_received(b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b"ok")
    await settle()
    assert transport.sent.endswith(b"POST /x ok")


async def test_head_gets_the_head_only() -> None:
    transport = await exchange(b"HEAD /x HTTP/1.1\r\n\r\n")
    assert b"content-length: 8\r\n" in transport.sent
    assert transport.sent.endswith(b"\r\n\r\n")


async def test_a_defect_is_a_500_without_details_and_the_next_request_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(request: HttpRequest) -> HttpResponse:
        if request.body == b"bad":
            raise RuntimeError("internal detail")
        return await echo(request)

    transport = await exchange(post(b"bad") + post(b"good"), failing)
    assert transport.sent.startswith(b"HTTP/1.1 500 ")
    assert b"internal detail" not in transport.sent
    assert transport.sent.endswith(b"POST /x good")
    assert "internal detail" in caplog.text


async def test_an_idle_connection_closes_at_once_and_a_busy_one_after_its_answer() -> None:
    gate = asyncio.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        await gate.wait()
        return await echo(request)

    idle, idle_transport = connected()
    busy, busy_transport = connected(slow)
    busy.data_received(post(b"last") + post(b"never served"))
    await settle()
    closing = [asyncio.create_task(connection.close()) for connection in (idle, busy)]
    await settle()
    assert idle_transport.closed
    assert not busy_transport.closed
    gate.set()
    await settle()
    assert bodies(busy_transport.sent) == [b"POST /x last"]
    assert busy_transport.closed
    assert not closing[1].done(), "waits until the bytes have left"
    for connection in (idle, busy):
        connection.connection_lost(None)
    await asyncio.gather(*closing)


async def test_a_client_that_sends_faster_than_it_is_served_is_made_to_wait() -> None:
    gate = asyncio.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        await gate.wait()
        return await echo(request)

    connection, transport = connected(slow)
    connection.data_received(post(b"1"))
    await settle()
    connection.data_received(post(bytes(MAX_BODY_BYTES)))
    assert transport.paused
    gate.set()
    await settle()
    assert not transport.paused
    assert len(bodies(transport.sent)) == 2
