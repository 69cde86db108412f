"""One worker at a time: leases, their numbers, the owner's write lock, and what an operator may read."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OTHER_OPERATOR, OWNER, SECOND_NS, World, failure, person
from support.personal_world import new_memory, sha256


@pytest.fixture
def world() -> World:
    world = World()
    world.request()
    return world


CHUNKS = [b"a" * 1000, b"b" * 1000]


def begin_upload(world: World) -> int:
    """An upload of two chunks by the owner."""
    request = {"memory": new_memory(), "total_size": 2000, "chunk_size": 1000}
    upload_id: int = world.ok("begin_memory_upload", request, sender=OWNER)["upload_id"]
    return upload_id


def put_chunk(world: World, upload_id: int, index: int) -> None:
    world.ok("put_memory_upload_chunk", upload_id, index, CHUNKS[index], sha256(CHUNKS[index]), sender=OWNER)


def claim(world: World, worker: str, sender: Any = OPERATOR, **rest: Any) -> Case:
    answer: Case = world.call("claim_creation", {"owner": OWNER, "worker": worker, **rest}, sender=sender)
    return answer


def test_a_lease_lasts_a_minute_unless_the_worker_says_otherwise(world: World) -> None:
    assert claim(world, "a").value["expires_at"] == world.now_ns + 60 * SECOND_NS
    assert claim(world, "a", duration_ns=600 * SECOND_NS).value["expires_at"] == world.now_ns + 600 * SECOND_NS


@pytest.mark.parametrize("duration", [0, 600 * SECOND_NS + 1])
def test_a_lease_of_no_time_or_of_more_than_ten_minutes_is_refused(world: World, duration: int) -> None:
    assert claim(world, "a", duration_ns=duration).value["kind"] == Case("InvalidRequest")


@pytest.mark.parametrize("worker", ["", "x" * 101])
def test_a_worker_must_have_a_name(world: World, worker: str) -> None:
    assert claim(world, worker).value["kind"] == Case("InvalidRequest")


def test_another_worker_waits_until_the_lease_has_expired(world: World) -> None:
    claim(world, "a")
    for refused in (claim(world, "b"), claim(world, "a", sender=OTHER_OPERATOR)):
        assert (refused.tag, refused.value["kind"], refused.value["retry_helps"]) == ("Err", Case("Busy"), True)
    world.advance(59.9)
    assert claim(world, "b").tag == "Err"
    world.advance(0.1)
    assert claim(world, "b").tag == "Ok"


def test_the_same_worker_claims_again_at_once_after_a_crash_and_its_old_lease_is_void(world: World) -> None:
    old = claim(world, "a").value["lease"]
    new = claim(world, "a").value["lease"]
    assert new > old
    error = world.err("begin_export", {"owner": OWNER, "lease": old}, False, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
    world.ok("begin_export", {"owner": OWNER, "lease": new}, False, sender=OPERATOR)


def test_the_number_alone_is_no_lease(world: World) -> None:
    lease = world.claim()
    assert world.err("begin_export", lease, False, sender=OTHER_OPERATOR)["kind"] == Case("Busy")


def test_every_operator_method_is_fenced(world: World) -> None:
    lease = world.claim()
    world.advance(60)
    progress = {"stage": Case("Importing"), "bytes_done": 0, "bytes_total": 0, "items_done": 0, "items_total": 0}
    methods: dict[str, tuple[Any, ...]] = {
        "renew_lease": (),
        "release_lease": (),
        "report_progress": (progress, ""),
        "begin_export": (True,),
        "list_export_entries": (None, None),
        "get_export_items": ([],),
        "get_export_memory_manifests": ([],),
        "read_export_chunk": ("m", 0),
        "provision_canister": (),
        "verify_creation": (),
        "complete_creation": (),
        "fail_creation": (failure(),),
    }
    for method, args in methods.items():
        error = world.err(method, lease, *args, sender=OPERATOR)
        assert error["kind"] == Case("Busy"), method
        assert "expired" in error["message"], method


def test_renewing_gives_the_claimed_duration_again(world: World) -> None:
    lease = {"owner": OWNER, "lease": claim(world, "a", duration_ns=10 * SECOND_NS).value["lease"]}
    world.advance(9)
    assert world.ok("renew_lease", lease, sender=OPERATOR) == world.now_ns + 10 * SECOND_NS
    world.advance(9)
    assert claim(world, "b").tag == "Err"


def test_a_released_lease_lets_others_in_at_once(world: World) -> None:
    lease = world.claim(worker="a")
    world.ok("release_lease", lease, sender=OPERATOR)
    assert claim(world, "b").tag == "Ok"
    assert world.err("renew_lease", lease, sender=OPERATOR)["kind"] == Case("Busy")


def test_only_open_requests_can_be_claimed(world: World) -> None:
    world.ok("fail_creation", world.claim(), failure(), sender=OPERATOR)
    refused = claim(world, "a")
    assert (refused.tag, refused.value["kind"]) == ("Err", Case("InvalidRequest"))
    nobody = world.err("claim_creation", {"owner": person("nobody"), "worker": "a"}, sender=OPERATOR)
    assert nobody["kind"] == Case("InvalidRequest")


# --- the write lock --------------------------------------------------------------------------------------------------


def test_with_the_lock_the_owner_reads_but_does_not_write_until_the_lease_ends(world: World) -> None:
    capsule_id = world.capsule()
    assert world.add_memory(10).tag == "Ok"
    lease = world.claim()
    world.ok("begin_export", lease, False, sender=OPERATOR)
    assert world.add_memory(10).tag == "Ok"
    world.ok("begin_export", lease, True, sender=OPERATOR)
    until = world.now_ns + 60 * SECOND_NS
    assert world.status()["locked_until"] == until
    refused = world.add_memory(10).value
    assert (refused.tag, refused.value["until"]) == ("Locked", until)
    assert world.ok("get_capsule", capsule_id, sender=OWNER)["memory_count"] == 2
    world.advance(30)
    world.ok("renew_lease", lease, sender=OPERATOR)
    world.advance(59)
    assert world.add_memory(10).tag == "Err"
    world.advance(1)
    assert world.status()["locked_until"] is None
    assert world.add_memory(10).tag == "Ok"


@pytest.mark.parametrize("end", ["release_lease", "fail_creation"])
def test_the_end_of_the_lease_is_the_end_of_the_lock(world: World, end: str) -> None:
    lease = world.claim()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.ok(end, lease, *([failure()] if end == "fail_creation" else []), sender=OPERATOR)
    assert world.add_memory(10).tag == "Ok"


def test_the_lock_is_one_capsules(world: World) -> None:
    other = person("somebody-else")
    world.capsule(other)
    world.ok("begin_export", world.claim(), True, sender=OPERATOR)
    assert world.add_memory(10, owner=other).tag == "Ok"


def test_an_upload_that_was_begun_before_takes_no_chunk_under_the_lock_and_goes_on_after_it(world: World) -> None:
    upload_id = begin_upload(world)
    put_chunk(world, upload_id, 0)
    lease = world.claim()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    refused = world.call("put_memory_upload_chunk", upload_id, 1, CHUNKS[1], sha256(CHUNKS[1]), sender=OWNER)
    assert refused.value.tag == "Locked"
    assert refused.value == world.call("commit_memory_upload", upload_id, sender=OWNER).value
    assert world.ok("get_memory_upload", upload_id, sender=OWNER)["missing_chunks"] == [1]
    world.ok("release_lease", lease, sender=OPERATOR)
    put_chunk(world, upload_id, 1)
    world.ok("commit_memory_upload", upload_id, sender=OWNER)


def test_an_upload_can_be_aborted_under_the_lock(world: World) -> None:
    upload_id = begin_upload(world)
    world.ok("begin_export", world.claim(), True, sender=OPERATOR)
    world.ok("abort_memory_upload", upload_id, sender=OWNER)
    assert world.call("get_memory_upload", upload_id, sender=OWNER).value.tag == "NotFound"


# --- the export ------------------------------------------------------------------------------------------------------


def test_an_operator_reads_the_capsule_while_its_lease_lasts(world: World) -> None:
    memory_id = world.add_memory(10).value
    lease = world.claim()
    manifest = world.ok("begin_export", lease, False, sender=OPERATOR)
    assert (manifest["memories"], manifest["content_size"], manifest["origin"]) == (1, 10, world.backend)
    entries = world.ok("list_export_entries", lease, None, None, sender=OPERATOR)
    refs = [{"kind": entry["kind"], "id": entry["id"]} for entry in entries["entries"]]
    assert [ref["kind"].tag for ref in refs] == ["Capsule", "Memory"]
    items = world.ok("get_export_items", lease, refs, sender=OPERATOR)
    assert [item.tag for item in items] == ["Capsule", "Memory"]
    [content] = world.ok("get_export_memory_manifests", lease, [memory_id], sender=OPERATOR)
    assert content["total_size"] == 10
    assert world.ok("read_export_chunk", lease, memory_id, 0, sender=OPERATOR) == bytes(10)
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    error = world.err("read_export_chunk", lease, memory_id, 0, sender=OPERATOR)
    assert error["kind"] == Case("InvalidRequest")


def test_a_lease_of_one_capsule_reads_no_other(world: World) -> None:
    other = person("somebody-else")
    world.capsule(other)
    memory_id = world.add_memory(10, owner=other).value
    error = world.err("read_export_chunk", world.claim(), memory_id, 0, sender=OPERATOR)
    assert error["kind"] == Case("ImportFailed")
    assert memory_id in error["message"]
