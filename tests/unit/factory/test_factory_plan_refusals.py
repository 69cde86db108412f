"""Each refusal that a request, an approval or a run would meet, by the facts that lead to it."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import (
    Admission,
    CreatePersonalCanisterConfig,
    CreationStatus,
    OpenRequest,
)
from canister_factory.factory.errors import CanisterState, CanisterStateError
from canister_factory.factory.plan_cost import cost_of
from canister_factory.factory.plan_facts import Content, Facts
from canister_factory.factory.plan_refusals import Command, Refusal, refusals, unknown
from support.planned import (
    CANISTER,
    MODULE,
    NOW_NS,
    OPERATOR,
    OWNER,
    STRANGER,
    T,
    canister,
    creation,
    facts,
    office,
    reserve,
)

S = CreationStatus
REQUESTED = creation(S.NotStarted)
INSTALLED = creation(S.Importing, canister_id=CANISTER)


def found(
    given: Facts, of: Command = Command.ALL, asked: CreatePersonalCanisterConfig | None = None, worker: str = "me"
) -> list[Refusal]:
    return refusals(given, cost_of(given), of, MODULE, worker=worker, asked=asked)


def kinds(given: Facts, of: Command = Command.ALL, **how: Any) -> list[tuple[str, str]]:
    return [(refusal.command, refusal.kind) for refusal in found(given, of, **how)]


def request(**changes: Any) -> OpenRequest:
    """The owner's, without a lease."""
    usual: dict[str, Any] = {"owner": OWNER, "status": S.NotStarted, "requested_at": NOW_NS}
    return OpenRequest(**(usual | changes))


def leased(worker: str, seconds: int, **changes: Any) -> Facts:
    until = NOW_NS + seconds * 10**9
    return facts(creation=REQUESTED, office=office(request=request(worker=worker, leased_until=until)), **changes)


OPEN = {"creation": REQUESTED, "office": office(request=request())}


@pytest.mark.parametrize("of", Command)
@pytest.mark.parametrize("status", [S.NotStarted, S.Completed])
def test_what_is_right_is_not_refused(of: Command, status: CreationStatus) -> None:
    given = facts(creation=creation(status), office=office(request=request()))
    assert kinds(given, of) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"enabled": False}, "Disabled"),
        ({"content": Content(0, 1, is_exact=True, has_capsule=False)}, "InvalidRequest"),
        ({"admission": Admission.Listed}, "NotAdmitted"),
        ({"admission": Admission.Approval, "office": office(waiting=1_000)}, "Busy"),
        ({"office": office(in_progress=100)}, "Busy"),
        ({"office": office(attempts_in_hour=1_000)}, "Busy"),
        ({"office": office(reserve=reserve(balance=3 * T))}, "ReserveInsufficient"),
        ({"office": office(reserve=reserve(frozen=21 * T))}, "ReserveInsufficient"),
        ({"office": office(reserve=reserve(in_flight=19 * T))}, "ReserveInsufficient"),
        ({"office": office(reserve=reserve(spent_in_day=199 * T))}, "BudgetSpent"),
        ({"creation": creation(S.Failed, lost_canisters=[CANISTER] * 3)}, "HistoryFailed"),
    ],
)
def test_a_request_is_refused(changes: dict[str, Any], kind: str) -> None:
    given = facts(**changes)
    assert kinds(given, Command.REQUEST) == [("request", kind)]
    assert ("request", kind) in kinds(given)


@pytest.mark.parametrize("name", ["", "x" * 101, "no/slashes", "   ", "a\nb", "5²"])
def test_a_name_that_no_canister_can_have_is_refused(name: str) -> None:
    asked = CreatePersonalCanisterConfig(name=name)
    assert kinds(facts(), Command.REQUEST, asked=asked) == [("request", "InvalidRequest")]


@pytest.mark.parametrize("subnet", [Principal.anonymous(), Principal.management_canister()])
def test_what_is_no_subnet_is_refused(subnet: Principal) -> None:
    asked = CreatePersonalCanisterConfig(subnet_id=subnet)
    assert kinds(facts(), Command.REQUEST, asked=asked) == [("request", "InvalidRequest")]


@pytest.mark.parametrize("name", [None, "Mine", "My memories_2-3", "Émile", "माता"])
def test_a_name_of_letters_digits_and_spaces_is_taken(name: str | None) -> None:
    assert kinds(facts(), Command.REQUEST, asked=CreatePersonalCanisterConfig(name=name)) == []


def test_who_is_on_the_list_is_neither_refused_nor_waits() -> None:
    for admission in Admission:
        assert kinds(facts(admission=admission, office=office(is_listed=True))) == []


def test_the_approval_meets_what_the_request_does_not() -> None:
    poor = office(reserve=reserve(balance=3 * T))
    assert kinds(facts(admission=Admission.Approval, office=poor)) == [
        ("admin requests approve", "ReserveInsufficient")
    ]
    waiting = facts(creation=REQUESTED, office=poor)
    assert kinds(waiting) == [("admin requests approve", "ReserveInsufficient")]
    assert kinds(waiting, Command.RUN) == [("run", "NotAdmitted")]


UNAPPROVED = OPEN | {"releases": frozenset()}
POOR = {"creation": REQUESTED, "office": office(request=request(), reserve=reserve(balance=3 * T))}
ANOTHERS = {"creation": creation(S.Importing, canister_id=CANISTER, operators=[STRANGER]), "canister": canister()}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "InvalidRequest"),
        ({"creation": creation(S.Failed)}, "InvalidRequest"),
        (OPEN | {"caller": STRANGER}, "Unauthorized"),
        (UNAPPROVED, "InstallFailed"),
        (OPEN | {"enabled": False}, "Disabled"),
        (POOR, "ReserveInsufficient"),
        (ANOTHERS | {"office": office(operators=frozenset({OPERATOR, STRANGER}))}, "Busy"),
        ({"creation": INSTALLED, "canister": canister(is_as_left=False)}, "HistoryFailed"),
    ],
)
def test_a_run_is_refused(changes: dict[str, Any], kind: str) -> None:
    assert kinds(facts(**changes), Command.RUN) == [("run", kind)]


def test_the_largest_capsule_that_the_backend_takes_is_not_refused() -> None:
    largest = Content(60 * 10**9, 1 + 200_000 + 20_000, is_exact=True)
    rich = office(request=request(), reserve=reserve(balance=10**6 * T, settings={"cycles_per_day": 10**6 * T}))
    assert kinds(facts(creation=REQUESTED, content=largest, office=rich), Command.RUN) == []


@pytest.mark.parametrize(
    ("state", "kind"), [(CanisterState.FROZEN, "Frozen"), (CanisterState.OTHER_CONTROLLERS, "HistoryFailed")]
)
def test_what_became_of_the_canister_is_a_refusal(state: CanisterState, kind: str) -> None:
    problem = CanisterStateError("it is so", state, stage=S.Importing, canister_id=CANISTER)
    assert kinds(facts(creation=INSTALLED, canister=canister(problem=problem)), Command.RUN) == [("run", kind)]


def test_a_lease_of_another_worker_is_a_refusal_until_it_ends() -> None:
    assert kinds(leased("another", 30), Command.RUN, worker="me") == [("run", "Busy")]
    assert "worker another works on this creation" in found(leased("another", 30), Command.RUN)[0].message
    assert kinds(leased("another", 0), Command.RUN, worker="me") == []
    assert kinds(leased("me", 30), Command.RUN, worker="me") == []
    assert kinds(leased("me", 30)) == [("run", "Busy")]


def test_what_an_open_creation_holds_is_not_missing_for_it() -> None:
    needed = cost_of(facts()).at_most
    just_enough = reserve(balance=2 * T + needed, in_flight=needed)
    held = office(request=request(), reserve=just_enough)
    assert kinds(facts(creation=REQUESTED, office=held), Command.RUN) == []
    assert kinds(facts(office=office(reserve=just_enough)), Command.REQUEST) == [("request", "ReserveInsufficient")]


def test_an_operator_that_is_none_any_more_is_replaced_by_the_owners_retry() -> None:
    gone = creation(S.Importing, canister_id=CANISTER, operators=[STRANGER], next_operator=OPERATOR)
    refusal = found(facts(creation=gone, canister=canister()))[0]
    assert (refusal.kind, f"the owner's 'retry' puts {OPERATOR} in its place" in refusal.message) == ("Busy", True)
    failed = creation(S.Failed, canister_id=CANISTER, operators=[STRANGER], next_operator=OPERATOR)
    assert kinds(facts(creation=failed, canister=canister())) == []


def test_who_has_undone_a_creation_asks_for_another_canister() -> None:
    undone = facts(creation=creation(S.Undone, canister_id=CANISTER))
    assert kinds(undone) == []
    assert "undone" in unknown(undone, Command.ALL)[0]
    assert (cost_of(undone).left, kinds(undone, Command.RUN)) == (cost_of(facts()).at_most, [("run", "InvalidRequest")])


def test_an_owner_is_told_what_they_can_not_know() -> None:
    own = facts(caller=OWNER, office=None, admission=Admission.Listed)
    assert kinds(own) == []
    told = unknown(own, Command.REQUEST)
    assert ["reserve" in told[0], "on the list" in told[1]] == [True, True]
    assert unknown(facts(), Command.REQUEST) == []
    tired = creation(S.Failed, attempts=6)
    assert "pause" in unknown(facts(creation=tired), Command.REQUEST)[0]
    assert "how large" in unknown(facts(creation=tired, content=Content(1, 1, is_exact=False)), Command.ALL)[-1]
