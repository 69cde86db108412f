"""The copy that a completed creation leaves on the backend: what its owner's canister may do about it, and an upgrade
in the middle of an erasing. The target is the real one.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, CONTROLLER, OWNER, STRANGER, World, another_build, encode_args, interface
from support.personal_world import gallery_entries, inline, new_memory, sha256

DAY = 86_400
DAY_NS = DAY * 10**9


def rounds(world: World, count: int = 4) -> None:
    for _ in range(count):
        world.advance(2)
        world.run()


def erasure(world: World) -> dict[str, object]:
    found: dict[str, object] = world.status()["erasure"]
    return found


def full(world: World) -> list[str]:
    """More things than one message erases: memories, galleries with many entries, people, an upload in progress."""
    capsule_id = world.capsule()
    memories = [world.ok("add_memory_to_capsule", inline(b"x" * n), new_memory(), sender=OWNER) for n in range(1, 20)]
    for number in range(6):
        entries = gallery_entries(*memories * 40)
        gallery = {"title": f"gallery {number}", "is_public": True, "memory_entries": entries}
        world.ok("store_gallery_forever", gallery, sender=OWNER)
    friend = Case("Principal", STRANGER)
    world.ok("add_connection", friend, sender=OWNER)
    world.ok("create_connection_group", {"name": "all", "members": [friend]}, sender=OWNER)
    world.ok("add_executor", capsule_id, STRANGER, sender=OWNER)
    world.ok("record_capsule_event", capsule_id, Case("Wedding"), sender=OWNER)
    return memories


def begin_upload(world: World) -> None:
    upload = {"memory": new_memory(), "total_size": 4, "chunk_size": 2}
    upload_id = world.ok("begin_memory_upload", upload, sender=OWNER)["upload_id"]
    world.ok("put_memory_upload_chunk", upload_id, 0, b"xx", sha256(b"xx"), sender=OWNER)


def audit(world: World) -> dict[str, int]:
    found: dict[str, int] = world.ok("audit_contents", sender=CONTROLLER)
    assert found["consistent"]
    assert found["manifests_consistent"]
    return found


@pytest.mark.parametrize("upgrades", [False, True])
def test_erasing_takes_bounded_messages_and_goes_on_after_an_upgrade_in_the_middle_of_it(upgrades: bool) -> None:
    world = World()
    before = world.ok("get_my_quota", sender=OWNER)["used"]
    full(world)
    begin_upload(world)
    world.completed()
    world.ok("request_erasure", DAY_NS, sender=OWNER)
    if upgrades:
        world.upgrade_backend()
    world.advance(DAY)
    stages, most = [], 0
    for _ in range(20):
        executed = world.subnet.state.instructions
        rounds(world, 1)
        most = max(most, world.subnet.state.instructions - executed)
        stages.append(erasure(world)["stage"])
        audit(world)
        if stages[-1] == Case("Erased"):
            break
        if upgrades:
            world.upgrade_backend()
    assert stages.count(Case("Erasing")) >= 2, "it takes several messages"
    assert stages[-1] == Case("Erased")
    used = world.ok("get_my_quota", sender=OWNER)["used"]
    assert used == before | {"capsules": 1, "record_bytes": 1_000}
    assert audit(world)["chunks"] == 0
    assert most < 2_000_000_000
    receipt = world.ok("get_erasure_receipt", sender=OWNER)
    assert receipt["receipt"]["memories"] == 19
    world.upgrade_backend()
    assert world.ok("get_erasure_receipt", sender=OWNER) == receipt
    assert world.backend_state.certified_data != b""


def test_only_an_approved_release_that_its_owner_controls_is_asked() -> None:
    world = World()
    canister = world.completed()
    close = {"on": canister, "kind": "personal", "sender": OWNER}
    world.ok("close_for_undo", **close)
    world.manage("update_settings", {"canister_id": canister, "settings": {"controllers": [STRANGER]}}, sender=OWNER)
    for method in ("undo_personal_canister", "request_erasure"):
        refused = world.err(method, None, sender=OWNER)
        assert (refused["kind"], refused["retry_helps"]) == (Case("HandoffFailed"), True)
    world.manage("update_settings", {"canister_id": canister, "settings": {"controllers": [OWNER]}}, sender=STRANGER)
    arg = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    world.install(canister, another_build("personal"), arg, OWNER, mode=Case("reinstall"))
    for method in ("undo_personal_canister", "request_erasure"):
        refused = world.err(method, None, sender=OWNER)
        assert refused["kind"] == Case("VerifyFailed")
        assert "Only an approved release is asked" in refused["message"]
    assert world.stage() == "Completed"


def test_a_canister_without_a_module_holds_nothing_and_the_copy_is_taken_back() -> None:
    world = World()
    canister = world.completed()
    world.manage("uninstall_code", {"canister_id": canister}, sender=OWNER)
    assert "deleted" in world.err("request_erasure", None, sender=OWNER)["message"]
    assert world.ok("get_registry_entry", canister, sender=ADMIN)["found_deleted_at"] == world.now_ns
    assert world.ok("undo_personal_canister", None, sender=OWNER)["status"] == Case("Undone")
    assert world.add_memory(1).tag == "Ok"


def test_only_the_owner_closes_the_canister_and_then_nothing_is_written_there_for_ten_minutes() -> None:
    world = World()
    canister = world.completed()
    there = {"on": canister, "kind": "personal"}
    for other in (STRANGER, ADMIN):
        assert world.err("close_for_undo", sender=other, **there).tag == "Unauthorized"
    until = world.ok("close_for_undo", sender=OWNER, **there)
    assert until == world.now_ns + 600 * 10**9
    locked = world.err("add_memory_to_capsule", inline(b"x"), new_memory(), sender=OWNER, **there)
    assert (locked.tag, locked.value["until"]) == ("Locked", until)
    world.advance(601)
    world.ok("add_memory_to_capsule", inline(b"x"), new_memory(), sender=OWNER, **there)


def test_an_owner_who_undoes_gets_three_canisters_and_then_an_admin_has_to_look() -> None:
    world = World()
    kept: list[Principal] = []
    for _ in range(3):
        canister = world.completed()
        assert canister not in kept
        kept.append(canister)
        world.ok("close_for_undo", on=canister, kind="personal", sender=OWNER)
        assert world.ok("undo_personal_canister", None, sender=OWNER)["status"] == Case("Undone")
        assert world.reserve()["in_flight"] == 0
    refused = world.err("create_personal_canister", None, sender=OWNER)
    assert (refused["kind"], refused["retry_helps"]) == (Case("NotAdmitted"), False)
    world.ok("clear_creation_state", OWNER, sender=ADMIN)
    assert world.completed() not in kept
    assert [world.ok("get_registry_entry", each, sender=ADMIN)["status"] for each in kept] == [Case("Undone")] * 3


def test_an_undone_creation_takes_another_approval() -> None:
    world = World()
    world.ok("set_admission", Case("Approval"), sender=ADMIN)
    world.request()
    world.ok("approve_creation", OWNER, sender=ADMIN)
    canister = world.completed()
    world.ok("close_for_undo", on=canister, kind="personal", sender=OWNER)
    world.ok("undo_personal_canister", None, sender=OWNER)
    world.request()
    assert (world.stage(), world.status()["canister_id"]) == ("NotStarted", None)
    assert world.ok("list_open_requests", {}, sender=ADMIN)["items"] == []


def test_a_request_after_an_undone_creation_says_nothing_of_the_canister_that_its_owner_kept() -> None:
    world = World()
    canister = world.completed()
    world.ok("close_for_undo", on=canister, kind="personal", sender=OWNER)
    assert world.ok("undo_personal_canister", None, sender=OWNER)["paid_until"] is not None
    world.request()
    found = world.status()
    assert (found["canister_id"], found["paid_until"], found["completed_at"]) == (None, None, None)
    assert found["cycles_consumed"] == 0


def test_the_second_creation_of_an_owner_says_what_its_own_canister_cost() -> None:
    world = World()
    kept = world.completed()
    cost = world.status()["cycles_consumed"]
    world.ok("close_for_undo", on=kept, kind="personal", sender=OWNER)
    world.ok("undo_personal_canister", None, sender=OWNER)
    assert world.status()["cycles_consumed"] == cost
    second = world.completed()
    costs = [world.ok("get_registry_entry", each, sender=ADMIN)["cycles_consumed"] for each in (kept, second)]
    assert costs[0] == cost > 0
    assert world.status()["cycles_consumed"] == costs[1] > 0
    assert world.reserve()["total_consumed"] == sum(costs)
