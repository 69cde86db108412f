"""Admins and owners do what they like in the middle of a creation, at each of its messages.

A seeded sample of acts and moments; with --sweep all of them, for each capsule.
"""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.contract.creation_models import CreationStatus
from support.creation_ends import Expected, assert_nothing_wrong, faults_at_the_end, faults_of_the_line
from support.fault_acts import (
    ADMIN_DECISIONS,
    BACKEND_ACTS,
    CANISTER_ACTS,
    CHANGES_FOR_GOOD,
    HARMLESS_ACTS,
    MOMENTS,
    Act,
    Disturbance,
    Moment,
    let_operator_in,
    owner_asks_again,
    owner_cancels,
    owner_takes_control,
    release_revoked,
)
from support.fault_world import CAPSULES, PATIENCE_S, REST_S, Capsule, FaultWorld, Person, Stage

capsules = pytest.mark.parametrize("capsule", CAPSULES, ids=str)


def acts(*cases: tuple[Act, Moment]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("act", "moment"), cases, ids=[f"{act.__name__} {moment}" for act, moment in cases])


def with_a_canister(*chosen: Act) -> list[tuple[Act, Moment]]:
    return [(act, moment) for act in chosen for moment in MOMENTS if moment.has_canister]


def at_any_moment(*chosen: Act) -> list[tuple[Act, Moment]]:
    return [(act, moment) for act in chosen for moment in MOMENTS]


async def asked_again(world: FaultWorld, person: Person, act: Act) -> bool:
    """The owner asks again as long as they are told that it helps; where not, an admin clears the creation first.

    An operator that doesn't control the canister is let in again first. Returns whether an admin had to help.
    """
    cleared = False
    for _ in range(3):
        await settled(world, person)
        creation = await person.creation()
        if creation.status != CreationStatus.Failed or creation.error is None:
            break
        if not creation.error.retry_helps:
            await world.as_admin.clear_creation_state(person.principal)
            cleared = True
        elif act is owner_takes_control:
            await let_operator_in(world, person)
        await person.client.create_personal_canister(None)
        await world.go_on(person)
    return cleared


async def settled(world: FaultWorld, person: Person) -> None:
    """Returns when the backend has looked how a handoff ended."""
    for _ in range(round(PATIENCE_S / REST_S)):
        if (await person.creation()).locked_until is None:
            return
        await asyncio.sleep(REST_S)


def assert_undisturbed(
    stage: Stage, capsule: Capsule, act: Act, moment: Moment, *, retries: bool = False, losses: int = 0
) -> None:
    """Nothing is wrong at the end, after this act at this moment. `retries`: the owner may have to ask again."""

    async def scenario(world: FaultWorld) -> list[str]:
        person = await world.person(capsule)
        disturbance = Disturbance(world, person, act, moment)
        life = await world.life(person, disturbance.chosen)
        await world.go_on(person)
        await disturbance.over()
        wrong = faults_of_the_line(life)
        if not disturbance.done:
            wrong.append("the moment didn't come")
        cleared = await asked_again(world, person, act) if retries else False
        attempts = (await person.creation()).attempts if retries else 1
        is_owners = moment.is_handed_over and act in CHANGES_FOR_GOOD
        return wrong + await faults_at_the_end(world, person, Expected(attempts, losses, cleared, is_owners))

    assert_nothing_wrong(f"{act.__name__} {moment}, {capsule}", stage.play(scenario))


@pytest.mark.sample(16)
@capsules
@acts(*at_any_moment(*BACKEND_ACTS))
def test_what_happens_to_the_backend_needs_nobodys_help(
    faults: Stage, capsule: Capsule, act: Act, moment: Moment
) -> None:
    assert_undisturbed(faults, capsule, act, moment)


@pytest.mark.sample(8)
@capsules
@acts(*at_any_moment(*ADMIN_DECISIONS))
def test_what_admins_decide_and_take_back_costs_the_owner_a_request_at_most(
    faults: Stage, capsule: Capsule, act: Act, moment: Moment
) -> None:
    # A module that is approved no more ends the canisters that run it, for good.
    assert_undisturbed(faults, capsule, act, moment, retries=True, losses=act is release_revoked)


@pytest.mark.sample(6)
@capsules
@acts(*with_a_canister(*HARMLESS_ACTS[:1]), *at_any_moment(owner_asks_again))
def test_an_owner_who_changes_nothing_disturbs_nothing(
    faults: Stage, capsule: Capsule, act: Act, moment: Moment
) -> None:
    assert_undisturbed(faults, capsule, act, moment)


@pytest.mark.sample(24)
@capsules
@acts(*with_a_canister(*CANISTER_ACTS), *at_any_moment(owner_cancels))
def test_whatever_an_owner_does_a_canister_with_everything_is_theirs_in_the_end(
    faults: Stage, capsule: Capsule, act: Act, moment: Moment
) -> None:
    assert_undisturbed(faults, capsule, act, moment, retries=True, losses=1)
