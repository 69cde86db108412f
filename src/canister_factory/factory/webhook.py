"""A webhook: messages to an HTTP server of somebody's choice, each signed, and sent again while that may help.

Owns the form, the signature and the repetition, as "Standard Webhooks" 1.0 has them, so that receivers can use its
libraries. Does not own: what is sent (`alerts`). The URL may hold a secret in its path or query: nothing here shows
more of it than its host.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md ("Signature scheme",
"Webhook headers", "Deliverability").
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from canister_factory.factory.errors import WebhookError
from canister_factory.ic.errors import NetworkConfigError
from canister_factory.ic.key_file import shell_name, shown_name
from canister_factory.ic.loopback import names_this_computer
from canister_factory.ic.transport import map_environment_errors

logger = logging.getLogger(__name__)

_PREFIX: Final = b"whsec_"
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
"""The lengths that the specification allows."""

ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 1.0
"""Doubles with each attempt."""
PATIENCE_S: Final = 15.0
"""For one attempt, from the connection to the status of the answer; its body isn't read."""

_MOST_FILE_BYTES = 1_024
_MAY_PASS = (408, 425, 429)

_SENDING: ContextVar[bool] = ContextVar("sending", default=False)
# httpx logs the URL of each request.
logging.getLogger("httpx").addFilter(lambda record: not _SENDING.get())


class Webhook:
    """One receiver.

    Args:
        url: `https://`, or `http://` to this computer; no user name or password in it.
        secret: signs the messages; 24 to 64 bytes.
        http, sleep, now_s, patience_s: injected by tests; seconds, `now_s` since 1970.

    Raises:
        WebhookError: the URL can't be used, or the secret has another length.
    """

    def __init__(
        self,
        url: str,
        secret: bytes,
        *,
        http: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now_s: Callable[[], float] = time.time,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.host, self._direct = _checked(url)
        if not LEAST_SECRET_BYTES <= len(secret) <= MOST_SECRET_BYTES:
            raise WebhookError(
                f"the webhook's secret has {len(secret)} bytes; it must have {LEAST_SECRET_BYTES} to "
                f"{MOST_SECRET_BYTES}: 'openssl rand -base64 32' makes one"
            )
        self._url = url
        self._secret = secret
        self._http = http
        self._sleep = sleep
        self._now_s = now_s
        self._patience_s = patience_s

    def __repr__(self) -> str:
        return f"Webhook({self.host})"

    async def send(self, message_id: str, body: Mapping[str, Any]) -> None:
        """Delivers one message; `message_id` is the same however often it is sent, so that a receiver can tell.

        Raises:
            WebhookError: it was not taken, after all attempts; `retry_helps` where a later one may be.
        """
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()
        pause_s = FIRST_PAUSE_S
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                await self._attempt(message_id, content)
                return
            except WebhookError as error:
                if left == 0 or not error.retry_helps:
                    raise
                logger.debug("again in %.0f s: %s", pause_s, error)
            await self._sleep(pause_s)
            pause_s *= 2

    async def _attempt(self, message_id: str, content: bytes) -> None:
        sent_at = str(int(self._now_s()))
        headers = {
            "content-type": "application/json",
            "user-agent": "canister-factory",
            "webhook-id": message_id,
            "webhook-timestamp": sent_at,
            "webhook-signature": signature(self._secret, message_id, sent_at, content),
        }
        problem = status = None
        try:
            async with asyncio.timeout(self._patience_s):
                status = await self._exchange(content, headers)
        except TimeoutError:
            problem = f"did not answer within {self._patience_s:.0f} s"
        except httpx.HTTPError as error:
            problem = f"can't be reached ({type(error).__name__})"
        except NetworkConfigError as error:
            raise WebhookError(str(error)) from error
        if status is None:
            # Raised outside of the handlers: what was caught there quotes the URL.
            raise WebhookError(f"{self.host} {problem}", retry_helps=True)
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise WebhookError(f"{self.host} answered HTTP {status}, a redirect, which isn't followed: give its target")
        raise WebhookError(f"{self.host} answered HTTP {status}", retry_helps=status >= 500 or status in _MAY_PASS)

    async def _exchange(self, content: bytes, headers: dict[str, str]) -> int:
        """The status of the answer. The connection is one's own, and closed: messages are rare."""
        with map_environment_errors():
            client = httpx.AsyncClient(
                transport=self._http, follow_redirects=False, trust_env=not self._direct, timeout=self._patience_s
            )
        token = _SENDING.set(True)
        try:
            async with client, client.stream("POST", self._url, content=content, headers=headers) as answer:
                return answer.status_code
        finally:
            _SENDING.reset(token)


def signature(secret: bytes, message_id: str, timestamp: str, content: bytes) -> str:
    """The header `webhook-signature`: version 1, HMAC-SHA256 of id, time and body, in base64.

    Source: "Signature scheme" and "Webhook headers (sending metadata to consumers)".
    """
    signed = b".".join((message_id.encode(), timestamp.encode(), content))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def read_secret(path: Path, warn: Callable[[str], object]) -> bytes:
    """The secret of a file: base64 on one line, with or without the prefix `whsec_`.

    `warn` is told in one line when other users of this computer can read the file.

    Raises:
        WebhookError: the file can't be read, or holds something else; nothing of it is quoted.
    """
    try:
        if not path.is_file():
            raise WebhookError(f"can't read the webhook's secret in {shown_name(path)}: it is no file, or isn't there")
        with path.open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise WebhookError(f"can't read the webhook's secret in {shown_name(path)}: {error.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        warn(f"other users of this computer can read {shown_name(path)}: run chmod 600 {shell_name(path)}")
    try:
        return base64.b64decode(content.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        pass  # raised outside: the error carries what was read
    raise WebhookError(
        "the file of the webhook's secret holds no base64 on one line: 'openssl rand -base64 32' makes a secret"
    )


def _checked(url: str) -> tuple[str, bool]:
    """The host, and whether it is this computer.

    Raises:
        WebhookError: the URL can't be used.
    """
    try:
        parts = urlsplit(url)
        host, port = httpx.URL(url).host, parts.port  # the host as the client reads it, which is where it sends
    except (ValueError, httpx.InvalidURL):
        host, port = "", None
    if not host or parts.scheme not in ("https", "http"):
        raise WebhookError("the webhook's URL can't be used: write it as https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise WebhookError("the webhook's URL has a user name in it, which would be sent; messages are signed instead")
    is_local = names_this_computer(host)
    if parts.scheme == "http" and not is_local:
        raise WebhookError(f"messages to {host} could be read on their way: the webhook's URL must begin with https://")
    shown = f"[{host}]" if ":" in host else host
    return (shown if port is None else f"{shown}:{port}"), is_local
