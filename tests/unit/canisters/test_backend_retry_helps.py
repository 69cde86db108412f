"""`retry_helps` is true only where a later attempt at the same may succeed: every error that the backend makes."""

from __future__ import annotations

import re

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, CANISTERS, OPERATOR, OWNER, World

HELPS = {
    ("Disabled", "true"): "creation is switched on again",
    ("ReserveInsufficient", "true"): "the reserve is filled",
    ("BudgetSpent", "helps"): "the next day has its own budget, unless the creation needs more than a day's",
    ("CreateFailed", "true"): "the network may create the canister the next time",
    ("VerifyFailed", "true"): "what differs is copied again; what gave no answer is asked again",
    ("HandoffFailed", "true"): "the handoff is sent again",
    ("Cancelled", "true"): "the owner asks again",
    ("NotAdmitted", "true"): "an admin may approve it",
    ("Busy", "true"): "whoever is at it has done then",
    ("ImportFailed", "retryHelps"): "what isn't there any more is listed again; the same damaged bytes are read again",
    ("HistoryFailed", "isReplaced(creation)"): "a retry takes another canister, but not for ever",
    ("VerifyFailed", "Attestation.isReplaced(creation)"): "the same",
    ("Unauthorized", "false"): "the caller stays who it is",
    ("InvalidRequest", "false"): "the same request is refused again",
    ("VerifyFailed", "false"): "a canister that was deleted doesn't come back",
    ("HistoryFailed", "false"): "too many canisters were lost: an admin has to clear the creation",
    ("Busy", "false"): "the creation is another operator's",
    ("Declined", "false"): "an admin said no",
    ("TooEarly", "false"): "something else comes first",
    ("TooLate", "false"): "what was done isn't undone",
    ("Written", "false"): "what was written has to be brought back first",
    ("NotAdmitted", "false"): "the owner isn't on the list",
}
"""Why a retry helps or doesn't, by kind and flag as the sources have them."""


def made() -> set[tuple[str, str]]:
    """Kind and flag of every error that is made in the backend's sources."""
    found = set()
    for path in (CANISTERS / "backend").glob("*.mo"):
        text = path.read_text()
        for start in re.finditer(r"\bmake\(\s*#(\w+)\s*,", text):
            depth, end, last = 1, start.end(), start.end()
            while depth:
                character = text[end]
                depth += (character in "([{") - (character in ")]}")
                if character == "," and depth == 1:
                    last = end + 1
                end += 1
            flag = text[last : end - 1].strip() or text[text.rindex(",", 0, last - 1) + 1 : last - 1].strip()
            found.add((start[1], flag))
    return found


def test_every_error_of_the_backend_says_whether_a_retry_helps_and_why_is_known() -> None:
    assert made() == set(HELPS)


def lose(world: World) -> Principal:
    """A creation loses its canister by what its owner did to it; the canister."""
    world.request()
    lease = world.claim()
    canister: Principal = world.ok("provision_canister", lease, sender=OPERATOR)["canister_id"]
    world.manage("uninstall_code", {"canister_id": canister}, sender=OWNER)
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")
    return canister


def test_a_retry_helps_as_long_as_it_takes_another_canister() -> None:
    world = World()
    for number in (1, 2, 3):
        lose(world)
        world.advance(7_200)
        error = world.status()["error"]
        assert error["kind"] == Case("HistoryFailed")
        assert error["retry_helps"] is (number < 3)
    refused = world.err("create_personal_canister", None, sender=OWNER)
    assert (refused["kind"], refused["retry_helps"]) == (Case("HistoryFailed"), False)
    world.ok("clear_creation_state", OWNER, sender=ADMIN)
    world.ok("create_personal_canister", None, sender=OWNER)


@pytest.mark.parametrize("method", ["start_over", "verify_creation"])
def test_a_canister_that_was_deleted_is_no_reason_to_try_again(method: str) -> None:
    world = World()
    lease, canister = world.copied()
    for step in ("stop_canister", "delete_canister"):
        world.manage(step, {"canister_id": canister}, sender=OWNER)
    error = world.err(method, lease, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("VerifyFailed"), False)
    assert "cleanup" in error["message"]


def test_nor_is_one_that_was_deleted_after_its_verification() -> None:
    world = World()
    lease, canister = world.verified()
    for step in ("stop_canister", "delete_canister"):
        world.manage(step, {"canister_id": canister}, sender=OWNER)
    error = world.err("complete_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("VerifyFailed"), False)
    assert world.status()["status"] == Case("Verifying")
    world.advance(600)
    world.run()
    assert world.status()["locked_until"] is None, "the look lifts the seal: nothing was handed over"
