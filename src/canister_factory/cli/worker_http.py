"""What a worker answers to those who watch it: `/metrics`, `/healthz` and `/readyz` over HTTP.

Owns the server and the address that it is given. Does not own: what is answered (`worker_metrics`, `worker_standing`).
It runs in the loop that runs the creations: it answers as long as that loop turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from canister_factory.cli import output
from canister_factory.cli.addresses import Address
from canister_factory.cli.errors import CommandError
from canister_factory.cli.worker_metrics import Metrics
from canister_factory.cli.worker_standing import Standing

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@asynccontextmanager
async def serving(address: Address, standing: Standing, metrics: Metrics) -> AsyncIterator[str]:
    """Serves while the block runs; its value is the server's URL.

    Raises:
        CommandError: nothing can listen at this address.
    """

    async def show_metrics(request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        turns = standing.is_turning
        return _answer(turns, {"alive": True, "loop_turns": turns})

    async def readyz(request: web.Request) -> web.Response:
        readiness = standing.readiness
        return _answer(readiness.is_ready, {"ready": readiness.is_ready, **asdict(readiness)})

    app = web.Application(client_max_size=1_024)
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=15)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            raise CommandError(
                f"can't listen at {address}: {error.strerror or error}; give another --metrics-address"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://{Address(host, port)}"
    finally:
        await runner.cleanup()


def _answer(good: bool, body: dict[str, Any]) -> web.Response:
    return web.Response(
        text=output.as_json(body) + "\n", status=200 if good else 503, content_type="application/json", headers=_HEADERS
    )
