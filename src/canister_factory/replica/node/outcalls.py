"""Making the HTTP requests of canisters: by a function that was given, by default to servers on this computer only.

Owns the tasks, their time limit, and the way to loopback servers. Does not own what is checked and charged, or what
becomes of an answer (`subnet.http_outcalls`). A request is made once its round is durable; after a restart, requests
that were not answered are made again.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from canister_factory.replica.subnet.messages import HttpResponse, OutcallAnswer
from canister_factory.replica.subnet.outcalls import HttpRequest, Outcall

__all__ = ["OutcallError", "Outcalls", "Perform", "loopback_only"]

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 30.0
MAX_AT_ONCE: Final = 50  # others wait: each takes a socket, and up to 2 MB
_CHUNK_BYTES: Final = 65_536
_USER_AGENT: Final = "user-agent"


class OutcallError(Exception):
    """A request has no answer; the message, which the canister is told, says why."""


Perform = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Makes a request. Raises OutcallError, or anything else, where there is no answer."""


class Outcalls:
    """The requests under way.

    Args:
        pending: the subnet's outcalls that wait for their answer.
        submit: takes the answers.
        perform: makes the requests.
    """

    def __init__(
        self, pending: Callable[[], Mapping[int, Outcall]], submit: Callable[[OutcallAnswer], None], perform: Perform
    ) -> None:
        self._pending = pending
        self._submit = submit
        self.perform = perform
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    def __repr__(self) -> str:
        return f"<Outcalls under_way={len(self._tasks)}>"

    def begin(self) -> None:
        """Begins what isn't under way; to be called in the event loop, once the requests are durable."""
        for number, outcall in self._pending().items():
            if number not in self._tasks:
                self._tasks[number] = asyncio.get_running_loop().create_task(self._answer(outcall))

    def cancel(self) -> None:
        """Gives up on everything: nobody is answered."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()

    async def _answer(self, outcall: Outcall) -> None:
        reply, problem = None, ""
        try:
            async with self._places, asyncio.timeout(TIMEOUT_S):
                reply = await self.perform(outcall.request)
        except TimeoutError:
            problem = f"Canister http request timed out after {TIMEOUT_S:.0f} s"
        except OutcallError as error:
            problem = str(error)
        except Exception as error:
            logger.exception("an HTTP outcall failed")
            problem = f"{type(error).__name__}: {error}"
        self._tasks.pop(outcall.id, None)
        self._submit(OutcallAnswer(outcall.caller, outcall.id, reply, problem))


async def loopback_only(request: HttpRequest) -> HttpResponse:
    """Asks a server on this computer; redirects aren't followed, contents aren't unpacked, no proxy is asked.

    Raises:
        OutcallError: the URL's host isn't this computer, or the server gives no answer.
    """
    url = URL(request.url)
    addresses = await _loopback_addresses(url.host or "", url.port or 0)
    headers = list(request.headers)
    if all(name.lower() != _USER_AGENT for name, _ in headers):
        headers.append((_USER_AGENT, "ic/1.0"))
    connector = aiohttp.TCPConnector(resolver=_Resolved(addresses), use_dns_cache=False, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("accept", "accept-encoding", "content-type", _USER_AGENT),
            ) as session,
            session.request(
                request.method,
                url,
                data=io.BytesIO(request.body) if request.body else None,
                headers=headers,
                allow_redirects=False,
            ) as response,
        ):
            body = await _limited(response, request.max_response_bytes)
            text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
            return HttpResponse(response.status, body, tuple(text))
    except (aiohttp.ClientError, ValueError) as error:
        raise OutcallError(f"the server of {url.host}:{url.port} gives no answer: {error}") from error


async def _limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or so much of it that it is seen to be too long."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > limit:
            break
    return b"".join(parts)


async def _loopback_addresses(host: str, port: int) -> list[ResolveResult]:
    """The addresses of a host, if all of them are this computer's own.

    Raises:
        OutcallError: they aren't, or there are none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutcallError(f"the host {host} isn't known: {error}") from None
    results: list[ResolveResult] = []
    for family, _, proto, _, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise OutcallError(
                f"the embedded replica asks servers on this computer only, and {host} is at {address[0]}: in tests, "
                "answer with the fixture http_outcalls"
            )
        results.append(
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=family, proto=proto, flags=socket.AI_NUMERICHOST
            )
        )
    return results


class _Resolved(AbstractResolver):
    """Knows the addresses that were checked, so that no name is looked up a second time."""

    def __init__(self, addresses: list[ResolveResult]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return self._addresses

    async def close(self) -> None:
        return None
