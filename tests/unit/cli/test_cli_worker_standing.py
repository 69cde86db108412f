"""What follows, for a worker, from its looks and their failures."""

from __future__ import annotations

import pytest

from canister_factory.cli.worker_standing import PATIENCE_SECONDS, Standing
from canister_factory.contract.artifacts import API_VERSION
from canister_factory.factory.worker_events import Dropped, Looked, Unlisted
from support.backend_looks import look, open_request
from support.backend_script import OWNER, Clock


class World:
    """A worker's standing on a clock, and the outages that it told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.outages: list[float] = []
        self.running = 0
        self.standing = Standing(
            10, lambda: self.running, back=self.outages.append, clock=self.clock, now_ns=lambda: 3_600 * 10**9
        )


def test_a_worker_is_ready_when_the_network_answers_and_the_backend_knows_it() -> None:
    standing = World().standing
    assert not standing.readiness.is_ready
    standing.event(Looked((), 0))
    assert not standing.readiness.is_ready
    standing.looked(look())
    assert standing.readiness.is_ready


@pytest.mark.parametrize(
    ("is_operator", "version", "role", "backend"),
    [
        (False, API_VERSION, "the identity is not an operator of the backend", "ok"),
        (True, "9.1.0", "ok", f"API version 9.1.0, this version needs {API_VERSION}"),
    ],
)
def test_what_is_wrong_is_named(is_operator: bool, version: str, role: str, backend: str) -> None:
    standing = World().standing
    standing.event(Looked((), 0))
    standing.looked(look(is_operator=is_operator, api_version=version))
    assert not standing.readiness.is_ready
    assert (standing.readiness.role, standing.readiness.backend) == (role, backend)


def test_a_role_that_is_withdrawn_is_missed_and_what_was_known_is_forgotten() -> None:
    standing = World().standing
    standing.event(Looked((), 0))
    standing.looked(look())
    standing.refused("not an admin or an operator")
    assert standing.readiness.role == "not an admin or an operator"
    assert standing.look is None


def test_an_outage_is_told_once_when_it_is_over_with_its_whole_length() -> None:
    world = World()
    world.standing.looked(look())
    world.standing.event(Unlisted("cut"))
    world.clock.now = 20
    world.standing.event(Unlisted("cut again"))
    world.clock.now = 34
    assert world.standing.outage_seconds == 34
    assert world.standing.readiness.network == "no answer: cut again"
    assert world.standing.waits_for == "the network"
    world.standing.event(Looked((), 0))
    world.standing.event(Looked((), 0))
    assert world.outages == [34]
    assert world.standing.outage_seconds is None
    assert world.standing.readiness.is_ready


def test_a_loop_turns_while_it_looks_also_when_the_network_is_away() -> None:
    world = World()
    within = PATIENCE_SECONDS + 30
    for event in (Looked((), 0), Unlisted("cut")):
        world.clock.now += within
        assert world.standing.is_turning
        world.standing.event(event)
    world.clock.now += within + 1
    world.standing.event(Dropped(OWNER))  # the end of a creation is no turn of the loop
    assert not world.standing.is_turning


@pytest.mark.parametrize(
    ("requests", "ours", "waits_for"),
    [(0, 0, "requests"), (2, 0, "other workers and operators"), (2, 1, "an admin, or the next day's budget")],
)
def test_what_an_idle_worker_waits_for(requests: int, ours: int, waits_for: str) -> None:
    standing = World().standing
    standing.event(Looked((open_request(),) * requests, ours))
    assert standing.waits_for == waits_for


def test_the_age_of_the_oldest_request_is_by_the_networks_time() -> None:
    standing = World().standing
    assert standing.oldest_seconds is None
    standing.event(Looked((open_request(1_800 * 10**9), open_request(600 * 10**9)), 2))
    assert standing.oldest_seconds == 3_000
