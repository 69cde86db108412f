"""The quotas of the backend: what is refused and how, who is charged, what sessions hold; nothing is half-stored."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ADMIN, ANONYMOUS, OPERATOR, OWNER, STRANGER, RejectedError, World, person
from support.personal_world import by_principal, gallery_entries, inline, new_memory, sha256
from support.quota_sums import NOBODY, capsule, used, used_by_all

FRIEND = person("friend")


@pytest.fixture
def world() -> World:
    world = World()
    world.capsule()
    return world


def gallery(*memory_ids: str, **changes: Any) -> dict[str, Any]:
    return {"title": "t", "is_public": False, "memory_entries": gallery_entries(*memory_ids)} | changes


def upload(size: int, chunk_size: int = 1_000, **changes: Any) -> dict[str, Any]:
    return {"memory": new_memory(**changes), "total_size": size, "chunk_size": chunk_size}


def exceeded(world: World, method: str, *args: Any, sender: Any = OWNER) -> tuple[str, int, int]:
    """The limit that a call would pass; neither it nor anything else was changed."""
    before = used_by_all(world), used(world, OWNER), world.ok("get_capsule", world.capsule(), sender=OWNER)
    problem = world.err(method, *args, sender=sender)
    assert problem.tag == "LimitExceeded", problem
    assert (used_by_all(world), used(world, OWNER), world.ok("get_capsule", world.capsule(), sender=OWNER)) == before
    return problem.value["what"], problem.value["limit"], problem.value["actual"]


def add(world: World, size: int, sender: Any = OWNER, **changes: Any) -> str:
    memory_id: str = world.ok("add_memory_to_capsule", inline(bytes(size)), new_memory(**changes), sender=sender)
    return memory_id


# --- each limit ------------------------------------------------------------------------------------------------------


def test_contents_are_limited_to_the_byte_with_what_they_take_in_chunks_of_sixteen(world: World) -> None:
    world.limit(person={"content_bytes": 160})
    memory_id = add(world, 130)  # takes 144
    what = exceeded(world, "add_memory_to_capsule", inline(bytes(17)), new_memory())
    assert what == ("bytes of contents of a principal", 160, 176)
    bigger = {"data": inline(bytes(161))}
    assert exceeded(world, "update_memory_in_capsule", memory_id, bigger) == (what[0], 160, 176)
    assert exceeded(world, "begin_memory_upload", upload(20, 10)) == (what[0], 160, 176)
    add(world, 16)
    world.ok("delete_memory_from_capsule", memory_id, sender=OWNER)
    add(world, 144)


def test_what_is_refused_costs_neither_hashing_nor_storing(world: World) -> None:
    world.limit(person={"content_bytes": 10**6})
    before = world.subnet.state.instructions
    data = inline(bytes(1_900_000)) | {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": bytes(32)}}
    assert world.err("add_memory_to_capsule", data, new_memory(), sender=OWNER).tag == "LimitExceeded"
    assert world.subnet.state.instructions - before < 5 * 10**6 + 2 * 1_900_000  # reading the message is one a byte


def test_memories_and_galleries_are_limited_in_number(world: World) -> None:
    world.limit(person={"memories": 2, "galleries": 1})
    memory_id = add(world, 1)
    session = world.ok("begin_memory_upload", upload(1), sender=OWNER)
    assert exceeded(world, "add_memory_to_capsule", inline(b""), new_memory()) == ("memories of a principal", 2, 3)
    assert exceeded(world, "begin_memory_upload", upload(0)) == ("memories of a principal", 2, 3)
    world.ok("abort_memory_upload", session["upload_id"], sender=OWNER)
    add(world, 1)
    gallery_id = world.ok("store_gallery_forever", gallery(memory_id), sender=OWNER)["id"]
    assert exceeded(world, "store_gallery_forever", gallery()) == ("galleries of a principal", 1, 2)
    world.ok("update_gallery", gallery_id, {"title": "the same one"}, sender=OWNER)
    world.ok("delete_gallery", gallery_id, sender=OWNER)
    world.ok("store_gallery_forever", gallery(), sender=OWNER)


def test_records_are_limited_whatever_they_are_of(world: World) -> None:
    memory_id = add(world, 1)
    gallery_id = world.ok("store_gallery_forever", gallery(memory_id), sender=OWNER)["id"]
    group = {"name": "g", "members": []}
    group_id = world.ok("create_connection_group", group, sender=OWNER)
    world.limit(person={"record_bytes": used(world, OWNER)["record_bytes"]})
    long = "x" * 255
    limit = used(world, OWNER)["record_bytes"]
    for method, args in {
        "add_memory_to_capsule": (inline(None), new_memory()),
        "begin_memory_upload": (upload(1),),
        "update_memory_in_capsule": (memory_id, {"info": {"name": long}}),
        "store_gallery_forever": (gallery(),),
        "update_gallery": (gallery_id, {"title": long}),
        "add_connection": (by_principal(FRIEND),),
        "create_connection_group": (group,),
        "update_connection_group": (group_id, {"name": long}),
        "record_capsule_event": (world.capsule(), Case("Wedding")),
        "create_capsule": (by_principal(FRIEND),),
        "register": (),
        "register_with_nonce": ("n",),
        "mark_bound": (),
    }.items():
        what, stated, actual = exceeded(world, method, *args)
        assert (what, stated) == ("bytes of records of a principal", limit), method
        assert actual > limit
    world.ok("update_memory_in_capsule", memory_id, {"info": {"name": "short"}}, sender=OWNER)
    assert world.err("verify_nonce", "n", sender=OWNER).tag == "NotFound"


@pytest.mark.parametrize("method", ["register", "register_with_nonce", "mark_bound"])
def test_who_can_be_no_user_is_not_told_what_all_use(world: World, method: str) -> None:
    world.limit(total={"record_bytes": used_by_all(world)["record_bytes"]})
    args = ["n"] if method == "register_with_nonce" else []
    assert world.err(method, *args, sender=STRANGER).tag == "LimitExceeded"
    assert world.err(method, *args, sender=ANONYMOUS).tag == "Unauthorized"


def test_a_record_that_is_too_large_ends_an_upload_before_it_begins(world: World) -> None:
    access = Case("Custom", {"individuals": [Case("Opaque", "ž" * 255)] * 985, "groups": []})
    what, limit, actual = exceeded(world, "begin_memory_upload", upload(1, access=access))
    assert (what, limit) == ("bytes of a memory's record", 500_000)
    assert actual > limit


def test_capsules_sessions_and_nonces_are_limited_for_each_principal(world: World) -> None:
    world.limit(person={"capsules": 2, "uploads": 1, "nonces": 1})
    world.ok("create_capsule", by_principal(FRIEND), sender=OWNER)
    assert exceeded(world, "create_capsule", Case("Opaque", "x")) == ("capsules of a principal", 2, 3)
    world.ok("begin_memory_upload", upload(1), sender=OWNER)
    assert exceeded(world, "begin_memory_upload", upload(1)) == ("uploads in progress of a caller", 1, 2)
    for _ in range(2):  # the same nonce again is the same nonce
        world.ok("prove_nonce", "first", sender=OWNER)
    assert exceeded(world, "prove_nonce", "second") == ("valid nonces of a caller", 1, 2)
    world.advance(601)
    world.ok("prove_nonce", "second", sender=OWNER)
    assert used(world, OWNER)["nonces"] == 1


def test_expired_nonces_of_others_do_not_keep_a_caller_from_proving_new_ones(world: World) -> None:
    """One proof forgets a part of all that have expired, but the caller's own ones in any case."""
    for number in range(300):
        world.ok("prove_nonce", f"nonce {number}", sender=person(f"caller-{number}"))
    for number in range(10):
        world.ok("prove_nonce", f"own {number}", sender=OWNER)
    world.advance(601)
    for number in range(10):
        world.ok("prove_nonce", f"new {number}", sender=OWNER)
    assert used(world, OWNER)["nonces"] == 10


@pytest.mark.parametrize(
    ("name", "method", "args"),
    [
        ("content_bytes", "add_memory_to_capsule", (inline(bytes(1)), new_memory())),
        ("record_bytes", "register", ()),
        ("memories", "add_memory_to_capsule", (inline(None), new_memory())),
        ("galleries", "store_gallery_forever", (gallery(),)),
        ("capsules", "create_capsule", (by_principal(FRIEND),)),
        ("uploads", "begin_memory_upload", (upload(0),)),
        ("nonces", "prove_nonce", ("n",)),
    ],
)
def test_what_all_use_together_is_limited_too(world: World, name: str, method: str, args: tuple[Any, ...]) -> None:
    world.limit(total={name: used_by_all(world)[name]})
    what, limit, actual = exceeded(world, method, *args)
    assert what.endswith(" of all")
    assert limit == used_by_all(world)[name] < actual
    world.limit(total={name: 10**9})
    world.ok(method, *args, sender=OWNER)


# --- who is charged --------------------------------------------------------------------------------------------------


def test_whoever_makes_a_capsule_is_charged_for_it_not_its_subject(world: World) -> None:
    made = world.ok("create_capsule", by_principal(FRIEND), sender=STRANGER)
    memory = new_memory(capsule_id=made["id"])
    world.ok("add_memory_to_capsule", inline(bytes(50)), memory, sender=STRANGER)
    assert used(world, FRIEND) == NOBODY
    assert used(world, STRANGER)["content_bytes"] == 64
    assert used(world, OWNER) == dict(NOBODY, capsules=1, record_bytes=1_000)


def test_everyone_sees_their_own_use_and_staff_that_of_others(world: World) -> None:
    add(world, 100)
    seen = world.ok("get_my_quota", sender=OWNER)
    quotas = world.ok("get_quotas", sender=OPERATOR)
    assert seen["limits"] == quotas["quotas"]["person"]
    assert (seen["used"]["memories"], quotas["people"]) == (1, 1)
    assert world.ok("get_user_quota", OWNER, sender=OPERATOR) == seen
    assert world.ok("get_my_quota", sender=STRANGER)["used"] == NOBODY
    assert 0 < quotas["heap_bytes_used"] < quotas["quotas"]["heap_bytes"]


# --- sessions hold what they will take -------------------------------------------------------------------------------


def test_an_upload_holds_room_for_all_of_it_until_it_ends(world: World) -> None:
    world.limit(person={"content_bytes": 10_000})
    before = used(world, OWNER)
    session = world.ok("begin_memory_upload", upload(9_000), sender=OWNER)["upload_id"]
    held = used(world, OWNER)
    assert (held["content_bytes"], held["memories"], held["uploads"]) == (9_000 // 1_000 * 1_008, 1, 1)
    assert exceeded(world, "begin_memory_upload", upload(1_000))[0] == "bytes of contents of a principal"
    for index in range(9):
        world.ok("put_memory_upload_chunk", session, index, bytes(1_000), sha256(bytes(1_000)), sender=OWNER)
    assert used(world, OWNER) == held
    world.ok("commit_memory_upload", session, sender=OWNER)
    assert used(world, OWNER) == held | {"uploads": 0}
    [stored] = world.ok("list_capsule_memories", None, {}, sender=OWNER)["items"]
    assert used(world, OWNER) == dict(capsule(world, world.capsule(), OWNER), uploads=0, nonces=0)
    world.ok("delete_memory_from_capsule", stored["memory"]["id"], sender=OWNER)
    assert used(world, OWNER) == before


@pytest.mark.parametrize("ending", ["abort", "expiry"])
def test_an_upload_that_is_given_up_gives_all_back(world: World, ending: str) -> None:
    world.limit(person={"content_bytes": 10_000})
    before = used(world, OWNER)
    session = world.ok("begin_memory_upload", upload(9_000), sender=OWNER)["upload_id"]
    world.ok("put_memory_upload_chunk", session, 3, bytes(1_000), sha256(bytes(1_000)), sender=OWNER)
    if ending == "abort":
        world.ok("abort_memory_upload", session, sender=OWNER)
        assert used(world, OWNER) == before
    else:
        world.advance(3_601)
    add(world, 9_000)


def test_what_was_allowed_to_begin_ends_though_less_is_allowed_by_then(world: World) -> None:
    session = world.ok("begin_memory_upload", upload(2_000), sender=OWNER)["upload_id"]
    world.ok("put_memory_upload_chunk", session, 0, bytes(1_000), sha256(bytes(1_000)), sender=OWNER)
    world.limit(person={"content_bytes": 0, "record_bytes": 0, "memories": 0, "uploads": 0}, total={"content_bytes": 0})
    world.ok("put_memory_upload_chunk", session, 1, bytes(1_000), sha256(bytes(1_000)), sender=OWNER)
    memory_id = world.ok("commit_memory_upload", session, sender=OWNER)
    assert world.ok("read_memory_chunk", memory_id, 1, sender=OWNER) == bytes(1_000)
    assert exceeded(world, "begin_memory_upload", upload(0))[1] == 0
    world.ok("delete_memory_from_capsule", memory_id, sender=OWNER)


def test_committed_sessions_are_remembered_a_hundred_for_each_caller(world: World) -> None:
    sessions = []
    for _ in range(102):
        sessions.append(world.ok("begin_memory_upload", upload(0), sender=OWNER)["upload_id"])
        world.ok("commit_memory_upload", sessions[-1], sender=OWNER)
    other = world.ok("begin_memory_upload", upload(0), sender=OWNER)["upload_id"]
    assert [world.call("commit_memory_upload", each, sender=OWNER).tag for each in sessions[:3]] == ["Err", "Err", "Ok"]
    assert world.call("commit_memory_upload", sessions[-1], sender=OWNER).tag == "Ok"
    assert world.call("commit_memory_upload", other, sender=OWNER).tag == "Ok"


# --- what admins set -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whose", "name", "most"),
    [
        ("person", "content_bytes", 60 * 10**9),
        ("person", "record_bytes", 500 * 10**6),
        ("person", "memories", 200_000),
        ("person", "galleries", 20_000),
        ("total", "content_bytes", 60 * 10**9),
    ],
)
def test_a_quota_that_no_canister_could_hold_is_refused(world: World, whose: Any, name: str, most: int) -> None:
    quotas = world.ok("get_quotas", sender=ADMIN)["quotas"]
    quotas[whose][name] = most
    world.ok("set_quotas", quotas, sender=ADMIN)
    quotas[whose][name] = most + 1
    error = world.err("set_quotas", quotas, sender=ADMIN)
    assert (error["kind"], str(most) in error["message"]) == (Case("InvalidRequest"), True)
    assert world.ok("get_quotas", sender=ADMIN)["quotas"][whose][name] == most


def test_a_new_backend_has_the_quotas_that_were_asked_for() -> None:
    default = World().ok("get_quotas", sender=ADMIN)["quotas"]
    assert (default["person"]["content_bytes"], default["total"]["content_bytes"]) == (2 * 10**9, 60 * 10**9)
    asked = default | {"person": default["person"] | {"memories": 3}}
    assert World(quotas=asked).ok("get_quotas", sender=ADMIN)["quotas"] == asked
    with pytest.raises(RejectedError, match=r"quotas: person\.memories is 200001; it may be at most 200000"):
        World(quotas=default | {"person": default["person"] | {"memories": 200_001}})
