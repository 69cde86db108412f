"""What a worker answers over HTTP, and at which address."""

from __future__ import annotations

import socket

import httpx
import pytest

from canister_factory.cli.addresses import Address
from canister_factory.cli.errors import CommandError
from canister_factory.cli.worker_http import serving
from canister_factory.cli.worker_metrics import Metrics
from canister_factory.cli.worker_standing import PATIENCE_SECONDS, Standing
from canister_factory.factory.worker_events import Looked, Unlisted
from support.backend_looks import look
from support.backend_script import Clock

LOCAL = Address("127.0.0.1", 0)


class Watched:
    """A worker's standing on a clock, with its metrics."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.standing = Standing(10, lambda: 0, back=lambda seconds: None, clock=self.clock)
        self.metrics = Metrics(self.standing)


async def test_metrics_are_served_in_the_form_that_prometheus_reads() -> None:
    watched = Watched()
    async with serving(LOCAL, watched.standing, watched.metrics) as url, httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE canister_factory_ready gauge\ncanister_factory_ready 0.0\n" in answer.text


async def test_readiness_follows_what_the_worker_finds() -> None:
    watched = Watched()
    async with serving(LOCAL, watched.standing, watched.metrics) as url, httpx.AsyncClient() as http:
        first = await http.get(f"{url}/readyz")
        watched.standing.event(Looked((), 0))
        watched.standing.looked(look())
        second = await http.get(f"{url}/readyz")
        watched.standing.event(Unlisted("cut"))
        third = await http.get(f"{url}/readyz")
    assert (first.status_code, first.json()["network"]) == (503, "not known yet")
    assert second.status_code == 200
    assert second.json() == {"ready": True, "network": "ok", "role": "ok", "backend": "ok"}
    assert (third.status_code, third.json()["network"]) == (503, "no answer: cut")


async def test_health_is_lost_when_the_loop_turns_no_more() -> None:
    watched = Watched()
    async with serving(LOCAL, watched.standing, watched.metrics) as url, httpx.AsyncClient() as http:
        alive = await http.get(f"{url}/healthz")
        watched.clock.now = PATIENCE_SECONDS + 31
        stuck = await http.get(f"{url}/healthz")
    assert (alive.status_code, alive.json()) == (200, {"alive": True, "loop_turns": True})
    assert (stuck.status_code, stuck.json()) == (503, {"alive": True, "loop_turns": False})


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)])
async def test_nothing_else_is_answered(method: str, path: str, status: int) -> None:
    watched = Watched()
    async with serving(LOCAL, watched.standing, watched.metrics) as url, httpx.AsyncClient() as http:
        assert (await http.request(method, url + path)).status_code == status


async def test_an_address_that_is_taken_is_named() -> None:
    watched = Watched()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"can't listen at 127.0.0.1:{port}: .*; give another --metrics-address"):
            async with serving(Address("127.0.0.1", port), watched.standing, watched.metrics):
                pass
