"""HTTP/1.1 over local connections: bytes become (method, path, body), answers become bytes.

Owns connections: their framing and limits, headers that browsers need, what isn't a request, an orderly end. Parsing is
llhttp's, the parser of Node.js, by way of httptools. Does not own what requests mean (`http_api`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple, cast

import httptools

from canister_factory.replica.node.listening import BACKLOG
from canister_factory.replica.runtime.parts import Parts

__all__ = ["MAX_BODY_BYTES", "MAX_CONNECTIONS", "Answer", "HttpServer", "Respond", "Serve", "internal_error"]

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""
Respond = Callable[[Answer], None]
Serve = Callable[[str, str, bytes, Respond], None]
"""Takes method, path, body, and what to call, once and in the event loop's thread, with the answer."""

MAX_BODY_BYTES: Final = 5 * 1024 * 1024
MAX_CONNECTIONS: Final = 2000
_TAKEN_AT_ONCE: Final = 32  # connections: before they are counted
_MAX_HEAD_BYTES: Final = 64 * 1024  # and with it what frames a body, its trailer too, beyond the body's own length
_MAX_TARGET_BYTES: Final = 2048  # paths are remembered, and none of ours is as long
_MAX_WAITING: Final = 16  # requests that a client sends on one connection before it has the answers
_WORTH_A_WRITE: Final = 64 * 1024  # a body as long as this isn't copied behind its head
_CLOSE_TIMEOUT_S: Final = 2.0
_TEXT: Final = "text/plain; charset=utf-8"
_CBOR: Final = b"application/cbor"

# What a replica answers to browsers: any page may talk to it, since authority comes from signatures, not from origins.
_CORS: Final = b"access-control-allow-origin: *\r\n"
_PREFLIGHT: Final = (
    b"HTTP/1.1 204 No Content\r\n" + _CORS + b"access-control-allow-methods: GET, HEAD, POST, OPTIONS\r\n"
    b"access-control-allow-headers: accept, authorization, cache-control, content-type, cookie, dnt, "
    b"if-modified-since, keep-alive, range, user-agent, x-requested-with\r\naccess-control-max-age: 600\r\n"
)

logger = logging.getLogger(__name__)


class _Request(NamedTuple):
    method: str
    path: str
    content_type: bytes
    body: bytes
    keep_alive: bool
    refusal: Answer | None


class HttpServer:
    """Serves the connections of a listening socket.

    Args:
        listening: the socket; closed at the end.
        serve: answers requests.
        max_connections: when there are more, the oldest on which nothing is being asked is ended; else the new one.
    """

    def __init__(self, listening: socket.socket, serve: Serve, max_connections: int = MAX_CONNECTIONS) -> None:
        self._listening = listening
        self._serve = serve
        self._max_connections = max_connections
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, None] = {}  # from the oldest on
        self._gone = asyncio.Event()

    def __repr__(self) -> str:
        return f"<HttpServer connections={len(self._connections)}>"

    async def start(self) -> None:
        """Begins to take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._serve, self._connected, self._disconnected),
            sock=self._listening,
            backlog=_TAKEN_AT_ONCE,
        )
        self._listening.listen(BACKLOG)  # so many may wait; `backlog` is also how many are taken in one go of the loop

    def _connected(self, connection: _Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > self._max_connections:
            ended = next(each for each in self._connections if not each.busy)
            del self._connections[ended]
            ended.abort()

    def _disconnected(self, connection: _Connection) -> None:
        self._connections.pop(connection, None)
        self._gone.set()

    def stop_listening(self) -> None:
        """Takes no more connections, and ends those on which nothing is being asked."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close_when_idle()

    async def stop(self) -> None:
        """Ends, after the answers that are awaited; a client that doesn't take its answer is given two seconds."""
        self.stop_listening()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                while self._connections:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()


class _Connection(asyncio.Protocol):
    """One client. Its requests are answered one after the other."""

    def __init__(
        self, serve: Serve, connected: Callable[[_Connection], None], disconnected: Callable[[_Connection], None]
    ) -> None:
        self._serve = serve
        self._connected = connected
        self._disconnected = disconnected
        self._transport: asyncio.Transport
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[_Request] = deque()
        self._current: _Request | None = None
        self._closing = False  # no request is taken any more
        self._writable = True
        self._reading = True
        self._begin()

    def __repr__(self) -> str:
        return f"<_Connection busy={self._current is not None} waiting={len(self._waiting)}>"

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._waiting.clear()
        self._parser = None  # it refers to this object: no cycle is to be left
        self._disconnected(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._next()

    def eof_received(self) -> bool:
        """The client sends nothing more; what it has asked is answered."""
        self.close_when_idle()
        return self.busy

    def close_when_idle(self) -> None:
        self._closing = True
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    @property
    def busy(self) -> bool:
        return self._current is not None or bool(self._waiting)

    def data_received(self, data: bytes) -> None:
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse_and_close(400, f"Not a request of HTTP/1.1: {error}")
        if self._received_bytes - self._body_bytes > _MAX_HEAD_BYTES + min(self._body_bytes, MAX_BODY_BYTES):
            self._refuse_and_close(431, f"The head of the request is above the limit of {_MAX_HEAD_BYTES} bytes")
        self._next()
        if len(self._waiting) >= _MAX_WAITING and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _feed(self, data: bytes) -> None:
        while data and not self._closing:
            self._received_bytes += len(data)
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # an offer of another protocol, which isn't taken
                self._parser = httptools.HttpRequestParser(self)
                data = data[upgrade.args[0] :] if upgrade.args else b""

    def _refuse_and_close(self, status: int, text: str) -> None:
        if not self._closing:
            self._waiting.append(_Request("", "", b"", b"", False, (status, _TEXT, text.encode())))
            self._closing = True

    # --- called by the parser ----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._url = b""
        self._content_type = b""
        self._body = Parts()
        self._body_bytes = self._received_bytes = 0  # of the latter as much as is known to be this request's

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = name.lower()
        if kind == b"content-type":
            self._content_type = value
        elif kind == b"expect" and value.lower() == b"100-continue" and not self.busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes <= MAX_BODY_BYTES:
            self._body.add(part)
        else:
            self._body = Parts()  # the rest is read for a client that listens only when it has sent all

    def on_message_complete(self) -> None:
        if self._closing:
            return
        parser = self._parser
        refusal = None
        if len(self._url) > _MAX_TARGET_BYTES:
            refusal = (414, _TEXT, f"The path is above the limit of {_MAX_TARGET_BYTES} bytes".encode())
        elif self._body_bytes > MAX_BODY_BYTES:
            refusal = (413, _TEXT, f"The body is above the limit of {MAX_BODY_BYTES} bytes".encode())
        request = _Request(
            parser.get_method().decode(),
            "" if refusal is not None else _path(self._url),
            self._content_type,
            self._body.whole(),
            parser.should_keep_alive(),
            refusal,
        )
        self._begin()
        self._waiting.append(request)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Serves one request, if one may be served. Of many that came at once, each has its own go of the loop."""
        if self._waiting and self._current is None and self._writable and not self._transport.is_closing():
            request = self._current = self._waiting.popleft()
            self._answer(request)
        if not self._reading and not self._waiting:
            self._reading = True
            self._transport.resume_reading()

    def _answer(self, request: _Request) -> None:
        if request.refusal is not None:
            self._respond(request, request.refusal)
        elif request.method == "OPTIONS":
            self._write(request, _PREFLIGHT, b"")
        elif request.method == "POST" and request.content_type.partition(b";")[0].strip().lower() != _CBOR:
            self._respond(request, (415, _TEXT, b"Send requests as content-type: application/cbor"))
        else:
            try:
                self._serve(request.method, request.path, request.body, lambda answer: self._respond(request, answer))
            except Exception:
                self._respond(request, internal_error(f"serving {request.method} {request.path}"))

    def _respond(self, request: _Request, answer: Answer) -> None:
        if request is not self._current:
            return
        status, content_type, body = answer
        head = _head(status, content_type) + b"content-length: %d\r\n" % len(body)
        self._write(request, head, b"" if request.method == "HEAD" else body)

    def _write(self, request: _Request, head: bytes, body: bytes) -> None:
        self._current = None
        if self._transport.is_closing():
            return
        last = not request.keep_alive or (self._closing and not self._waiting)
        head += _date(int(time.time())) + (b"connection: close\r\n\r\n" if last else b"\r\n")
        if len(body) < _WORTH_A_WRITE:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        if last:
            self._closing = True
            self._waiting.clear()
            self._transport.close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._next)


def internal_error(doing: str) -> Answer:
    """The answer where an exception shows a defect; the log gets the exception, and both the same reference."""
    reference = secrets.token_hex(4)
    logger.exception("unexpected failure while %s (reference %s)", doing, reference)
    return 500, _TEXT, f"Internal error (reference {reference}); the replica's log has the details".encode()


@lru_cache(maxsize=64)
def _head(status: int, content_type: str) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {content_type}\r\n".encode() + _CORS


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    return time.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(seconds)).encode()


@lru_cache(maxsize=4096)
def _path(url: bytes) -> str:
    """The path of a request target, which may have a query, or be a whole URL."""
    parsed: Any = httptools.parse_url(url)
    return (parsed.path or b"/").decode("latin-1")
