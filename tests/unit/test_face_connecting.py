"""What `connect` takes for a network and an identity, and what it does with the agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import canister_factory as cf
from canister_factory.ic.errors import IdentityError, NetworkConfigError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import MAINNET_ROOT_KEY
from support.ic_test_support import FakeClock, FakeNetwork

NETWORK = FakeNetwork(FakeClock()).network()


class RunsANetwork:
    """As a replica does."""

    network = NETWORK


async def test_without_an_identity_the_agent_is_anonymous() -> None:
    async with cf.connect(NETWORK) as agent:
        assert type(agent) is cf.Agent
        assert agent.identity.sender() == cf.Principal.anonymous()


@pytest.mark.parametrize("given", [NETWORK, RunsANetwork()])
async def test_a_network_is_taken_from_what_has_one(given: Any) -> None:
    async with cf.connect(given) as agent:
        assert agent.network is NETWORK


async def test_a_name_or_a_url_is_resolved() -> None:
    async with cf.connect("ic") as agent:
        assert (agent.network.name, agent.root_key) == ("ic", MAINNET_ROOT_KEY)
    async with cf.connect("http://127.0.0.1:5/", root_key=NETWORK.root_key) as agent:
        assert (agent.network.url, agent.root_key) == ("http://127.0.0.1:5", NETWORK.root_key)


async def test_an_identity_is_given_itself_or_as_the_path_of_its_file(tmp_path: Path) -> None:
    identity = Identity.generate()
    identity.write_pem(tmp_path / "key.pem")
    for given in (identity, tmp_path / "key.pem"):
        async with cf.connect(NETWORK, identity=given) as agent:
            assert agent.identity.sender() == identity.sender()


async def test_text_as_an_identity_is_refused_and_not_shown() -> None:
    with pytest.raises(IdentityError) as caught:
        await cf.connect(NETWORK, identity="secret words").__aenter__()  # type: ignore[arg-type]
    assert str(caught.value) == (
        "an identity is an Identity or the pathlib.Path of a PEM file; Identity.from_pem takes a PEM file's content"
    )


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (5, {}, "no network 5: use embedded, local, ic, a URL, a Network or a running Replica"),
        ("http://127.0.0.1:5", {}, "no root key for http://127.0.0.1:5"),
        (NETWORK, {"root_key": b"k"}, "a root key is only given or fetched for a URL; this network has one"),
        (NETWORK, {"fetch_root_key": True}, "a root key is only given or fetched for a URL; this network has one"),
        ("ic", {"fetch_root_key": True}, "the root key of the Internet Computer is pinned"),
    ],
)
async def test_what_is_no_network_is_refused(network: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(NetworkConfigError) as caught:
        await cf.connect(network, **options).__aenter__()
    assert str(caught.value).startswith(words)


async def test_the_agent_is_closed_at_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[cf.Agent] = []

    async def close(self: cf.Agent) -> None:
        closed.append(self)

    monkeypatch.setattr(cf.Agent, "close", close)
    async with cf.connect(NETWORK) as agent:
        assert closed == []
    assert closed == [agent]


async def test_one_connection_is_not_opened_twice_at_once() -> None:
    connection = cf.connect(NETWORK)
    async with connection:
        with pytest.raises(RuntimeError, match="this connection is open already"):
            await connection.__aenter__()
    async with connection as again:
        assert again.network is NETWORK


def test_a_connection_shows_where_to() -> None:
    assert repr(cf.connect("ic")) == "Connection('ic')"
    assert repr(cf.connect(NETWORK)).startswith("Connection(Network(name='test'")


def test_a_replica_that_does_not_run_has_no_network() -> None:
    replica = cf.Replica()
    assert repr(replica) == "Replica(not running)"
    with pytest.raises(cf.errors.ReplicaProcessError, match="the replica is not running"):
        _ = replica.network
