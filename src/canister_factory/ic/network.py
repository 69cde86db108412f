"""Networks: a name, where it listens, and the root key that everything it says is checked against.

Owns finding these out, and refusing unsafe combinations. Does not own: talking to the network afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

import canister_factory.candid.ic_py  # noqa: F401 - keeps the rest of ic-py out
from canister_factory.candid.hexadecimal import from_hex
from canister_factory.ic import cbor
from canister_factory.ic.bls import check_key
from canister_factory.ic.errors import CertificateError, NetworkConfigError, NetworkUnreachableError, ProtocolError
from canister_factory.ic.home import STATE_FILE_NAME, home_directory
from canister_factory.ic.loopback import names_this_computer
from canister_factory.ic.transport import MAX_RESPONSE_BYTES, map_environment_errors, map_exceptions

# isort: split
from ic.constants import IC_ROOT_KEY

MAINNET_URL = "https://icp-api.io"
LOCAL_URL = "http://127.0.0.1:4943"
_MAINNET_DOMAINS = ("ic0.app", "icp0.io", "icp-api.io", "internetcomputer.org", "icp.net")

MAINNET_ROOT_KEY: bytes = IC_ROOT_KEY
"""The public key of the Internet Computer (DER, 133 bytes), pinned: it must never be fetched from what it checks."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network that can be called. `url` has no trailing slash; `root_key` is DER (133 bytes).

    `hint` says what to do if nothing listens there.
    """

    name: str
    url: str
    root_key: bytes = field(repr=False)
    hint: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            check_key(self.root_key)
        except CertificateError as error:
            raise NetworkConfigError(f"the root key of {self.name} is not usable: {error}") from None

    @property
    def is_loopback(self) -> bool:
        """Whether the network runs on this computer."""
        return is_loopback(self.url)

    @property
    def is_mainnet(self) -> bool:
        """Whether this is the Internet Computer itself."""
        return self.root_key == MAINNET_ROOT_KEY

    @staticmethod
    def resolve(
        name_or_url: str,
        *,
        root_key: bytes | None = None,
        fetch_root_key: bool = False,
        state_file: Path | None = None,
        allow_plain_http: bool = False,
        http: httpx.BaseTransport | None = None,
    ) -> Network:
        """Finds a network by name or URL.

        - `embedded`: the replica that `canister-factory replica start` runs; its state file has URL and root key.
        - `local`: a dfx or icp-cli network on 127.0.0.1:4943; its root key is fetched, unless given.
        - `ic`: the Internet Computer, with its pinned root key.
        - a URL: with `root_key` given, or fetched if `fetch_root_key` says so; `http:` only to this computer, unless
          `allow_plain_http`. URLs of the Internet Computer's own domains always use the pinned key.

        Fetching asks `GET /api/v2/status`, which anyone on the way could forge: for test networks only.

        Raises:
            NetworkConfigError: there is no such network, or its options don't fit.
            NetworkUnreachableError, TransportError, ProtocolError: its root key can't be had.
        """
        if name_or_url == "embedded":
            return _from_state_file(state_file or home_directory() / STATE_FILE_NAME, root_key)
        if name_or_url == "ic":
            return _mainnet("ic", MAINNET_URL, root_key, fetch_root_key)
        if name_or_url == "local":
            url, hint = LOCAL_URL, "start it with `dfx start` or `icp network start`, or give its URL"
            return Network("local", url, root_key or _fetch_root_key(url, hint, http), hint)
        url = _checked_url(name_or_url, allow_plain_http)
        if _is_mainnet_host(url):
            return _mainnet(url, url, root_key, fetch_root_key)
        if root_key is None and not fetch_root_key:
            raise NetworkConfigError(
                f"no root key for {url}: give the network's root key, or allow fetching it if this is a test network"
            )
        return Network(url, url, root_key or _fetch_root_key(url, "", http))


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this computer: `localhost`, a name below it, or a loopback address."""
    return names_this_computer(urlsplit(url).hostname or "")


def _from_state_file(path: Path, root_key: bytes | None) -> Network:
    hint = "start it with 'canister-factory replica start'"
    try:
        state = json.loads(path.read_text("utf-8"))
        url, key = str(state["url"]), from_hex(state["root_key"])
    except (FileNotFoundError, NotADirectoryError):
        raise NetworkUnreachableError(f"no embedded replica is running (there is no {path}): {hint}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkConfigError(f"can't read the embedded replica's state file {path} ({error}): {hint}") from None
    if root_key is not None and root_key != key:
        raise NetworkConfigError("the given root key is not the one of the embedded replica: leave it out")
    return Network("embedded", _checked_url(url, allow_plain_http=False), key, hint)


def _mainnet(name: str, url: str, root_key: bytes | None, fetch_root_key: bool) -> Network:
    if fetch_root_key:
        raise NetworkConfigError(f"the root key of the Internet Computer is pinned and never fetched from {url}")
    if root_key is not None and root_key != MAINNET_ROOT_KEY:
        raise NetworkConfigError(f"the given root key is not the Internet Computer's, which {url} belongs to")
    return Network(name, url, MAINNET_ROOT_KEY)


def _is_mainnet_host(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    return any(host == domain or host.endswith("." + domain) for domain in _MAINNET_DOMAINS)


def _checked_url(text: str, allow_plain_http: bool) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise NetworkConfigError(
            f"no network {text!r}: use embedded, local, ic, or a URL such as http://127.0.0.1:8000"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise NetworkConfigError("a network's URL has no user name, password, query or fragment")
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(text)):
        raise NetworkConfigError(f"{text} is not encrypted and not on this computer: use https")
    return text.rstrip("/")


def _fetch_root_key(url: str, hint: str, http: httpx.BaseTransport | None) -> bytes:
    """The root key that a test network says is its own."""
    with map_environment_errors():
        client = httpx.Client(transport=http, timeout=10, trust_env=not is_loopback(url))
    with map_exceptions(url, hint), client:
        answer = client.get(f"{url}/api/v2/status")
    if answer.status_code != 200 or len(answer.content) > MAX_RESPONSE_BYTES:
        raise ProtocolError(
            f"{url}/api/v2/status answered HTTP {answer.status_code}: is this an Internet Computer network?",
            status=answer.status_code,
        )
    key = cbor.loads_map(answer.content, f"the status of {url}").get("root_key")
    if not isinstance(key, bytes):
        raise ProtocolError(f"the status of {url} has no root key")
    return key
