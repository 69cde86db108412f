"""One HTTP client: time-outs, back-off, retries of the very same bytes, and our errors instead of the library's.

Owns getting bytes to a network and back. Does not own: what the bytes mean, and what to do when an outcome is unknown.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import httpx

from canister_factory.ic.errors import NetworkConfigError, NetworkUnreachableError, TransportError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.pacer import BULK_BYTES, Pacer
from canister_factory.ic.trace import Hook, Span, log

if TYPE_CHECKING:
    from canister_factory.ic.loopback_http import LoopbackHttp

logger = logging.getLogger(__name__)

# httpcore tries to import sniffio several times in each request. Where there is none, each time all of `sys.path` is
# searched, which is a tenth of what a request costs; None is how Python remembers that a module can't be imported.
if find_spec("sniffio") is None:
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

MAX_RESPONSE_BYTES = 8 << 20
"""Above every answer of the interface: replies are at most 3 MiB, and a certificate adds little to one."""

_CONNECT_S, _READ_S, _POOL_S = 10, 60, 120
TIMEOUT = httpx.Timeout(connect=_CONNECT_S, read=_READ_S, write=60, pool=_POOL_S)
"""Seconds. Boundary nodes hold a synchronous call for about 10 s before they answer 202."""

FEW = 40
"""Requests that go by httpx also on this computer: a command has no more, and loading aiohttp takes 0.1 s."""

_HTML = re.compile(r"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]+)", re.IGNORECASE)
_TITLE_WITHIN = 4_000

_CBOR = "application/cbor"
_RETRIED_STATUSES = frozenset((429, 502, 503, 504))
# A gateway that gave up (502, 504), or lost its connection to the node (503 of some), may have passed the request on.
_MAYBE_DELIVERED_STATUSES = frozenset((502, 503, 504))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try the same bytes again. Delays double from `base_s` to `max_delay_s`, each times a random 0.5 to 1.

    At most `max_attempts` attempts in all, of which `max_connect_attempts` may fail to connect; none after a deadline.
    """

    max_attempts: int = 6
    max_connect_attempts: int = 3
    base_s: float = 0.25
    max_delay_s: float = 8.0

    def delay_s(self, attempt: int, chance: float, retry_after_s: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1); `chance` is in 0..1."""
        backoff: float = min(self.max_delay_s, self.base_s * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)
        return max(backoff, retry_after_s or 0.0)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. `resent`: an earlier attempt of the same request may have arrived as well."""

    status: int
    body: bytes
    resent: bool = False

    @property
    def text(self) -> str:
        """The body for an error message: one line, escaped and cut; of an HTML page its title."""
        text = self.body.decode(errors="replace")
        if _HTML.match(text):
            title = _TITLE.search(text[:_TITLE_WITHIN])
            return "an HTML page" + (f" with the title {quoted(_one_line(title[1]), 100)}" if title else "")
        return quoted(_one_line(text)) or f"(empty body, HTTP {self.status})"


def _one_line(text: str) -> str:
    return re.sub(r"[ \t\r\n]+", " ", text).strip()


@contextmanager
def map_exceptions(url: str, hint: str = "") -> Iterator[None]:
    """Turns the HTTP library's exceptions into ours; `hint` says what to do when nothing listens at `url`."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NetworkUnreachableError(
            f"can't connect to {url}: {quoted(str(error)) or 'timed out'}{hint and '; ' + hint}"
        ) from error
    except httpx.ProxyError as error:
        raise NetworkUnreachableError(
            f"the proxy that {_proxy_variable()} names refuses to connect to {url}: {quoted(str(error))}"
        ) from error
    except httpx.PoolTimeout as error:
        raise TransportError(
            f"no free connection to {url}: too many calls in flight at once", maybe_delivered=False
        ) from error
    except httpx.TimeoutException as error:
        raise TransportError(f"{url} did not answer in time ({type(error).__name__})") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise NetworkConfigError(f"{url!r} is not a usable URL: {error}") from error
    except httpx.HTTPError as error:
        raise TransportError(f"the connection to {url} broke: {quoted(str(error)) or type(error).__name__}") from error


class AnswerTooLargeError(Exception):
    """An answer has more bytes than any that is wanted."""


class Answer(NamedTuple):
    """An answer as either client has it; names of headers in whatever case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A pooled HTTP/1.1 client for one base URL. Its clock, sleep and chance can be given, so that tests need no time.

    `direct`: the server is on this computer, and no proxy is asked.

    `pacer` keeps to the pace that the network allows, which its refusals (429) tell. `throttled` counts answers that
    ask for less load and don't say how much less (503): who sends much at once can watch it and slow down.
    `trace` is told of requests that come without a `span`; those of an agent are told to the agent's.
    """

    def __init__(
        self,
        url: str,
        *,
        http: httpx.AsyncBaseTransport | None = None,
        retry: RetryPolicy | None = None,
        max_connections: int = 64,
        hint: str = "",
        direct: bool = False,
        clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        trace: Hook = log,
    ) -> None:
        self.url = url.rstrip("/")
        self.throttled = 0
        # A clock of the wall that somebody sets back would prolong a pause.
        self.pacer = Pacer(time.monotonic_ns if clock_ns is time.time_ns else clock_ns, sleep)
        self.retry = retry or RetryPolicy()
        self._http = http
        self._max_connections = max_connections
        self._hint = hint
        self._direct = direct
        self.clock_ns = clock_ns
        self.sleep = sleep
        self._chance = chance
        self._trace = trace
        self._attempts = 0
        self._client: httpx.AsyncClient | None = None
        self._many: LoopbackHttp | None = None
        self._loading: asyncio.Future[object] | None = None  # what is needed for that

    def __repr__(self) -> str:
        state = "idle" if self._client is None and self._many is None else "open"
        return f"Transport({self.url}, {state}, throttled={self.throttled})"

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; a later request opens new ones."""
        client, many, self._client, self._many = self._client, self._many, None, None
        if client is not None:
            await client.aclose()
        if many is not None:
            await many.aclose()

    def unshared(self) -> Transport:
        """The same settings with connections of its own, for use in another event loop."""
        return Transport(
            self.url,
            http=self._http,
            retry=self.retry,
            max_connections=self._max_connections,
            hint=self._hint,
            direct=self._direct,
            clock_ns=self.clock_ns,
            sleep=self.sleep,
            chance=self._chance,
            trace=self._trace,
        )

    async def get(self, path: str, *, span: Span | None = None) -> Response:
        """`GET`, retried like `post`. A path below `url`."""
        return await self._request("GET", path, None, None, span)

    async def post(
        self, path: str, body: bytes, *, deadline_ns: int | None = None, span: Span | None = None
    ) -> Response:
        """Sends a CBOR body, the same bytes again on failures that may pass; gives up at `deadline_ns` (since 1970).

        Returns the answer whatever its status, except 429, 502, 503, 504, which are retried. `span`: the request that
        this is for; it is told of each attempt.

        Raises:
            NetworkUnreachableError: nothing was sent.
            TransportError: no answer; `maybe_delivered` tells whether the body may have arrived.
            NetworkConfigError: a proxy or CA file can't be used.
        """
        return await self._request("POST", path, body, deadline_ns, span)

    async def _request(
        self, method: str, path: str, body: bytes | None, deadline_ns: int | None, span: Span | None
    ) -> Response:
        if span is None:
            with Span(self._trace, path.rsplit("/", 1)[-1]) as alone:
                return await self._request(method, path, body, deadline_ns, alone)
        attempt = unreachable = 0
        maybe_delivered = False
        size = len(body or b"")
        while True:
            attempt += 1
            retry_after_s: float | None = None
            turn, refused = await self.pacer.turn(size), False
            try:
                if size >= BULK_BYTES and deadline_ns is not None and self.clock_ns() >= deadline_ns:
                    raise TransportError(f"{self.url} lets too little through in time", maybe_delivered=False)
                with span.attempt(path, size) as event:
                    response, retry_after_s = await self._attempt(method, path, body)
                    event.bytes_received, event.outcome = len(response.body), f"HTTP {response.status}"
                refused = response.status == 429
                if not refused:
                    self.pacer.let_through(size)
                if response.status not in _RETRIED_STATUSES:
                    return Response(response.status, response.body, resent=maybe_delivered)
                failure = TransportError(
                    f"{self.url}{path} answered HTTP {response.status}: {response.text}",
                    maybe_delivered=response.status in _MAYBE_DELIVERED_STATUSES,
                )
                self.throttled += response.status == 503
            except TransportError as error:
                failure = error
                unreachable += isinstance(error, NetworkUnreachableError)
            maybe_delivered = maybe_delivered or failure.maybe_delivered
            delay_s = self.retry.delay_s(attempt, self._chance(), retry_after_s)
            if refused:
                self.pacer.refused(turn, size, delay_s)
            out_of_time = deadline_ns is not None and self.clock_ns() + delay_s * 1e9 >= deadline_ns
            if out_of_time or attempt >= self.retry.max_attempts or unreachable >= self.retry.max_connect_attempts:
                if maybe_delivered and not failure.maybe_delivered:
                    raise TransportError(f"{failure} (an earlier attempt may have arrived)") from failure
                raise failure
            logger.debug("again in %.2f s: %s", delay_s, failure)
            await self.sleep(delay_s)

    async def _attempt(self, method: str, path: str, body: bytes | None) -> tuple[Response, float | None]:
        self._attempts += 1
        if self._attempts > FEW:
            self.expect_many()
        client = self._open_many() or self._open()
        with map_exceptions(self.url, self._hint):
            try:
                answer = await _exchange(client, self.url, method, path, body)
            except AnswerTooLargeError:
                raise TransportError(
                    f"the answer of {self.url}{path} is larger than the limit of {MAX_RESPONSE_BYTES:,} bytes"
                ) from None
        retry_after_s = _retry_after_s(answer.headers.get("retry-after"), self.clock_ns())
        return Response(answer.status, answer.body), retry_after_s

    def expect_many(self) -> None:
        """Says that many requests follow, or large ones. To this computer they go by another client, once it is loaded:
        in a thread, since all else would wait for it.
        """
        is_local = self._direct and self._http is None and self.url.startswith("http://")
        if self._loading is None and is_local:
            module = "canister_factory.ic.loopback_http"
            self._loading = asyncio.get_running_loop().run_in_executor(None, importlib.import_module, module)

    def _open_many(self) -> LoopbackHttp | None:
        """The client for many requests to this computer; `None` where it isn't loaded."""
        if self._many is None and self._loading is not None and self._loading.done():
            from canister_factory.ic.loopback_http import LoopbackHttp

            self._many = LoopbackHttp(
                self.url,
                maximum=self._max_connections,
                max_bytes=MAX_RESPONSE_BYTES,
                connect_s=_CONNECT_S,
                read_s=_READ_S,
                pool_s=_POOL_S,
            )
        return self._many

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(
                max_connections=self._max_connections, max_keepalive_connections=self._max_connections
            )
            with map_environment_errors():
                self._client = httpx.AsyncClient(
                    transport=self._http,
                    timeout=TIMEOUT,
                    limits=limits,
                    headers={"accept-encoding": "identity", "user-agent": "canister-factory"},
                    trust_env=not self._direct,
                    # Loading the authorities' certificates takes longer than many a command; plain http needs none.
                    verify=self.url.startswith("https:"),
                )
        return self._client


async def _exchange(
    client: httpx.AsyncClient | LoopbackHttp, url: str, method: str, path: str, body: bytes | None
) -> Answer:
    """One request and its answer, by either client."""
    if not isinstance(client, httpx.AsyncClient):
        return await client.exchange(method, path, body, _CBOR)
    headers = {"content-type": _CBOR} if body is not None else {}
    async with client.stream(method, url + path, content=body, headers=headers) as answer:
        parts: list[bytes] = []
        size = 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > MAX_RESPONSE_BYTES:
                raise AnswerTooLargeError
            parts.append(part)
        return Answer(answer.status_code, answer.headers, b"".join(parts))


@contextmanager
def map_environment_errors() -> Iterator[None]:
    """Around the making of an HTTP client, which reads proxies and CA files from the environment.

    Raises:
        NetworkConfigError: one of these can't be used; it names the variable and what to do.
    """
    try:
        yield
    except ImportError as error:
        raise NetworkConfigError(
            f"{_proxy_variable('socks')} asks for a SOCKS proxy, which needs another package: install it with "
            "pip install 'httpx[socks]', or unset the variable"
        ) from error
    except OSError as error:  # a file that isn't there, or isn't one of certificates (ssl.SSLError)
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        raise NetworkConfigError(
            f"{name} is {quoted(os.environ.get(name, ''))}, which can't be read as certificates of authorities "
            f"({error.strerror or error}): correct it or unset it"
        ) from error
    except (ValueError, httpx.InvalidURL) as error:
        raise NetworkConfigError(
            f"{_proxy_variable()} is not the URL of a proxy that can be used: write it as http://HOST:PORT, or unset it"
        ) from error


def _proxy_variable(scheme: str = "") -> str:
    """The environment's variable with a proxy of this scheme. Its value isn't shown: it may hold a password."""
    names = [name for base in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY") for name in (base.lower(), base)]
    set_names = [name for name in names if os.environ.get(name, "").lower().startswith(scheme) and os.environ.get(name)]
    return " or ".join(set_names) if set_names else "a proxy setting of this system"


def _retry_after_s(value: str | None, now_ns: int) -> float | None:
    """Seconds that a `Retry-After` header asks for, at most a minute; it holds seconds or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds()
    return min(max(seconds, 0.0), 60.0) if seconds == seconds else None
