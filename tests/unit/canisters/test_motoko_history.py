"""The backend's judgement of histories (`canisters/backend/History.mo`): the same as the one in Python.

These need Node.js, and the first time npm and a registry; see `test_motoko_modules`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings

from canister_factory.candid.binding import to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case as Variant
from canister_factory.contract.history_models import CanisterHistory
from canister_factory.factory.errors import HistoryError
from canister_factory.factory.history import Attested, judge
from canister_factory.ic.requests import QueryRequest
from support.backend_world import ADMIN, CANISTERS, OPERATOR, OTHER_OPERATOR, OWNER
from support.histories import APPROVED, BACKEND, BACKEND_BEFORE, CASES, FORMER, REMOVED_AT, Case, known, questions
from support.motoko_compiler import require_compiler
from support.motoko_tests import MotokoTests

pytestmark = [
    pytest.mark.begins_first,
    pytest.mark.motoko_sources,
    pytest.mark.timeout(600),  # the first one fetches the compiler, and compiles
]

LATER = "an_invention : record { of : text };"
"""A kind of change that no build of ours knows."""


@cache
def canister() -> MotokoTests:
    require_compiler()
    return MotokoTests()


@cache
def interface(more_details: str = "") -> Interface:
    """Of the question, with the types of the contract and perhaps more kinds of changes."""
    contract = (CANISTERS / "personal" / "personal.did").read_text()
    types = contract[: contract.index("\nservice")].replace(
        "type ChangeDetails = variant {", f"type ChangeDetails = variant {{ {more_details}"
    )
    assert more_details in types
    if more_details:  # as the network has it, for which an unknown kind of change is none
        types = types.replace("origin : opt", "origin :").replace("details : opt", "details :")
    return parse_did(
        types
        + """
        type Attested = record { changes : nat64; handedOver : bool };
        service : { judge : (record {
          backends : vec principal; owner : principal; approved : vec blob;
          history : CanisterHistory; attested : opt Attested;
          operators : vec record { "principal" : principal; removed_at : opt nat64 }; after_verification : bool;
        }) -> (variant { Good : Attested; Refused : text }) query }"""
    )


def judged_by_the_backend(case: Case, told: Any = None, more_details: str = "") -> Attested | str:
    service = interface(more_details).service
    assert service is not None
    method = service.method("judge")
    operators: dict[Principal, int | None] = {OPERATOR: None, OTHER_OPERATOR: None, FORMER: REMOVED_AT}
    before = case.attested
    question = {
        "backends": [BACKEND_BEFORE, BACKEND],
        "owner": OWNER,
        "operators": [{"principal": who, "removed_at": removed} for who, removed in operators.items()],
        "approved": [APPROVED],
        "history": told or to_candid(CanisterHistory, case.history),
        "attested": before and {"changes": before.changes, "handedOver": before.handed_over},
        "after_verification": case.after,
    }
    world = canister()
    request = QueryRequest(ADMIN.bytes, world.now_ns, world.canister.bytes, "judge", encode(method.args, [question]))
    answer = decode(world.subnet.query(request).data, method.results)[0]
    if answer.tag == "Refused":
        return str(answer.value)
    return Attested(answer.value["changes"], answer.value["handedOver"])


def judged_here(case: Case) -> Attested | str:
    try:
        return judge(known(), case.history, case.attested, after_verification=case.after)
    except HistoryError as refused:
        return refused.message


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_backend_judges_as_python_does(case: Case) -> None:
    answer = judged_by_the_backend(case)
    assert answer == judged_here(case)
    if isinstance(case.expected, str):
        assert isinstance(answer, str)
        assert case.expected in answer
    else:
        assert answer == case.expected


@settings(max_examples=150, deadline=None)
@given(questions())
def test_the_backend_judges_any_history_as_python_does(case: Case) -> None:
    assert judged_by_the_backend(case) == judged_here(case)


def test_a_kind_of_change_that_came_up_later_is_refused_and_no_other_is_for_its_sake() -> None:
    good = next(case for case in CASES if case.name == "handed over")
    assert judged_by_the_backend(good, more_details=LATER) == good.expected
    told = to_candid(CanisterHistory, good.history)
    told["recent_changes"][1]["details"] = Variant("an_invention", {"of": "tomorrow"})
    answer = judged_by_the_backend(good, told, LATER)
    assert isinstance(answer, str)
    assert answer.startswith("change 2 of 3, an unknown kind of change by ")
