"""What a verification compares, under which lock, and what it leaves. The target is the real one."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import (
    OPERATOR,
    OWNER,
    SECOND_NS,
    World,
)
from support.creation_stages import GRACE_S, PERMIT_S, STAGES, at_stage
from support.personal_world import new_memory, sha256


def test_a_faithful_copy_is_verified() -> None:
    world = World()
    world.approve()
    world.capsule()
    world.add_memory(5_000)
    lease, canister = world.copied()
    source = world.ok("begin_export", lease, True, sender=OPERATOR)
    world.finalize(canister)
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert (report["matches"], report["differences"]) == (True, [])
    assert report["target"]["origin"] == canister
    assert report["source"]["manifest_hash"] == report["target"]["manifest_hash"] == source["manifest_hash"]
    status = world.status()
    assert (status["status"], status["verified"]) == (Case("Verifying"), True)


def test_a_memory_that_is_missing_on_the_target_is_a_difference() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.add_memory(7)
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.finalize(canister)
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert report["matches"] is False
    assert "memories: source 1, target 0" in report["differences"]
    assert "content_size: source 7, target 0" in report["differences"]
    assert any(line.startswith("manifest_hash: ") for line in report["differences"])
    assert world.status()["verified"] is False
    assert world.err("complete_creation", lease, sender=OPERATOR)["kind"] == Case("VerifyFailed")


def test_what_the_target_holds_beside_the_capsule_and_an_import_that_is_not_final_are_differences() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    session = world.ok("begin_import", sender=OPERATOR, on=canister, kind="personal")["id"]
    chunk = (session, "mem-planted", 0, b"bytes", sha256(b"bytes"))
    world.ok("put_memory_chunk", *chunk, sender=OPERATOR, on=canister, kind="personal")
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert (report["matches"], report["differences"]) == (
        False,
        [
            "imported: the target's import is not final",
            "beside: the target has more than the capsule: 1 memories that aren't committed",
            "beside: the target has more than the capsule: 5 bytes of uncommitted chunks",
        ],
    )
    refs = [{"kind": Case("Memory"), "id": "mem-planted"}]
    world.ok("remove_items", session, refs, sender=OPERATOR, on=canister, kind="personal")
    world.finalize(canister)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["differences"] == []


def test_a_delta_makes_the_copy_faithful_again() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    memory_id = world.add_memory(7).value
    world.ok("begin_export", lease, True, sender=OPERATOR)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is False
    world.copy(lease, canister)
    world.finalize(canister)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True
    read = world.ok("get_memory_from_capsule", memory_id, sender=OWNER, on=canister, kind="personal")
    assert read["data"]["data"] == bytes(7)


def test_verification_takes_the_write_lock_itself() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.finalize(canister)
    assert world.status()["locked_until"] is None
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert (report["matches"], report["handoff_until"]) == (True, world.now_ns + PERMIT_S * SECOND_NS)
    assert world.add_memory(1).value.tag == "Locked"
    assert world.status()["locked_until"] == world.now_ns + (PERMIT_S + GRACE_S) * SECOND_NS


def test_the_write_lock_is_there_while_the_target_is_asked() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.finalize(canister)
    data = {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": None}, "data": b"x"}
    verifying = world.start("verify_creation", lease, sender=OPERATOR)
    writing = world.start("add_memory_to_capsule", data, new_memory(), sender=OWNER)
    world.run()
    assert world.finish("add_memory_to_capsule", writing).value.tag == "Locked"
    assert world.finish("verify_creation", verifying).value["matches"] is True


def differing(locked: bool) -> tuple[World, dict[str, Any]]:
    """A copy that lacks a memory, with or without the write lock, and its lease."""
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.add_memory(7)
    world.ok("begin_export", lease, locked, sender=OPERATOR)
    world.finalize(canister)
    return world, lease


def test_a_difference_gives_back_the_lock_that_the_verification_took() -> None:
    world, lease = differing(locked=False)
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert (report["matches"], report["handoff_until"]) == (False, None)
    assert world.status()["locked_until"] is None
    assert world.add_memory(1).tag == "Ok"


def test_a_difference_leaves_the_lock_that_was_there_before() -> None:
    world, lease = differing(locked=True)
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert (report["matches"], report["handoff_until"]) == (False, None)
    assert world.add_memory(1).value.tag == "Locked"


def test_verification_needs_a_canister() -> None:
    world, lease = at_stage("Exporting")
    assert world.err("verify_creation", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")
    assert world.stage() == "Exporting"
    assert world.add_memory(1).tag == "Ok"


@pytest.mark.parametrize("stage", STAGES[1:])
def test_verification_needs_no_stage_but_code_on_the_target_and_an_error_gives_the_lock_back(stage: str) -> None:
    world, lease = at_stage(stage)
    error = world.err("verify_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["canister_id"]) == (Case("VerifyFailed"), world.status()["canister_id"])
    assert "no module" in error["message"]
    assert (world.stage(), world.status()["verified"]) == ("Verifying", False)
    assert world.add_memory(1).tag == "Ok"


def test_a_target_without_code_is_not_verified() -> None:
    world, lease = at_stage("Importing")
    world.ok("begin_export", lease, True, sender=OPERATOR)
    error = world.err("verify_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["canister_id"]) == (Case("VerifyFailed"), world.status()["canister_id"])
    assert "no module" in error["message"]
    assert world.add_memory(1).value.tag == "Locked", "the lock was there before the verification"


def test_a_target_that_gives_no_manifest_is_not_verified() -> None:
    world = World()
    lease, canister = world.copied()
    world.approve()
    world.manage("stop_canister", {"canister_id": canister}, sender=OPERATOR)
    error = world.err("verify_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("VerifyFailed"), True)
    assert "no manifest" in error["message"]
    assert world.add_memory(1).tag == "Ok"


def test_an_answer_that_comes_after_the_lease_was_lost_verifies_nothing() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.finalize(canister)
    verifying = world.start("verify_creation", lease, sender=OPERATOR)
    claiming = world.start("claim_creation", {"owner": OWNER, "worker": "worker-1"}, sender=OPERATOR)
    world.run()
    assert world.finish("claim_creation", claiming).tag == "Ok"
    assert world.finish("verify_creation", verifying).value["kind"] == Case("Busy")
    assert world.status()["verified"] is False
