"""A running replica: the subnet, its certified view and its rounds behind an HTTP server on the loopback interface.

Owns putting the parts together, the listening socket, headers that browsers need, and an orderly end.
Does not own what requests mean (`http_api`), HTTP itself (aiohttp), or the process around it (`cli.replica`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.compiled_modules import compiled_modules_directory
from canister_factory.replica.node.http_api import HttpApi
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.outcalls import Outcalls
from canister_factory.replica.node.rounds import PACE, Rounds
from canister_factory.replica.node.state_lock import acquire, unusable
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins

__all__ = ["ReplicaServer", "ServerError"]

_CLOSE_TIMEOUT_S: Final = 2.0

MAX_BODY_BYTES: Final = 5 * 1024 * 1024

# What a replica answers to browsers: any page may talk to it, since authority comes from signatures, not from origins.
_CORS: Final = {"access-control-allow-origin": "*"}
_PREFLIGHT: Final = _CORS | {
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": "accept, authorization, cache-control, content-type, cookie, dnt, "
    "if-modified-since, keep-alive, range, user-agent, x-requested-with",
    "access-control-max-age": "600",
}

logger = logging.getLogger(__name__)


class ServerError(CanisterFactoryError):
    """The replica can't be started; the message says why and what to do."""


class ReplicaServer:
    """An embedded replica that answers at `url` until `stop`.

    Args:
        state_dir: where keys and state are kept. None: in memory, gone at the end.
        clock_ns: nanoseconds since 1970.

    Use `start`; a directory belongs to one process at a time.

    Raises:
        StateDirectoryError: another process uses the directory, or the system refuses it.
        KeyFileError, CheckpointError: what is in the directory can't be used.
    """

    def __init__(self, state_dir: Path | None = None, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = acquire(state_dir) if state_dir is not None else None
        try:
            self._open(state_dir)
        except BaseException as error:
            if self._lock is not None:
                self._lock.close()
            if isinstance(error, OSError) and state_dir is not None:
                raise unusable(state_dir, error) from error
            raise

    def _open(self, state_dir: Path | None) -> None:
        clock_ns = self._clock_ns
        keys = ReplicaKeys.generate() if state_dir is None else ReplicaKeys.load_or_create(state_dir)
        self.root_key = keys.root.public_key
        changes = Changes()
        engine = Engine(compiled_modules_directory(), background=True)
        self.subnet = Subnet(
            engine,
            clock_ns=clock_ns,
            subnet_id=keys.subnet.principal,
            node_id=keys.node.principal,
            root_key=keys.root.public_key,
            listeners=changes.listeners,
            builtins=builtins(),
            checkpoint=Checkpoint(state_dir, engine) if state_dir else None,
            pace=PACE,
        )
        view = self._view = CertifiedView(keys, self.subnet, changes, clock_ns)
        self._rounds = Rounds(self.subnet, view, changes, clock_ns)
        self._api = HttpApi(self.subnet, self._rounds, keys, clock_ns)
        self._runner: web.ServerRunner | None = None
        self.url = ""

    def __repr__(self) -> str:
        return f"<ReplicaServer {self.url or 'not listening'} {self.subnet!r}>"

    @property
    def failure(self) -> str | None:
        """Why nothing is executed any more, for people; None while all is well."""
        return self._rounds.failure

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen; port 0 picks a free one.

        Raises:
            ServerError: the address isn't a loopback one, or the port is taken.
        """
        _require_loopback(host)
        # The low-level server: routing is `http_api`'s, and a small canister's call takes less time than a framework.
        runner = web.ServerRunner(
            web.Server(self._serve, request_factory=_request, access_log=None), shutdown_timeout=_CLOSE_TIMEOUT_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=512).start()
        except OSError as error:
            await runner.cleanup()
            raise ServerError(
                f"port {port} on {host} can't be used ({os.strerror(error.errno or 0)}): stop what listens there, or "
                "choose another with --port (0: any free one)"
            ) from None
        self._runner = runner
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{shown}:{bound[1]}"
        self._rounds.start()
        return self

    async def stop(self) -> None:
        """Take no more requests, finish and answer those that were taken, make all durable.

        Raises:
            CheckpointError: the state couldn't be written at the end; what was answered before is durable.
        """
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
            self._api.stop()
            await self._rounds.stop()
            await self._runner.cleanup()
        try:
            self.subnet.close()
        finally:
            if self._lock is not None:
                self._lock.close()

    @property
    def outcalls(self) -> Outcalls:
        """The HTTP requests of canisters; `outcalls.perform` makes them, and may be replaced."""
        return self._rounds.outcalls

    # --- going back: to be called in the event loop of `start` -------------------------------------------------------

    def anchor(self) -> Anchor:
        """Remembers the state; see `Subnet.anchor`."""
        return self.subnet.anchor()

    def revert(self, anchor: Anchor) -> None:
        """Goes back to an anchor. Calls that came since are forgotten: who still waits for one is told nothing.

        Certificates and time follow the clock, so the caller sets that back as far as it was moved.

        Raises:
            AnchorError, SubnetBrokenError: as `Subnet.revert`.
        """
        self.subnet.revert(anchor)
        self._view.rewind()
        self._rounds.went_back(self.subnet.request_statuses)

    def tick(self) -> bool:
        """Executes a round at once; whether more is queued.

        Raises:
            RoundFailedError: it broke off, or an earlier one did.
        """
        return self._rounds.tick()

    async def __aenter__(self) -> Self:
        return self if self._runner is not None else await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        method = request.method
        if method == "OPTIONS":
            return web.Response(status=204, headers=_PREFLIGHT)
        if method == "POST" and request.content_type != "application/cbor":
            return _text(415, "Send requests as content-type: application/cbor")
        try:
            status, content_type, body = await self._api.handle(method, request.path, await request.read())
        except web.HTTPRequestEntityTooLarge:
            return _text(413, f"The body is above the limit of {MAX_BODY_BYTES} bytes")
        except ConnectionResetError:
            return _text(400, "The client has left")  # nobody reads it
        except Exception:
            reference = secrets.token_hex(4)
            logger.exception("unexpected failure while serving %s %s (reference %s)", method, request.path, reference)
            return _text(500, f"Internal error (reference {reference}); the replica's log has the details")
        return web.Response(status=status, body=body, headers=_CORS | {"content-type": content_type})


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """aiohttp's request with our limit on bodies."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers=_CORS)


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ServerError(
            f"the embedded replica is for development and tests and listens on loopback addresses only, not on {host}: "
            "use 127.0.0.1"
        )
