"""A computer whose clock is wrong, against a real replica: everything works by the network's time."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest

from canister_factory.cli.doctor_checks import check_clock
from canister_factory.cli.results import Verdict
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.ic.agent import Agent, CallerIdentity
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.creation_contents import read_back
from support.creation_world import World, inline, note

MINUTES = 60 * 10**9


def skewed(world: World, identity: CallerIdentity, skew_ns: int) -> Agent:
    return world.agent(identity, clock_ns=lambda: time.time_ns() + skew_ns)


@pytest.mark.parametrize("skew_minutes", [-20, 180])
async def test_a_creation_by_a_clock_that_is_wrong_completes(
    world: World, skew_minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    contents = {await world.as_owner.add_memory_to_capsule(inline(b"a" * 70_000), note("a")): b"a" * 70_000}
    await world.as_owner.create_personal_canister(None)
    operator = skewed(world, world.operator.identity, skew_minutes * MINUTES)
    outcome = await world.orchestrator(agent=operator).run(world.owner_id)
    assert (outcome.creation.status, outcome.creation.attempts) == (CreationStatus.Completed, 1)
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents
    where = "3 hours ahead of" if skew_minutes > 0 else "20 minutes behind"
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"this computer's clock is {where} the network's: the network's time is used"]


async def test_every_kind_of_request_works_first_by_a_wrong_clock(world: World) -> None:
    identity = world.owner.identity
    added = {}
    for skew_minutes in (-180, -20, -4.5, -3, 3, 20, 180):
        skew_ns = round(skew_minutes * MINUTES)
        data = f"{skew_minutes} minutes".encode()
        writer = replace(world, owner=skewed(world, identity, skew_ns)).as_owner
        added[await writer.add_memory_to_capsule(inline(data), note("clock"))] = data
        assert await read_back(replace(world, owner=skewed(world, identity, skew_ns)).as_owner) == added
        reader = skewed(world, Identity.anonymous(), skew_ns)
        assert (await reader.canister_info(world.backend_id)).module_hash is not None


async def test_the_time_is_also_learnt_where_no_canister_is(world: World) -> None:
    agent = skewed(world, Identity.generate(), 180 * MINUTES)
    effective = await agent.default_effective_canister_id()
    certificate = await agent.read_state(effective, [[b"time"]])
    assert abs(certificate.time_ns - time.time_ns()) < MINUTES
    assert abs(agent.clock() - time.time_ns()) < MINUTES
    with pytest.raises(CanisterNotFoundError):
        await agent.canister_info(type(effective)(effective.bytes[:6] + b"\x0f\xff\x01\x01"))


@pytest.mark.parametrize(
    ("skew_minutes", "verdict", "found"),
    [
        (0, Verdict.OK, "within"),
        (-20, Verdict.FAILED, "20 min behind"),
        (180, Verdict.FAILED, "3 h ahead of"),
        (-2880, Verdict.FAILED, "expiry"),
        (2880, Verdict.FAILED, "expiry"),
    ],
)
async def test_doctor_tells_how_far_a_clock_is_off_although_calls_work(
    network: Network, skew_minutes: int, verdict: Verdict, found: str
) -> None:
    skew_ns = skew_minutes * MINUTES
    async with Agent(Identity.generate(), network, clock_ns=lambda: time.time_ns() + skew_ns) as agent:
        check = await check_clock(agent, lambda: time.time() + skew_ns / 1e9)
    assert (check.verdict, found in check.found) == (verdict, True)
