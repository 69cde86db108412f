"""What the agent reads of a network besides calls: certified state, status, topology; and its own settings."""

import base64
import json
from typing import Any

import httpx
import pytest

from canister_factory.candid import leb128
from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    MalformedCertificateError,
    ProtocolError,
    TransportError,
)
from support.ic_test_support import ALICE, CANISTER, NOW_NS, ROOT, FakeNetwork, delegation


def about_canister(**parts: bytes) -> dict[bytes, Any]:
    return {b"canister": {CANISTER.bytes: {name.encode(): value for name, value in parts.items()}}}


async def test_controllers_and_module_hash_are_read_from_certified_state(agent: Agent, net: FakeNetwork) -> None:
    controllers = [ALICE.sender(), CANISTER]
    listed = cbor.dumps([item.bytes for item in controllers])
    net.state = about_canister(controllers=listed, module_hash=b"h" * 32)
    info = await agent.canister_info(CANISTER)
    assert info.controllers == tuple(controllers)
    assert info.module_hash == b"h" * 32
    net.state = about_canister(controllers=listed)
    assert (await agent.canister_info(CANISTER)).module_hash is None


async def test_a_canisters_times_are_read_where_the_network_has_them(agent: Agent, net: FakeNetwork) -> None:
    listed = cbor.dumps([CANISTER.bytes])
    times = {"canister_creation_timestamp": leb128.unsigned(NOW_NS), "last_install_timestamp": leb128.unsigned(5)}
    net.state = about_canister(controllers=listed, **times)
    info = await agent.canister_info(CANISTER)
    assert (info.created_ns, info.installed_ns) == (NOW_NS, 5)
    net.state = about_canister(controllers=listed)
    info = await agent.canister_info(CANISTER)
    assert (info.created_ns, info.installed_ns) == (None, None)


async def test_a_network_that_knows_no_times_of_canisters_is_asked_for_them_once(
    agent: Agent, net: FakeNetwork
) -> None:
    net.state = about_canister(controllers=cbor.dumps([CANISTER.bytes]), module_hash=b"h" * 32)
    net.next_answers = [httpx.Response(404, content=b"Invalid path requested.")] * 2  # of both versions of the endpoint
    for _ in range(2):
        info = await agent.canister_info(CANISTER)
        assert (info.module_hash, info.created_ns, info.installed_ns) == (b"h" * 32, None, None)
    assert len(net.posted("read_state")) == 4


async def test_what_is_refused_for_another_reason_is_asked_for_again_with_the_times(
    agent: Agent, net: FakeNetwork
) -> None:
    net.next_answers = [httpx.Response(400, content=b"no such subnet")] * 2
    with pytest.raises(ProtocolError, match="no such subnet"):
        await agent.canister_info(CANISTER)
    net.state = about_canister(controllers=cbor.dumps([]), canister_creation_timestamp=leb128.unsigned(7))
    assert (await agent.canister_info(CANISTER)).created_ns == 7


@pytest.mark.parametrize("listed", [b"junk", cbor.dumps({}), cbor.dumps(["text"]), cbor.dumps([b"x" * 30])])
async def test_controllers_of_the_wrong_form_are_refused(agent: Agent, net: FakeNetwork, listed: bytes) -> None:
    net.state = about_canister(controllers=listed)
    with pytest.raises(MalformedCertificateError):
        await agent.canister_info(CANISTER)


async def test_a_canister_that_does_not_exist_is_said_not_to(agent: Agent, net: FakeNetwork) -> None:
    net.state = {b"canister": {b"zz": {}}}
    with pytest.raises(CanisterNotFoundError, match="does not exist"):
        await agent.canister_info(CANISTER)


async def test_metadata_is_certified_to_be_there_or_not(agent: Agent, net: FakeNetwork) -> None:
    net.state = {b"canister": {CANISTER.bytes: {b"metadata": {b"candid:service": b"service : {}"}}}}
    assert await agent.metadata(CANISTER, "candid:service") == b"service : {}"
    assert await agent.metadata(CANISTER, "nothing") is None


async def test_the_state_of_a_subnet_is_read_for_that_subnet(agent: Agent, net: FakeNetwork) -> None:
    subnet_id, _ = delegation()
    certificate = await agent.read_subnet_state(Principal(subnet_id), [[b"time"]])
    assert certificate.time_ns == NOW_NS
    with pytest.raises(CertificateScopeError):
        await agent.read_subnet_state(Principal(ROOT.subnet_id), [[b"time"]])


async def test_a_failing_server_is_a_transport_error(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(500, content=b"oops")] * 2
    for ask in (agent.query(CANISTER, "get", b""), agent.canister_info(CANISTER)):
        with pytest.raises(TransportError, match="oops"):
            await ask


async def test_the_networks_status_is_shown(agent: Agent) -> None:
    status = await agent.status()
    assert (status.health, status.implementation, status.root_key) == ("healthy", "fake", ROOT.der)
    assert "root_key" not in repr(status)


async def test_new_canisters_go_where_the_topology_says(agent: Agent, net: FakeNetwork) -> None:
    assert str(await agent.default_effective_canister_id()) == "rwlgt-iiaaa-aaaaa-aaaaa-cai"
    net.topology = json.dumps(
        {"default_effective_canister_id": {"canister_id": base64.b64encode(CANISTER.bytes).decode()}}
    ).encode()
    async with Agent(ALICE, net.network(), transport=net.transport()) as fresh:
        assert await fresh.default_effective_canister_id() == CANISTER
        net.topology = b"{}"
        assert await fresh.default_effective_canister_id() == CANISTER
    async with Agent(ALICE, net.network(), transport=net.transport()) as fresh:
        with pytest.raises(ProtocolError, match="topology"):
            await fresh.default_effective_canister_id()


async def test_an_agent_shows_whom_it_calls_as_and_where(agent: Agent) -> None:
    assert repr(agent) == f"Agent({ALICE.sender()}, test, Transport(http://127.0.0.1:1, idle, throttled=0))"


@pytest.mark.parametrize("seconds", [-1, 0, 300.5, 301])
def test_an_expiry_that_networks_refuse_is_refused_here(net: FakeNetwork, seconds: float) -> None:
    with pytest.raises(ValueError, match="ingress_expiry_s"):
        Agent(ALICE, net.network(), ingress_expiry_s=seconds)


@pytest.mark.parametrize("seconds", [0.5, 300])
def test_an_expiry_that_networks_take_is_taken_here(net: FakeNetwork, seconds: float) -> None:
    assert Agent(ALICE, net.network(), ingress_expiry_s=seconds).ingress_expiry == seconds


@pytest.mark.parametrize("by", ["the end of its context", "hand"])
async def test_closing_an_agent_closes_its_connections(net: FakeNetwork, by: str) -> None:
    agent = Agent(ALICE, net.network(), transport=net.transport())
    if by == "hand":
        await agent.status()
        assert "open" in repr(agent)
        await agent.close()
    else:
        async with agent:
            await agent.status()
            assert "open" in repr(agent)
    assert "idle" in repr(agent)
