"""Ids on the built canisters: not to be guessed, none made twice, and none tells how many there are."""

from __future__ import annotations

import re

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    CONTROLLER,
    OWNER,
    STRANGER,
    TRILLION,
    World,
    encode_args,
    interface,
    person,
    wasm,
)
from support.personal_world import PersonalWorld, inline, memory_record, new_memory

POOR = 150_000_000_000
"""Cycles for a message, not for a call besides."""
ID = re.compile(r"(cap|mem|gal|group)-([0-9a-f]{16})-([0-9a-f]{32})")


@pytest.fixture
def backend() -> World:
    return World()


def add(world: World, owner: Principal = OWNER) -> str:
    memory_id: str = world.ok("add_memory_to_capsule", inline(b"x"), new_memory(), sender=owner)
    return memory_id


def begin(world: World, owner: Principal) -> int:
    request = {"memory": new_memory(), "total_size": 1, "chunk_size": 1}
    upload_id: int = world.ok("begin_memory_upload", request, sender=owner)["upload_id"]
    return upload_id


def one_of_each_kind(world: World) -> list[str]:
    return [
        world.capsule(OWNER),
        add(world),
        world.ok("store_gallery_forever", {"title": "x", "is_public": True, "memory_entries": []}, sender=OWNER)["id"],
        world.ok("create_connection_group", {"name": "x", "members": []}, sender=OWNER),
    ]


def test_an_id_is_its_kind_the_time_and_a_part_that_nobody_else_can_compute(backend: World) -> None:
    parts = [ID.fullmatch(made) for made in one_of_each_kind(backend)]
    kinds, stamps, secrets = zip(*(found.groups() for found in parts if found), strict=True)
    assert kinds == ("cap", "mem", "gal", "group")
    assert [int(stamp, 16) for stamp in stamps] == [backend.now_ns + number for number in range(4)]
    assert len(set(secrets)) == 4


def test_a_canister_has_a_secret_of_its_own(backend: World) -> None:
    """The same calls at the same time make other ids on another canister: what is public doesn't tell them."""
    other = backend.new_canister(CONTROLLER)
    backend.install(other, wasm("backend"), encode_args(interface("backend").init_args, [None]), sender=CONTROLLER)
    here, there = (backend.ok("register_capsule", sender=OWNER, on=on)["capsule_id"] for on in (None, other))
    assert (here[:-32], here[-32:] == there[-32:]) == (there[:-32], False)


def test_the_first_ids_may_be_asked_for_at_once(backend: World) -> None:
    """Both wait for randomness; the secret that came first is the one that stays."""
    waiting = [backend.start("register_capsule", sender=sender) for sender in (OWNER, STRANGER)]
    backend.run()
    made = [backend.finish("register_capsule", request).value for request in waiting]
    assert [answer["is_new"] for answer in made] == [True, True]
    assert made[0]["capsule_id"] != made[1]["capsule_id"]
    assert [backend.capsule(sender) for sender in (OWNER, STRANGER)] == [answer["capsule_id"] for answer in made]


def test_ids_stay_in_the_order_of_their_making_over_an_upgrade(backend: World) -> None:
    backend.capsule()
    made = [add(backend), add(backend)]
    backend.upgrade_backend()
    made.append(add(backend))
    backend.advance(1)
    made.append(add(backend))
    assert made == sorted(set(made))


def test_a_canister_that_went_back_to_a_snapshot_makes_no_id_twice(backend: World) -> None:
    backend.capsule()
    about = {"canister_id": backend.backend}
    snapshot = backend.manage("take_canister_snapshot", about, sender=CONTROLLER)["id"]
    backend.advance(1)
    lost = add(backend)
    backend.manage("load_canister_snapshot", about | {"snapshot_id": snapshot}, sender=CONTROLLER)
    backend.advance(1)
    assert backend.err("get_memory_from_capsule", lost, sender=OWNER).tag == "NotFound"
    assert add(backend) > lost


def test_the_ids_of_uploads_do_not_tell_how_many_others_there_are(backend: World) -> None:
    people = [OWNER, *(person(f"owner-{number}") for number in range(3))]
    for owner in people:
        backend.capsule(owner)
    for busy in (False, True):
        backend.advance(1)
        if busy:
            for owner in people[1:]:
                begin(backend, owner)
            backend.advance(1)
        assert begin(backend, OWNER) - backend.now_ns in (0, 1), "the time, whatever others did before"


def test_new_ids_never_meet_imported_ones() -> None:
    world = PersonalWorld()
    imported = f"mem-{world.now_ns:016x}-{0:032x}"
    world.imported(Case("Memory", memory_record(imported)))
    made = add(world)
    assert made[:-32] == imported[:-32], "made at the time that the imported one tells"
    assert made != imported
    assert [item["memory"]["id"] for item in world.ok("list_capsule_memories", None, {})["items"]] == sorted(
        [made, imported]
    )


def test_a_canister_that_gets_no_randomness_makes_nothing_and_says_so(backend: World) -> None:
    backend.backend_state.balance = POOR
    assert backend.err("register_capsule", sender=OWNER).tag == "Locked"
    assert backend.call("list_my_capsules", sender=OWNER) == []
    backend.backend_state.balance = 100 * TRILLION
    backend.capsule()
