"""HTTP for servers on this computer by aiohttp, whose parser and pool take a tenth of what httpx's take.

httpx's pool looks at all of its connections, twice for each request, and asks the kernel of each idle one whether
something arrived; with many requests at once that is half of what an orchestrator computes. It stays the client for
other computers, where proxies, certificate authorities and waiting matter more.

Owns the requests, and their failures in httpx's words, so that there is one translation of them (`transport`).
"""

from __future__ import annotations

import os

import aiohttp
import httpx

from canister_factory.ic.transport import Answer, AnswerTooLargeError


class LoopbackHttp:
    """Connections to the server of one `http://` URL, at most `maximum`, for one event loop.

    `max_bytes`: of an answer's body. Seconds: to connect, without anything received, to wait for a free connection.
    """

    def __init__(
        self, url: str, *, maximum: int, max_bytes: int, connect_s: float, read_s: float, pool_s: float
    ) -> None:
        self._url = url
        self._max_bytes = max_bytes
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=maximum),
            timeout=aiohttp.ClientTimeout(total=None, connect=pool_s, sock_connect=connect_s, sock_read=read_s),
            headers={"accept-encoding": "identity", "user-agent": "canister-factory"},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"LoopbackHttp({self._url}, {'closed' if self._session.closed else 'open'})"

    async def aclose(self) -> None:
        """Closes all connections; requests on their way fail."""
        await self._session.close()

    async def exchange(self, method: str, path: str, body: bytes | None, content_type: str = "") -> Answer:
        """Sends a request and returns its answer, whatever its status.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.TransportError: there is no whole answer.
            AnswerTooLargeError: the answer's body is above the limit.
        """
        headers = {"content-type": content_type} if body is not None else {}
        try:
            async with self._session.request(
                method, self._url + path, data=body, headers=headers, allow_redirects=False
            ) as answer:
                parts: list[bytes] = []
                size = 0
                async for part in answer.content.iter_any():
                    size += len(part)
                    if size > self._max_bytes:
                        answer.close()
                        raise AnswerTooLargeError
                    parts.append(part)
                return Answer(answer.status, answer.headers, b"".join(parts))
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except aiohttp.ServerTimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            code = error.os_error.errno
            raise httpx.ConnectError(os.strerror(code) if code else str(error)) from error
        except (aiohttp.ClientOSError, OSError) as error:
            raise httpx.ReadError(str(error)) from error
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
