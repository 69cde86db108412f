"""The end of a creation: stages, verification, handoff, and what the owner then finds. The target is the real one."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    OPERATOR,
    OTHER_OPERATOR,
    OWNER,
    STRANGER,
    World,
    failure,
)
from support.creation_stages import GRACE_S, PERMIT_S, STAGES, at_stage
from support.personal_world import new_memory, sha256

REPORTS = ["NotStarted", *STAGES, "Completed", "Failed"]


def look(world: World) -> None:
    """Time for the backend's timer, from a verification on, and for the answer of the management canister."""
    world.advance(PERMIT_S + GRACE_S + 1)
    for _ in range(5):
        world.advance(1)
        world.run()


def may_report(stage: str, reported: str) -> bool:
    """Whether progress is told within the stage, or brings the creation forward, once there is a canister."""
    if reported == stage:
        return True
    return stage != "Exporting" and reported in STAGES[2:] and STAGES.index(reported) > STAGES.index(stage)


PAIRS = list(product(STAGES, REPORTS))


@pytest.mark.parametrize(("stage", "reported"), [pair for pair in PAIRS if may_report(*pair)])
def test_progress_is_told_within_a_stage_or_moves_forward(stage: str, reported: str) -> None:
    world, lease = at_stage(stage)
    assert world.report(lease, reported).tag == "Ok"
    status = world.status()
    assert status["status"] == status["progress"]["stage"] == Case(reported)
    assert status["progress_message"] == f"at {reported}"


@pytest.mark.parametrize(("stage", "reported"), [pair for pair in PAIRS if not may_report(*pair)])
def test_progress_moves_neither_back_nor_to_a_stage_that_has_its_own_method(stage: str, reported: str) -> None:
    world, lease = at_stage(stage)
    before = world.status()
    answer = world.report(lease, reported)
    assert answer.tag == "Err"
    assert answer.value["kind"] == Case("InvalidRequest")
    assert answer.value["stage"] == before["status"] == Case(stage)
    assert world.status() == before


@pytest.mark.parametrize("stage", STAGES)
def test_any_stage_of_a_worker_can_fail_and_the_capsule_is_as_before(stage: str) -> None:
    world, lease = at_stage(stage)
    capsule_id = world.capsule()
    before = world.ok("get_capsule", capsule_id, sender=OWNER)
    canister = world.status()["canister_id"]
    failed = world.ok("fail_creation", lease, failure("ImportFailed", "the target is full"), sender=OPERATOR)
    assert failed["status"] == Case("Failed")
    assert (failed["error"]["kind"], failed["error"]["stage"]) == (Case("ImportFailed"), Case(stage))
    assert failed["error"]["canister_id"] == failed["canister_id"] == canister
    assert world.call("get_creation_status", sender=OWNER)["message"] == "the target is full"
    assert world.ok("get_capsule", capsule_id, sender=OWNER) == before
    assert world.add_memory(10).tag == "Ok"
    assert world.reserve()["in_flight"] == 0
    # Failing once more is no second failure.
    assert world.ok("fail_creation", lease, failure(), sender=OPERATOR)["error"]["message"] == "the target is full"
    stats = world.ok("get_personal_canister_creation_stats", sender=ADMIN)
    assert (stats["total_attempts"], stats["total_failures"], stats["total_successes"]) == (1, 1, 0)


def test_the_claim_begins_the_export_so_that_a_creation_that_has_not_started_has_no_worker() -> None:
    world = World()
    world.request()
    before = world.status()
    unleased = {"owner": OWNER, "lease": 0}
    assert world.report(unleased, "NotStarted").value["kind"] == Case("Busy")
    assert world.err("fail_creation", unleased, failure(), sender=OPERATOR)["kind"] == Case("Busy")
    assert (before["status"], world.status()) == (Case("NotStarted"), before)
    claimed = world.ok("claim_creation", {"owner": OWNER, "worker": "worker-1"}, sender=OPERATOR)
    assert claimed["creation"]["status"] == world.status()["status"] == Case("Exporting")
    assert claimed["manifest"] == claimed["creation"]["source_manifest"] == world.status()["source_manifest"]
    assert claimed["manifest"]["origin"] == world.backend


# --- ending it as the owner or an admin ------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_the_owner_cancels_at_any_stage_and_the_capsule_is_as_before(stage: str) -> None:
    world, lease = at_stage(stage)
    world.ok("begin_export", lease, True, sender=OPERATOR)
    assert world.add_memory(10).value.tag == "Locked"
    canister = world.status()["canister_id"]
    cancelled = world.ok("cancel_personal_canister", sender=OWNER)
    assert (cancelled["status"], cancelled["error"]["kind"]) == (Case("Failed"), Case("Cancelled"))
    assert (cancelled["error"]["stage"], cancelled["canister_id"]) == (Case(stage), canister)
    assert world.add_memory(10).tag == "Ok"
    assert world.reserve()["in_flight"] == 0
    assert world.err("renew_lease", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")


def test_the_owner_cancels_what_nobody_has_claimed_yet() -> None:
    world = World()
    world.request()
    cancelled = world.ok("cancel_personal_canister", sender=OWNER)
    assert (cancelled["status"], cancelled["canister_id"]) == (Case("Failed"), None)
    assert cancelled["error"]["kind"] == Case("Cancelled")
    assert world.ok("list_open_requests", {}, sender=OPERATOR)["items"] == []


def test_an_admin_aborts_with_a_reason_that_the_owner_reads() -> None:
    world, _ = at_stage("Importing")
    aborted = world.ok("abort_creation", OWNER, "the subnet is full", sender=ADMIN)
    assert (aborted["status"], aborted["error"]["kind"]) == (Case("Failed"), Case("Cancelled"))
    assert "the subnet is full" in world.call("get_creation_status", sender=OWNER)["message"]


@pytest.mark.parametrize(
    ("method", "arguments", "sender"),
    [("cancel_personal_canister", (), OWNER), ("abort_creation", (OWNER, "because"), ADMIN)],
)
def test_what_may_be_handed_over_is_not_cancelled_until_the_backend_has_looked(
    method: str, arguments: tuple[Any, ...], sender: Principal
) -> None:
    world = World()
    world.verified()
    error = world.err(method, *arguments, sender=sender)
    assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
    assert world.stage() == "Verifying"
    look(world)
    assert world.ok(method, *arguments, sender=sender)["status"] == Case("Failed")


def test_a_failure_is_logged_notified_and_counted() -> None:
    world, lease = at_stage("Creating")
    world.ok("fail_creation", lease, failure("InstallFailed", "the module trapped"), sender=OPERATOR)
    [logged] = world.ok("list_errors", {}, sender=ADMIN)["items"]
    assert (logged["owner"], logged["error"]["kind"]) == (OWNER, Case("InstallFailed"))
    [note] = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    assert note["kind"] == Case("CreationFailed")
    assert str(OWNER) in note["message"]
    assert "the module trapped" in note["message"]
    rate = world.ok("get_error_rate", None, sender=ADMIN)
    assert (rate["attempts"], rate["failures"]) == (1, 1)
    world.advance(86_401)
    rate = world.ok("get_error_rate", None, sender=ADMIN)
    assert (rate["attempts"], rate["failures"]) == (0, 0)


def test_a_long_message_of_an_operator_is_cut() -> None:
    world, lease = at_stage("Creating")
    error = world.ok("fail_creation", lease, failure(message="x" * 4_000), sender=OPERATOR)["error"]
    assert len(error["message"]) == 1_001


# --- verification ----------------------------------------------------------------------------------------------------


def test_after_verification_writes_stay_refused_for_a_worker_that_takes_over_the_handoff() -> None:
    world = World()
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    world.advance(100)  # the lease is gone, the seal is not
    assert world.err("complete_creation", lease, sender=OPERATOR)["kind"] == Case("Busy")
    assert world.add_memory(1).value.tag == "Locked"
    taken_over = world.claim(worker="b")
    done = world.ok("complete_creation", taken_over, sender=OPERATOR)
    assert done["status"] == Case("Completed")


def test_the_backend_itself_completes_what_was_handed_over_when_no_worker_comes_back() -> None:
    world = World()
    _, canister = world.verified()
    world.hand_over(canister, OWNER)
    look(world)
    status = world.status()
    assert (status["status"], status["verified"], status["locked_until"]) == (Case("Completed"), True, None)
    assert world.call("get_personal_canister_id", OWNER, sender=STRANGER) == canister
    assert world.add_memory(1).value == Case("Moved", {"personal_canister": canister})


def test_time_alone_lifts_no_seal() -> None:
    world = World()
    world.verified()
    world.advance(600)  # the backend's timer is due, but has not been executed yet
    assert world.status()["locked_until"] == world.now_ns + 1


def test_the_owners_writes_are_not_refused_for_ever_when_no_worker_comes_back() -> None:
    world = World()
    world.verified()
    look(world)
    assert world.status()["locked_until"] is None
    assert world.add_memory(1).tag == "Ok"
    assert world.status()["verified"] is False
    error = world.err("complete_creation", world.claim(), sender=OPERATOR)
    assert error["kind"] == Case("VerifyFailed")
    assert "verify again" in error["message"]


# --- completion ------------------------------------------------------------------------------------------------------


def test_a_completed_canister_is_its_owners_alone_and_everyone_finds_it() -> None:
    world = World()
    world.capsule()
    memory_id = world.add_memory(10).value
    canister = world.completed()
    assert world.controllers(canister) == {OWNER}
    assert world.call("get_personal_canister_id", OWNER, sender=STRANGER) == canister
    assert world.call("get_my_personal_canister_id", sender=OWNER) == canister
    status = world.status()
    assert (status["status"], status["completed_at"]) == (Case("Completed"), world.now_ns)
    assert (status["error"], status["verified"], status["locked_until"]) == (None, True, None)
    entry = world.ok("get_registry_entry", canister, sender=ADMIN)
    assert (entry["status"], entry["cycles_consumed"]) == (Case("Completed"), status["cycles_consumed"])
    stats = world.ok("get_personal_canister_creation_stats", sender=ADMIN)
    assert (stats["total_attempts"], stats["total_successes"], stats["total_failures"]) == (1, 1, 0)
    assert stats["total_cycles_consumed"] == status["cycles_consumed"]
    assert world.ok("list_open_requests", {}, sender=OPERATOR)["items"] == []
    again = world.ok("create_personal_canister", None, sender=OWNER)
    assert (again["success"], again["canister_id"]) == (True, canister)
    # The shared capsule can be read for good, and names the place to write to.
    assert world.ok("get_memory_from_capsule", memory_id, sender=OWNER)["data"]["data"] == bytes(10)
    assert world.add_memory(1).value == Case("Moved", {"personal_canister": canister})


def test_an_upload_that_was_begun_before_the_move_takes_no_more_chunks_and_can_only_be_aborted() -> None:
    world = World()
    world.capsule()
    request = {"memory": new_memory(), "total_size": 10, "chunk_size": 10}
    upload_id = world.ok("begin_memory_upload", request, sender=OWNER)["upload_id"]
    moved = Case("Moved", {"personal_canister": world.completed()})
    chunk = (upload_id, 0, bytes(10), sha256(bytes(10)))
    assert world.call("put_memory_upload_chunk", *chunk, sender=OWNER).value == moved
    assert world.ok("get_memory_upload", upload_id, sender=OWNER)["missing_chunks"] == [0]
    assert world.call("commit_memory_upload", upload_id, sender=OWNER).value == moved
    world.ok("abort_memory_upload", upload_id, sender=OWNER)


def test_completing_again_is_a_success_for_any_operator() -> None:
    world = World()
    world.completed()
    done = world.ok("complete_creation", {"owner": OWNER, "lease": 0}, sender=OTHER_OPERATOR)
    assert done == world.status()
    error = world.err("fail_creation", {"owner": OWNER, "lease": 0}, failure(), sender=OPERATOR)
    assert error["kind"] == Case("InvalidRequest")


@pytest.mark.parametrize("controllers", [(OPERATOR, OWNER), (OPERATOR,), (OTHER_OPERATOR, OWNER)])
def test_without_the_handoff_to_exactly_the_owner_there_is_no_completion(controllers: tuple[Any, ...]) -> None:
    world = World()
    lease, canister = world.verified()
    world.hand_over(canister, *controllers)
    error = world.err("complete_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["canister_id"]) == (Case("HandoffFailed"), canister)
    assert all(str(controller) in error["message"] for controller in controllers)
    assert world.stage() == "Verifying"
    assert world.call("get_my_personal_canister_id", sender=OWNER) is None


@pytest.mark.parametrize("stage", STAGES[1:])
def test_completion_needs_a_matching_verification_at_whatever_stage(stage: str) -> None:
    world, lease = at_stage(stage)
    error = world.err("complete_creation", lease, sender=OPERATOR)
    assert error["kind"] == Case("VerifyFailed")
    assert "verify_creation" in error["message"]
    assert world.stage() == stage


def test_there_is_nothing_to_complete_without_a_canister() -> None:
    world, lease = at_stage("Exporting")
    assert world.err("complete_creation", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")


def test_an_admin_does_not_clear_a_completed_creation_so_that_one_capsule_takes_writes() -> None:
    world = World()
    canister = world.completed()
    refused = world.err("clear_creation_state", OWNER, sender=ADMIN)
    assert refused["kind"] == Case("InvalidRequest")
    assert "owner undo" in refused["message"]
    assert world.call("get_personal_canister_id", OWNER, sender=STRANGER) == canister
    assert world.add_memory(1) == Case("Err", Case("Moved", {"personal_canister": canister}))


# --- releases --------------------------------------------------------------------------------------------------------


def test_releases_are_listed_for_everyone_newest_first() -> None:
    world = World()
    for byte in (1, 2):
        world.advance(1)
        release = {"module_hash": bytes([byte]) * 32, "api_version": f"1.{byte}.0", "note": "ready"}
        world.ok("register_release", release, sender=ADMIN)
    listed = world.call("list_releases", sender=STRANGER)
    assert [release["api_version"] for release in listed] == ["1.2.0", "1.1.0"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"module_hash": bytes(31)}, "module_hash"),
        ({"api_version": "1.0"}, "api_version"),
        ({"api_version": "one.two.three"}, "api_version"),
        ({"note": "x" * 501}, "note"),
    ],
)
def test_a_release_must_be_well_formed(changes: dict[str, Any], named: str) -> None:
    world = World()
    release = {"module_hash": bytes(32), "api_version": "1.0.0", "note": "", **changes}
    error = world.err("register_release", release, sender=ADMIN)
    assert error["kind"] == Case("InvalidRequest")
    assert named in error["message"]
    assert world.call("list_releases", sender=STRANGER) == []
