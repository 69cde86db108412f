"""HTTP requests to servers on this computer, and to no others.

Owns which addresses are asked, and that nothing leads elsewhere: no second look-up of a name, redirect or proxy.

The server's start doesn't import it: its library takes a while to load, and most replicas are never asked for this.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import socket
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from canister_factory.replica.node.outcall_error import OutcallError
from canister_factory.replica.subnet.messages import HttpResponse
from canister_factory.replica.subnet.outcalls import HttpRequest

__all__ = ["ask"]

_CHUNK_BYTES: Final = 65_536
_USER_AGENT: Final = "user-agent"


async def ask(request: HttpRequest) -> HttpResponse:
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
