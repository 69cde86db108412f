"""A plan of a creation that was interrupted, and of one whose canister its owner did something to; and its time."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.errors import CanisterState
from canister_factory.factory.plan import Plan, State, plan
from canister_factory.factory.plan_refusals import Command
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.creation_contents import pattern
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile
from support.killing import killed_at
from support.owner_acts import USUAL_FREEZING_S, act

PARTS: dict[str, Any] = {"max_message_bytes": 500_000, "start_window": 1, "max_window": 1}

SKIPPED: dict[str, set[str]] = {
    "after the export": set(),
    "after the canister was created": {"Creating"},
    "after the installation": {"Creating", "Installing"},
    "in the middle of the copy": {"Creating", "Installing"},
    "after the import was final": {"Creating", "Installing", "Importing"},
    "after the handoff": {"Creating", "Installing", "Importing"},
}
"""What needn't be done any more when a run was killed there."""


async def planned(world: World) -> Plan:
    """The plan of the operator's run."""
    backend = BackendClient(world.operator, world.backend_id)
    return await plan(backend, world.operator, world.owner_id, Command.RUN)


async def fill(world: World) -> int:
    """More than a message of a run in `PARTS`; how many bytes."""
    sizes = (400_000, 400_000, 400_000, 400_000)
    for index, size in enumerate(sizes):
        await world.as_owner.add_memory_to_capsule(inline(pattern(size, str(index))), note(f"memory {index}"))
    return sum(sizes)


@pytest.mark.parametrize("place", SKIPPED)
async def test_a_run_that_was_killed_is_planned_from_where_it_stands(world: World, place: str) -> None:
    size = await fill(world)
    await killed_at(world, place, **PARTS)
    made = await planned(world)
    assert made.ok
    assert {step.name for step in made.steps if step.state == State.SKIPPED} == SKIPPED[place]
    copied = place in ("after the import was final", "after the handoff")
    if place == "in the middle of the copy":
        assert 0 < made.to_copy < size
    else:
        assert made.to_copy == (0 if copied else size)
    outcome = await world.orchestrator(**PARTS).run(world.owner_id)
    assert outcome.bytes_moved <= made.to_copy + PARTS["max_message_bytes"]
    assert made.cost.spent + made.cost.expected_left == pytest.approx(outcome.creation.cycles_consumed, rel=0.05)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("stops it", CanisterState.STOPPED),
        ("starves it", CanisterState.FROZEN),
        ("deletes it", CanisterState.DELETED),
        ("takes it", CanisterState.OWNERS_ALONE),
        ("installs another module", "HistoryFailed"),
        ("lets a stranger control it", "HistoryFailed"),
        ("blackholes it", "HistoryFailed"),
    ],
)
async def test_what_an_owner_did_to_the_canister_is_told_before_the_run_meets_it(
    world: World, what: str, kind: str
) -> None:
    await fill(world)
    interrupted = await killed_at(world, "after the installation", **PARTS)
    assert isinstance(interrupted.canister_id, Principal)
    await act(Hostile(world, world.owner, interrupted.canister_id), what)
    refusals = (await planned(world)).refusals
    if what == "starves it":  # the books of its contents are compared afterwards
        usual = CanisterSettings(freezing_threshold=USUAL_FREEZING_S)
        await ManagementCanister(world.owner).update_settings(interrupted.canister_id, usual)
    assert [(refusal.command, refusal.kind) for refusal in refusals] == [("run", kind)]
