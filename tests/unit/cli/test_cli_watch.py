"""Work that is watched ends as soon as its replica does, with the reason."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import cbor2
import pytest

from canister_factory.cli.errors import CommandError
from canister_factory.cli.watch import watched, watched_if_embedded
from canister_factory.ic.errors import TransportError
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network
from canister_factory.replica.node.state_file import ReplicaRecord, write_record


class StatusServer(HTTPServer):
    """Answers every request with `status`."""

    status: dict[str, Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, StatusServer)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(cbor2.dumps(self.server.status))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with StatusServer(("127.0.0.1", 0), Handler) as made:
        made.status = {"replica_health_status": "healthy", "root_key": MAINNET_ROOT_KEY}
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


async def endless(cancelled: list[bool]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.append(True)


async def failing(error: Exception) -> None:
    raise error


async def answer() -> int:
    return 42


async def cut_short(server: StatusServer, *, is_alive: bool) -> CommandError:
    """The error that ends work which would never end; the work was cancelled."""
    cancelled: list[bool] = []
    with pytest.raises(CommandError) as ended:
        await watched(endless(cancelled), server.url, lambda: is_alive, "the demo")
    assert cancelled == [True]
    return ended.value


FULL = {"replica_health_status": "certified_state_behind", "health_reason": "No space left on device"}


async def test_work_that_ends_gives_its_result(server: StatusServer) -> None:
    assert await watched(answer(), server.url, lambda: True, "the demo") == 42


async def test_a_replica_that_ended_ends_the_work(server: StatusServer) -> None:
    error = await cut_short(server, is_alive=False)
    assert "ended in the middle of the demo" in str(error)
    assert error.exit_code == 3


async def test_a_replica_that_works_no_more_ends_the_work_with_its_reason(server: StatusServer) -> None:
    server.status = FULL
    error = await cut_short(server, is_alive=True)
    assert "has stopped working: No space left on device" in str(error)
    assert error.exit_code == 1


async def test_a_failure_whose_cause_the_replica_knows_is_told_as_the_cause(server: StatusServer) -> None:
    server.status = FULL
    with pytest.raises(CommandError, match="No space left on device"):
        await watched(failing(TransportError("HTTP 500")), server.url, lambda: True, "the demo")


async def test_a_failure_on_a_healthy_replica_is_itself(server: StatusServer) -> None:
    with pytest.raises(TransportError, match="HTTP 500"):
        await watched(failing(TransportError("HTTP 500")), server.url, lambda: True, "the demo")


async def test_a_cancellation_waits_until_the_work_has_tidied_up_and_tells_its_result(server: StatusServer) -> None:
    begun, tidied, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def careful() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            tidied.set()
            await release.wait()
        return "lease given back"

    task = asyncio.ensure_future(watched(careful(), server.url, lambda: True, "the command"))
    await begun.wait()
    task.cancel()
    await tidied.wait()
    assert not task.done()
    release.set()
    assert await task == "lease given back"


async def test_what_tidies_up_on_a_replica_that_ended_is_given_up(server: StatusServer) -> None:
    """Ctrl-C on a terminal reaches a demo's replica too; the lease that is given back then has no answer."""
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(asyncio.Event().wait())

    alive = [True]
    watcher = asyncio.ensure_future(watched(work(), server.url, lambda: alive[0], "the demo"))
    await begun.wait()
    alive[0] = False
    watcher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watcher


async def test_a_second_cancellation_reaches_what_tidies_up(server: StatusServer) -> None:
    begun, tidied = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(watched(stubborn(), server.url, lambda: True, "the command"))
    await begun.wait()
    task.cancel()
    await tidied.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_replica_that_does_not_answer_is_not_given_up() -> None:
    async def after_some_looks() -> int:
        await looked_twice.wait()
        return 42

    looked_twice, loop, looks = asyncio.Event(), asyncio.get_running_loop(), 0

    def runs() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            loop.call_soon_threadsafe(looked_twice.set)
        return True

    assert await watched(after_some_looks(), "http://127.0.0.1:9", runs, "the demo") == 42


async def test_commands_watch_the_recorded_replica_and_no_other(
    server: StatusServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path))
    gone = ReplicaRecord(server.url, MAINNET_ROOT_KEY.hex(), pid=2**22 + 1)
    write_record(tmp_path, gone)
    work = answer()
    assert watched_if_embedded(work, Network(server.url, server.url, MAINNET_ROOT_KEY)) is work
    assert watched_if_embedded(work, Network("embedded", server.url, MAINNET_ROOT_KEY)) is work, "it ended long ago"
    assert await work == 42
    write_record(tmp_path, ReplicaRecord(server.url, MAINNET_ROOT_KEY.hex(), os.getpid()))
    server.status = server.status | FULL
    with pytest.raises(CommandError, match="No space left on device"):
        await watched_if_embedded(endless([]), Network("embedded", server.url, MAINNET_ROOT_KEY))
