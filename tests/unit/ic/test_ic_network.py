"""Networks: found by name or URL, and unsafe root keys refused."""

import json
from pathlib import Path

import httpx
import pytest

from canister_factory.ic import cbor
from canister_factory.ic.errors import NetworkConfigError, NetworkUnreachableError, ProtocolError
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network, is_loopback
from support.ic_test_support import ROOT, STRANGER


def status_server(fields: object = None, status: int = 200) -> httpx.MockTransport:
    body = cbor.dumps({"root_key": ROOT.der} if fields is None else fields)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v2/status"
        return httpx.Response(status, content=body)

    return httpx.MockTransport(answer)


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


NOBODY = httpx.MockTransport(refused)


def unexpected(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nothing may be fetched, but {request.url} was")


SILENCE = httpx.MockTransport(unexpected)


def write_state(path: Path, **fields: object) -> Path:
    path.write_text(json.dumps({"url": "http://127.0.0.1:5555/", "root_key": ROOT.der.hex(), "pid": 1, **fields}))
    return path


def test_the_embedded_network_is_found_by_its_state_file(tmp_path: Path) -> None:
    network = Network.resolve("embedded", state_file=write_state(tmp_path / "replica.json"), http=SILENCE)
    assert (network.name, network.url, network.root_key) == ("embedded", "http://127.0.0.1:5555", ROOT.der)
    assert network.is_loopback
    assert not network.is_mainnet


def test_a_missing_state_file_says_how_to_start_the_replica(tmp_path: Path) -> None:
    with pytest.raises(NetworkUnreachableError, match="canister-factory replica start"):
        Network.resolve("embedded", state_file=tmp_path / "replica.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": "http://127.0.0.1:1", "root_key": "zz"}'])
def test_a_broken_state_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "replica.json"
    path.write_text(text)
    with pytest.raises(NetworkConfigError, match=r"replica\.json"):
        Network.resolve("embedded", state_file=path)


def test_a_state_file_cannot_point_away_from_this_computer(tmp_path: Path) -> None:
    with pytest.raises(NetworkConfigError, match="not encrypted"):
        Network.resolve("embedded", state_file=write_state(tmp_path / "r.json", url="http://example.com"))


def test_the_state_file_is_looked_for_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path))
    with pytest.raises(NetworkUnreachableError, match=str(tmp_path / "replica.json")):
        Network.resolve("embedded")
    write_state(tmp_path / "replica.json")
    assert Network.resolve("embedded").name == "embedded"


def test_the_internet_computer_has_its_pinned_root_key() -> None:
    network = Network.resolve("ic", http=SILENCE)
    assert network.url == "https://icp-api.io"
    assert network.root_key == MAINNET_ROOT_KEY
    assert network.is_mainnet


@pytest.mark.parametrize("name", ["ic", "https://ic0.app", "https://foo.icp0.io/", "https://icp-api.io:443"])
def test_the_root_key_of_the_internet_computer_is_never_fetched_or_replaced(name: str) -> None:
    assert Network.resolve(name, http=SILENCE).root_key == MAINNET_ROOT_KEY
    with pytest.raises(NetworkConfigError, match="never fetched"):
        Network.resolve(name, fetch_root_key=True, http=SILENCE)
    with pytest.raises(NetworkConfigError, match="not the Internet Computer's"):
        Network.resolve(name, root_key=STRANGER.der, http=SILENCE)


def test_a_local_network_gives_its_root_key() -> None:
    network = Network.resolve("local", http=status_server())
    assert (network.url, network.root_key) == ("http://127.0.0.1:4943", ROOT.der)
    assert Network.resolve("local", root_key=STRANGER.der, http=SILENCE).root_key == STRANGER.der


def test_a_local_network_that_does_not_run_is_named_with_what_to_do() -> None:
    with pytest.raises(NetworkUnreachableError, match=r"127\.0\.0\.1:4943.*dfx start"):
        Network.resolve("local", http=NOBODY)


def test_a_url_needs_a_root_key_or_the_permission_to_fetch_it() -> None:
    url = "http://127.0.0.1:8000/"
    with pytest.raises(NetworkConfigError, match="no root key"):
        Network.resolve(url, http=SILENCE)
    assert Network.resolve(url, root_key=ROOT.der, http=SILENCE).url == "http://127.0.0.1:8000"
    assert Network.resolve(url, fetch_root_key=True, http=status_server()).root_key == ROOT.der


def test_plain_http_is_for_this_computer_unless_allowed() -> None:
    with pytest.raises(NetworkConfigError, match="use https"):
        Network.resolve("http://192.0.2.1:8000", root_key=ROOT.der)
    Network.resolve("http://192.0.2.1:8000", root_key=ROOT.der, allow_plain_http=True)
    Network.resolve("https://testnet.example", root_key=ROOT.der)


@pytest.mark.parametrize("text", ["mainnet", "", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:x"])
def test_what_is_neither_a_name_nor_a_url_is_refused(text: str) -> None:
    with pytest.raises(NetworkConfigError, match="use embedded, local, ic, or a URL"):
        Network.resolve(text, root_key=ROOT.der)


@pytest.mark.parametrize("text", ["http://user:secret@127.0.0.1", "http://127.0.0.1/?x=1"])
def test_a_url_with_credentials_or_a_query_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(NetworkConfigError) as caught:
        Network.resolve(text, root_key=ROOT.der)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "status", "problem"),
    [({}, 200, "no root key"), ({"root_key": "text"}, 200, "no root key"), ([], 200, "CBOR map"), ({}, 404, "404")],
)
def test_a_server_that_is_no_network_is_told_apart(fields: object, status: int, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        Network.resolve("local", http=status_server(fields, status))


def test_a_root_key_that_is_no_key_is_refused() -> None:
    with pytest.raises(NetworkConfigError, match="root key of local"):
        Network.resolve("local", http=status_server({"root_key": b"short"}))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://x.localhost", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:80", True),
        ("http://127.0.0.1.example.com", False),
        ("http://example.com", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback_is_recognised(url: str, local: bool) -> None:
    assert is_loopback(url) is local


def test_a_network_does_not_print_its_key() -> None:
    assert repr(Network("x", "http://127.0.0.1", ROOT.der)) == "Network(name='x', url='http://127.0.0.1')"
