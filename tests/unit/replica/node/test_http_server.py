"""HTTP/1.1 as clients of all kinds speak it, byte for byte."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from canister_factory.replica.node import http_server
from canister_factory.replica.node.http_server import MAX_BODY_BYTES, MAX_CONNECTIONS, Answer, HttpServer, Respond
from canister_factory.replica.node.listening import listen

CBOR = b"content-type: application/cbor\r\n"


class Site:
    """A server that answers with what it was asked, or keeps the answer back until `release`."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.held: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self.holding = False
        self.listening, _ = listen("127.0.0.1", 0)
        self.address = self.listening.getsockname()
        self.server = HttpServer(self.listening, self.serve, max_connections)

    def serve(self, method: str, path: str, body: bytes, respond: Respond) -> None:
        self.asked.append((method, path, body))
        if path == "/defect":
            raise RuntimeError("a defect")
        answer: Answer = (200, "text/plain", b"%s %s %d" % (method.encode(), path.encode(), len(body)))
        if self.holding:
            self.held.put_nowait(lambda: respond(answer))
        else:
            respond(answer)

    async def ask(self, *parts: bytes, until: bytes = b"") -> bytes:
        """Sends the parts, one by one, and reads to the end of the connection, or of what is waited for."""
        reader, writer = await asyncio.open_connection(*self.address)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        try:
            return await (reader.readuntil(until) if until else reader.read())
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start()
    yield site
    await site.server.stop()


def post(body: bytes, *, head: bytes = CBOR, path: bytes = b"/x") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: a\r\n%scontent-length: %d\r\n\r\n" % (path, head, len(body)) + body


async def test_a_connection_takes_one_request_after_the_other(site: Site) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    for number in range(3):
        writer.write(post(bytes(number)))
        answer = await reader.readuntil(b"POST /x %d" % number)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"access-control-allow-origin: *\r\n" in answer
        assert b"connection: close" not in answer
    writer.close()


async def test_a_body_may_come_in_pieces_and_in_chunks(site: Site) -> None:
    whole = post(b"0123456789")
    await site.ask(*[bytes((byte,)) for byte in whole], until=b"/x 10")
    head = b"POST /x HTTP/1.1\r\nhost: a\r\n" + CBOR + b"transfer-encoding: chunked\r\n\r\n"
    await site.ask(head, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", until=b"/x 7")
    assert [body for _, _, body in site.asked] == [b"0123456789", b"abcdefg"]


async def test_a_body_of_large_and_small_parts_is_put_together_in_their_order(site: Site) -> None:
    sizes = (1, 2, 70_000, 3, 4, 20_000, 70_000, 5)
    chunks = [bytes((number,)) * size for number, size in enumerate(sizes)]
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    head = b"POST /x HTTP/1.1\r\nhost: a\r\n" + CBOR + b"transfer-encoding: chunked\r\n\r\n"
    await site.ask(head, *framed, b"0\r\n\r\n", until=b"/x %d" % sum(sizes))
    assert [body for _, _, body in site.asked] == [b"".join(chunks)]


async def test_requests_sent_at_once_are_answered_in_their_order(site: Site) -> None:
    site.holding = True
    task = asyncio.create_task(site.ask(post(b"1") + post(b"22") + post(b"333"), until=b"/x 3"))
    for number in (1, 2, 3):
        release = await site.held.get()
        assert len(site.asked) == number, "the next is asked when the one before is answered"
        release()
    answers = await task
    assert answers.index(b"/x 1") < answers.index(b"/x 2") < answers.index(b"/x 3")


async def test_thousands_at_once_are_answered_one_by_one(site: Site) -> None:
    many = 3000
    answers = await site.ask(b"GET /x HTTP/1.1\r\n\r\n" * (many - 1) + b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert answers.count(b"GET /x 0") == many


async def test_others_have_their_turn_between_requests_that_one_sends_at_once(site: Site) -> None:
    flood = asyncio.create_task(site.ask(b"GET /flood HTTP/1.1\r\n\r\n" * 100, until=b"GET /flood 0"))
    other = asyncio.create_task(site.ask(b"GET /other HTTP/1.1\r\n\r\n", until=b"GET /other 0"))
    await asyncio.gather(flood, other)
    paths = [path for _, path, _ in site.asked]
    assert paths.index("/other") < 50


@pytest.mark.parametrize(
    "request_line", [b"GET /x HTTP/1.0\r\n\r\n", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]
)
async def test_the_connection_is_closed_where_the_client_wants_that(site: Site, request_line: bytes) -> None:
    answer = await site.ask(request_line)
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"GET /x 0")


async def test_head_has_the_length_but_not_the_body(site: Site) -> None:
    answer = await site.ask(b"HEAD /x HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert b"content-length: 9\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_asks_first_is_told_to_go_on(site: Site) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    whole = post(b"body", head=CBOR + b"expect: 100-continue\r\n")
    writer.write(whole[:-4])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    await reader.readuntil(b"POST /x 4")
    writer.close()


async def test_an_offer_of_another_protocol_is_not_taken(site: Site) -> None:
    upgrade = b"connection: upgrade\r\nupgrade: h2c\r\n"
    answer = await site.ask(
        b"GET /x HTTP/1.1\r\n" + upgrade + b"\r\n" + b"GET /y HTTP/1.1\r\nconnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.endswith(b"GET /y 0")


async def test_the_path_is_what_counts_of_the_target(site: Site) -> None:
    await site.ask(b"GET http://replica:80/x?query#part HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert site.asked == [("GET", "/x", b"")]


async def test_only_cbor_is_taken(site: Site) -> None:
    answer = await site.ask(post(b"{}", head=b"content-type: application/json\r\nconnection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 415 ")
    await site.ask(post(b"x", head=b"Content-Type: Application/CBOR; charset=x\r\n"), until=b"/x 1")
    assert len(site.asked) == 1


async def test_a_body_above_the_limit_is_refused_and_not_kept(site: Site) -> None:
    answer = await site.ask(post(bytes(MAX_BODY_BYTES + 1), head=CBOR + b"connection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert site.asked == []


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00 a TLS hello\r\n\r\n", b"GET\r\n\r\n", b"GET / FTP/1\r\n\r\n"])
async def test_what_is_not_http_is_refused_and_the_connection_closed(site: Site, noise: bytes) -> None:
    assert (await site.ask(noise)).startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_an_end_is_refused(site: Site) -> None:
    answer = await site.ask(b"GET /x HTTP/1.1\r\nx: " + b"y" * 65_536)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("endless", [b"3;", b"3\r\nabc\r\n0\r\nx: "], ids=["chunk extension", "trailer"])
async def test_what_frames_a_body_without_an_end_is_refused(site: Site, endless: bytes) -> None:
    head = b"POST /x HTTP/1.1\r\n" + CBOR + b"transfer-encoding: chunked\r\n\r\n"
    answer = await site.ask(head + endless + b"y" * 65_536)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_body_in_the_smallest_chunks_is_taken(site: Site) -> None:
    head = b"POST /x HTTP/1.1\r\n" + CBOR + b"transfer-encoding: chunked\r\n\r\n"
    answer = await site.ask(head + b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n", until=b"/x 10000")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_long_target_is_refused_and_not_remembered(site: Site) -> None:
    remembered = http_server._path.cache_info().currsize
    answer = await site.ask(b"GET /%s HTTP/1.1\r\nconnection: close\r\n\r\n" % (b"x" * 2048))
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert site.asked == []
    assert http_server._path.cache_info().currsize == remembered


async def test_a_defect_is_logged_and_answered(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    answer = await site.ask(b"GET /defect HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"a defect" not in answer
    assert "a defect" in caplog.text


async def test_a_client_that_has_left_is_not_answered(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.holding = True
    _, writer = await asyncio.open_connection(*site.address)
    writer.write(post(b"1"))
    release = await site.held.get()
    writer.transport.abort()
    site.holding = False
    await site.ask(post(b"2"), until=b"/x 1")  # by then the server has seen the end
    release()
    await site.server.stop()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_of_too_many_connections_the_oldest_idle_ones_are_ended_and_no_busy_one() -> None:
    site = Site(max_connections=2)
    await site.server.start()
    site.holding = True
    busy = asyncio.create_task(site.ask(post(b"1"), until=b"/x 1"))
    release = await site.held.get()
    idle, slow = await asyncio.open_connection(*site.address)
    slow.write(b"GET /x HTTP/1.1\r\n")
    other = asyncio.create_task(site.ask(post(b"22"), until=b"/x 2"))
    assert await idle.read() == b""
    release_other = await site.held.get()
    refused, _ = await asyncio.open_connection(*site.address)
    assert await refused.read() == b""
    release()
    release_other()
    await asyncio.gather(busy, other)
    await site.server.stop()


async def test_an_end_lets_go_of_idle_connections_and_waits_for_the_others() -> None:
    site = Site()
    await site.server.start()
    site.holding = True
    idle, _ = await asyncio.open_connection(*site.address)
    busy = asyncio.create_task(site.ask(post(b"1")))
    release = await site.held.get()
    stopping = asyncio.create_task(site.server.stop())
    assert await idle.read() == b""
    with pytest.raises(OSError, match="refused"), socket.create_connection(site.address):
        pass
    assert not stopping.done()
    release()
    answer = await busy
    assert answer.endswith(b"POST /x 1")
    await stopping


async def test_a_connection_leaves_no_cycle_behind(site: Site) -> None:
    await site.ask(post(b"1"), until=b"/x 1")
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing).__name__ == "_Connection" for thing in gc.get_objects())
        for _ in range(3):
            await site.ask(post(b"1"), until=b"/x 1")
        while "connections=0" not in repr(site.server):
            await site.ask(b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n")
        await site.server.stop()
        assert sum(type(thing).__name__ == "_Connection" for thing in gc.get_objects()) <= before
    finally:
        gc.enable()
