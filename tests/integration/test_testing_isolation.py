"""The plugin's fixtures in use: each test begins where the session began, whatever the one before it did."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canister_factory.candid.errors import EncodeError
from canister_factory.candid.principal import Principal
from canister_factory.face.blocking import Blocking, blocking
from canister_factory.face.canister import Canister
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.subnet.anchor import AnchorError
from canister_factory.testing import EmbeddedReplica
from support.replica_puppet import puppet

COUNTER = "../../examples/counter.wat"
HOUR = 3600.0


@pytest.fixture(scope="module")
def shared(replica: EmbeddedReplica) -> Iterator[tuple[Agent, Principal]]:
    """A puppet that all tests of this module find as it was installed."""
    agent = replica.agent()

    async def build() -> Principal:
        management = ManagementCanister(agent)
        canister = await management.provisional_create_canister_with_cycles(10**14)
        await management.install(canister, puppet(), b"")
        return canister

    with replica.anchored():
        yield agent, blocking(build())


async def _count(agent: Agent, canister: Principal) -> int:
    return int.from_bytes(await agent.query(canister, "read", b""), "little")


@pytest.mark.parametrize("turn", [1, 2, 3])
async def test_a_shared_canister_is_as_it_was_built(ic: EmbeddedReplica, shared: Any, turn: int) -> None:
    agent, canister = shared
    assert await _count(agent, canister) == 0
    for _ in range(turn):
        await agent.update(canister, "count", b"")
    await agent.update(canister, "remember", b"anything")
    assert await _count(agent, canister) == turn


_seen: list[tuple[Principal, bytes]] = []


@pytest.mark.parametrize("turn", [1, 2])
async def test_ids_and_certified_state_come_again(ic: EmbeddedReplica, identity: Identity, turn: int) -> None:
    agent = ic.agent(identity)
    canister = await ManagementCanister(agent).provisional_create_canister_with_cycles()
    first = ic.network.root_key
    if _seen:
        assert _seen == [(canister, first)]
        (controller,) = (await agent.canister_info(canister)).controllers
        assert controller == identity.sender(), "not the one of the test before"
    _seen.append((canister, first))


def test_a_canister_of_a_test_before_is_gone_also_from_certified_state(ic: EmbeddedReplica) -> None:
    agent = ic.agent()
    canister = blocking(ManagementCanister(agent).provisional_create_canister_with_cycles())
    with ic.anchored():
        created = blocking(ManagementCanister(agent).provisional_create_canister_with_cycles())
        assert blocking(agent.canister_info(created)).module_hash is None
    assert blocking(agent.canister_info(canister)).module_hash is None
    with pytest.raises(CanisterNotFoundError):
        blocking(agent.canister_info(created))


async def test_async_tests_await_the_canister_and_what_it_does(deploy: Callable[..., Any]) -> None:
    counter: Canister = await deploy(COUNTER)
    results = await asyncio.gather(*(counter.increment(1) for _ in range(5)))
    assert sorted(results) == [1, 2, 3, 4, 5]
    assert await counter.read() == 5


def test_plain_tests_wait_for_it(deploy: Callable[..., Any]) -> None:
    counter: Blocking = deploy(COUNTER)
    assert (counter.increment(1), counter.call("read")) == (1, 1)
    assert {"increment", "read"} <= set(dir(counter))


def test_a_method_that_the_interface_does_not_have_is_named(deploy: Callable[..., Any]) -> None:
    with pytest.raises(AttributeError, match="has no method 'incremnt'; it has: increment"):
        deploy(COUNTER).incremnt()


def test_an_interface_from_a_file_takes_the_place_of_the_modules_own(
    deploy: Callable[..., Any], tmp_path: Any, ic: EmbeddedReplica
) -> None:
    did = tmp_path / "counter.did"
    did.write_text('import "base.did"; service : (start) -> { read : () -> (nat32) query }')
    (tmp_path / "base.did").write_text("type start = nat64;")
    counter = deploy(COUNTER, 7, did=did)
    assert counter.read() == 0
    assert "increment" not in dir(counter)
    with pytest.raises(EncodeError, match="nat64"):
        deploy(COUNTER, -7, did=did)


async def test_another_identity_calls_the_same_canister(
    ic: EmbeddedReplica, deploy: Callable[..., Any], identity: Identity, new_identity: Callable[[], Identity]
) -> None:
    counter = await deploy(COUNTER)
    other = counter.with_agent(ic.agent(new_identity()))
    assert await other.increment(1) == 1
    assert identity.sender() != other.agent.identity.sender()
    with pytest.raises(RejectedError, match="Only controllers"):
        await ManagementCanister(other.agent).stop_canister(counter.canister_id)
    await ManagementCanister(counter.agent).stop_canister(counter.canister_id)


def test_time_travel_fires_timers_and_ends_with_the_anchor(
    ic: EmbeddedReplica, shared: Any, advance: Callable[[float], None]
) -> None:
    agent, canister = shared
    before_ns = ic.clock()
    with ic.anchored():
        blocking(agent.update(canister, "set_timer", (before_ns + int(HOUR * 1e9)).to_bytes(8, "little")))
        advance(HOUR - 60)
        assert blocking(_count(agent, canister)) == 0
        advance(61)
        assert blocking(_count(agent, canister)) == 1
        later_ns = blocking(agent.read_state(canister, [[b"time"]])).time_ns
        assert later_ns >= before_ns + HOUR * 1e9
    assert before_ns <= ic.clock() < before_ns + HOUR * 1e9
    certificate = blocking(agent.read_state(canister, [[b"time"]]))
    assert before_ns <= certificate.time_ns <= ic.clock()
    assert blocking(_count(agent, canister)) == 0


def test_a_timer_that_is_always_due_does_not_keep_time_from_passing(
    shared: Any, ic: EmbeddedReplica, deploy: Callable[..., Any]
) -> None:
    agent = ic.agent()
    rearming = """(func (export "canister_heartbeat") (drop (call $timer (i64.const 1))))"""
    management = ManagementCanister(agent)
    canister = blocking(management.provisional_create_canister_with_cycles(10**14))
    blocking(management.install(canister, puppet(rearming), b""))
    ic.advance(5)
    assert blocking(_count(agent, canister)) >= 1


def test_time_does_not_go_back_by_itself(advance: Callable[[float], None]) -> None:
    with pytest.raises(ValueError, match="time goes ahead only, not by -1 s"):
        advance(-1)
    for seconds in (1e11, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="too far ahead: time ends in the year 2554"):
            advance(seconds)


def test_a_client_with_this_computers_clock_finds_the_networks_time(ic: EmbeddedReplica, shared: Any) -> None:
    _, canister = shared
    ic.advance(2 * HOUR)

    async def call() -> bytes:
        async with Agent(Identity.generate(), ic.network) as stranger:
            await stranger.update(canister, "count", b"")
            return await stranger.query(canister, "read", b"")

    assert asyncio.run(call()) == b"\1\0\0\0"


def test_a_tick_is_a_round(ic: EmbeddedReplica, tick: Callable[[], None]) -> None:
    before = repr(ic._server._rounds)
    tick()
    assert repr(ic._server._rounds) != before


def test_other_processes_reach_it_by_http(ic: EmbeddedReplica, deploy: Callable[..., Any]) -> None:
    counter = deploy(COUNTER)
    command = [sys.executable, "-m", "canister_factory", "call", "--network", ic.url, "--root-key"]
    command += [ic.network.root_key.hex(), "--json", str(counter.canister_id), "increment", "(1)"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "1" in ran.stdout
    assert counter.read() == 1


def test_an_anchor_ends_once(ic: EmbeddedReplica) -> None:
    offset_ns = ic.clock.offset_ns
    anchor = ic.anchor()
    ic.revert(anchor)
    ic.advance(5)
    with pytest.raises(AnchorError, match="has ended"):
        ic.revert(anchor)
    assert ic.clock.offset_ns == offset_ns + 5 * 10**9, "a refused revert moves no clock"


def test_only_what_was_touched_is_kept(ic: EmbeddedReplica, shared: Any) -> None:
    agent, canister = shared
    with ic.anchored() as anchor:
        assert anchor.copied_bytes == 0
        blocking(agent.update(canister, "count", b""))
        assert 4096 <= anchor.copied_bytes <= 5 * 4096
