"""Requests that cross into another event loop: their results, their failures, and their end when they are cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest

from canister_factory.testing.transport import SharedTransport


@pytest.fixture
def home() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Server:
    """Answers when it is let go; takes a while to give up."""

    def __init__(self, home: asyncio.AbstractEventLoop) -> None:
        self.entered, self.given_up = threading.Event(), False
        self.transport = SharedTransport(home, "http://127.0.0.1:1")
        self.transport._http = httpx.MockTransport(self.handle)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/quick":
            return httpx.Response(200, content=b"done")
        self.entered.set()
        try:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]
        finally:
            for _ in range(1000):
                await asyncio.sleep(0)
            self.given_up = True


async def test_an_answer_crosses_over(home: asyncio.AbstractEventLoop) -> None:
    assert (await Server(home).transport.get("/quick")).body == b"done"


async def test_a_request_has_ended_when_its_cancellation_has(home: asyncio.AbstractEventLoop) -> None:
    server = Server(home)
    request = asyncio.create_task(server.transport.get("/slow"))
    await asyncio.to_thread(server.entered.wait)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert server.given_up


async def test_a_request_that_is_cancelled_before_it_begins_ends_as_well(home: asyncio.AbstractEventLoop) -> None:
    server = Server(home)
    request = asyncio.create_task(server.transport.get("/slow"))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert server.given_up == server.entered.is_set()
