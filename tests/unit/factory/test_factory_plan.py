"""The steps of a plan, by where a creation stands; what they take, and their form as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.creation_models import Admission, CreationStatus
from canister_factory.contract.import_models import ImportState
from canister_factory.factory.pace import MAINNET
from canister_factory.factory.plan import Plan, State, Step, made_of
from canister_factory.factory.plan_facts import Content, Facts
from canister_factory.factory.plan_refusals import Command
from support.planned import CANISTER, MODULE, OPERATOR, OWNER, T, canister, creation, facts, office, stored

S = CreationStatus
LARGE = Content(60_000_000, 30, is_exact=True)


def planned(given: Facts, of: Command = Command.ALL) -> Plan:
    return made_of(given, of, MODULE, network="embedded", is_embedded=True)


def steps(given: Facts) -> dict[str, Step]:
    return {step.name: step for step in planned(given).steps}


def states(given: Facts) -> str:
    """A letter a step: to do, skipped, done."""
    return "".join(step.state[0] for step in planned(given).steps)


def test_a_small_creation_takes_the_seven_updates_of_the_protocol() -> None:
    made = planned(facts())
    assert [step.name for step in made.steps] == [
        "Request",
        "Exporting",
        "Creating",
        "Installing",
        "Importing",
        "Verifying",
        "Completed",
    ]
    assert (made.updates, states(facts())) == (7, "ttttttt")
    assert "in one message" in steps(facts())["Importing"].why
    assert planned(facts(content=LARGE)).updates == 8


@pytest.mark.parametrize(
    ("status", "state"), [(S.Exporting, State.DONE), (S.Failed, State.TO_DO), (S.Undone, State.TO_DO)]
)
def test_a_creation_that_failed_or_was_undone_is_opened_again_first(status: CreationStatus, state: State) -> None:
    assert steps(facts(creation=creation(status)))["Request"].state == state


def test_approval_is_a_step_where_an_admin_has_to_approve() -> None:
    assert "Approval" in steps(facts(admission=Admission.Approval))
    assert "Approval" in steps(facts(creation=creation(S.NotStarted)))  # it is among no open requests
    assert "Approval" not in steps(facts(admission=Admission.Approval, office=office(is_listed=True)))


HALF = {"creation": creation(S.Importing, canister_id=CANISTER, cycles_consumed=T)}


@pytest.mark.parametrize(
    ("changes", "expected", "to_copy"),
    [
        ({"canister": canister(None)}, "dtstttt", 60_000_000),
        ({"canister": canister()}, "dtssttt", 60_000_000),
        ({"canister": canister(stored=stored(59_000_000))}, "dtssttt", 1_000_000),
        ({"canister": canister(stored=stored(60_000_000, session=ImportState.Completed))}, "dtssstt", 0),
        ({"canister": canister(is_handed_over=True)}, "dtssstt", 0),
    ],
)
def test_what_is_done_is_skipped(changes: dict[str, Any], expected: str, to_copy: int) -> None:
    given = facts(content=LARGE, **HALF, **changes)
    assert (states(given), planned(given).to_copy) == (expected, to_copy)
    assert planned(given).cost.left == planned(given).cost.rest


def test_the_rest_of_a_copy_takes_the_time_of_the_rest() -> None:
    whole = planned(facts(content=LARGE, **HALF, canister=canister()))
    rest = planned(facts(content=LARGE, **HALF, canister=canister(stored=stored(40_000_000, 20))))
    assert whole.seconds(MAINNET) - rest.seconds(MAINNET) == pytest.approx(10)


def test_nothing_is_left_of_a_completed_creation() -> None:
    over = planned(facts(creation=creation(S.Completed, canister_id=CANISTER, cycles_consumed=2 * T)))
    assert [(step.name, step.state) for step in over.steps] == [("Completed", State.DONE)]
    assert (over.updates, over.to_copy, over.seconds(MAINNET), over.cost.left) == (0, 0, 0, 0)


def test_the_json_of_a_plan_has_all_that_a_person_is_shown() -> None:
    given = facts(**HALF, canister=canister(stored=stored(1_000)))
    fields = planned(given).fields()
    assert (fields["command"], fields["ok"], fields["owner"], fields["refusals"]) == ("plan", True, OWNER, [])
    assert fields["now"] == {
        "status": S.Importing,
        "error": None,
        "canister_id": CANISTER,
        "canister_exists": True,
        "controllers": sorted([str(OPERATOR), str(OWNER)]),
        "module_hash": MODULE,
        "content_size": 5_000,
        "items": 2,
        "content_is_exact": True,
        "stored_size": 1_000,
    }
    assert fields["cycles"]["spent"] == T
    assert set(fields["seconds"]) == {"mainnet", "mainnet, gateway", "embedded replica"}
    assert [step["name"] for step in fields["steps"] if step["state"] == "skipped"] == ["Creating", "Installing"]
    assert planned(facts(office=None)).fields()["reserve"] is None
