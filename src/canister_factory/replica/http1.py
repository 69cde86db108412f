"""HTTP/1.1 on an asyncio transport: just what the replica's endpoints need, and nothing that costs time.

Owns requests' and responses' form, limits, keep-alive and pipelining. Does not own what a request means: a handler gets
method, path and body. A general framework spends more time on one request than running a small canister takes.

Source: RFC 9112. Message bodies need a Content-Length (411 otherwise), which all IC clients send.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

__all__ = ["MAX_BODY_BYTES", "HttpConnection", "HttpRequest", "HttpResponse"]

MAX_BODY_BYTES: Final = 5 * 1024 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024

_log = logging.getLogger(__name__)

_REASONS: Final = {
    200: "OK",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class HttpRequest(NamedTuple):
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpResponse(NamedTuple):
    """One response; `headers` is a block of ready header lines, each ended by CR LF."""

    status: int
    content_type: str
    body: bytes
    headers: bytes = b""


class _BadRequestError(Exception):
    """The bytes aren't a request that can be served; the connection closes after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Head(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body_bytes: int
    keep_alive: bool


def _parse_head(block: bytes) -> _Head:
    lines = block.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/"):
        raise _BadRequestError(400, "Not an HTTP request")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise _BadRequestError(505, f"{version} is not supported, HTTP/1.1 is")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _BadRequestError(400, "Malformed header line")
        name = name.lower()
        value = value.strip(" \t")
        if name == "content-length" and headers.get(name, value) != value:
            raise _BadRequestError(400, "Contradictory Content-Length headers")
        headers[name] = value
    if "transfer-encoding" in headers:
        raise _BadRequestError(411, "Send the body with a Content-Length; transfer encodings are not supported")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) <= 15):
        raise _BadRequestError(400, "Malformed Content-Length")
    body_bytes = int(length)
    if body_bytes > MAX_BODY_BYTES:
        raise _BadRequestError(413, f"The body is {body_bytes} bytes, above the limit of {MAX_BODY_BYTES} bytes")
    if method == "POST" and "content-length" not in headers:
        raise _BadRequestError(411, "A POST needs a Content-Length")
    connection = headers.get("connection", "").lower()
    keep_alive = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
    return _Head(method, target.partition("?")[0], headers, body_bytes, keep_alive)


class HttpConnection(asyncio.Protocol):
    """One client's connection: requests are served in order, one at a time.

    Args:
        handler: answers a request. What it raises becomes a 500 and a logged traceback.
        connections: a set that holds this connection while it is open, so that a server can close it.
    """

    def __init__(
        self, handler: Callable[[HttpRequest], Awaitable[HttpResponse]], connections: set[HttpConnection]
    ) -> None:
        self._handler = handler
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._lost: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "serving" if self._task else "closing" if self._closing else "idle"
        return f"<HttpConnection {state} buffered={len(self._buffer)}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._lost = asyncio.get_running_loop().create_future()
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._advance()
        elif len(self._buffer) > MAX_BODY_BYTES and self._transport is not None:
            self._transport.pause_reading()  # a client that pipelines faster than it is served

    async def close(self) -> None:
        """Close now, or after the answer that is being made; wait until all that was written has left."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()
        if self._lost is not None:
            await self._lost

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        """Begin serving the next request if it is there completely."""
        if self._closing:
            return
        try:
            request, keep_alive = self._next_request() or (None, True)
        except _BadRequestError as error:
            self._closing = True
            self._write(HttpResponse(error.status, "text/plain", str(error).encode()), head_only=False)
            return
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._serve(request, keep_alive))

    def _next_request(self) -> tuple[HttpRequest, bool] | None:
        head = self._head
        if head is None:
            end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES + 4)
            if end < 0:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise _BadRequestError(431, f"The request's head is above the limit of {MAX_HEAD_BYTES} bytes")
                return None
            head = self._head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if "expect" in head.headers and len(self._buffer) < head.body_bytes and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < head.body_bytes:
            return None
        if len(self._buffer) == head.body_bytes:
            body, self._buffer = bytes(self._buffer), bytearray()
        else:
            body = bytes(self._buffer[: head.body_bytes])
            del self._buffer[: head.body_bytes]
        self._head = None
        return HttpRequest(head.method, head.path, head.headers, body), head.keep_alive

    async def _serve(self, request: HttpRequest, keep_alive: bool) -> None:
        try:
            response = await self._handler(request)
        except Exception:
            _log.exception("Unexpected failure while serving %s %s", request.method, request.path)
            response = HttpResponse(500, "text/plain", b"Internal error; the replica's log has the details")
        self._task = None
        self._closing = self._closing or not keep_alive
        self._write(response, head_only=request.method == "HEAD")
        if self._transport is not None:
            self._transport.resume_reading()
            self._advance()

    def _write(self, response: HttpResponse, *, head_only: bool) -> None:
        if self._transport is None:
            return
        status, content_type, body, headers = response
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\n"
            f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
            f"{'connection: close' if self._closing else 'connection: keep-alive'}\r\n"
        ).encode("latin-1")
        self._transport.write(b"".join((head, headers, b"\r\n", b"" if head_only else body)))
        if self._closing:
            self._transport.close()
