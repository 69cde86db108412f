"""Who imports into a personal canister, who may look, and from when on it is its owner's."""

from __future__ import annotations

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OPERATOR, OWNER, STRANGER
from support.personal_world import (
    BATCH,
    CAPSULE_ID,
    PersonalWorld,
    capsule_record,
    inline,
    memory_record,
    new_memory,
    sha256,
)

CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]


@pytest.fixture
def world() -> PersonalWorld:
    return PersonalWorld()


def test_only_controllers_import(world: PersonalWorld) -> None:
    for method, arguments in (
        ("begin_import", ()),
        ("put_items", (1, [])),
        ("put_memory_chunk", (1, "mem-a", 0, b"a", sha256(b"a"))),
        ("put_memory_chunks", (1, [])),
        ("commit_memories", (1, [])),
        ("remove_items", (1, [])),
        ("finalize_import", (1,)),
    ):
        assert world.err(method, *arguments, sender=STRANGER).tag == "Unauthorized", method
    assert world.err("get_import_status", {}, sender=STRANGER).tag == "Unauthorized"
    assert world.err("list_import_entries", None, None, sender=STRANGER).tag == "Unauthorized"
    assert world.err("get_manifest", sender=STRANGER).tag == "Unauthorized"
    world.begin()


def test_the_door_is_shut_for_all_who_have_nothing_to_do_with_the_canister(world: PersonalWorld) -> None:
    assert world.accepts("begin_import", sender=OPERATOR)
    assert world.accepts("register", sender=OWNER), "the method itself answers why not"
    for method in ("begin_import", "register", "get_api_version"):
        assert not world.accepts(method, sender=STRANGER), method
        assert not world.accepts(method, sender=ANONYMOUS), method


def test_chunks_are_let_in_until_the_canister_is_open_even_if_their_session_has_expired(world: PersonalWorld) -> None:
    def is_let_in() -> bool:
        return world.accepts("put_memory_chunks", 1, [], sender=OPERATOR)

    session = world.begin()
    world.advance(7_200)
    assert is_let_in()
    assert world.err("put_memory_chunks", session, [], sender=OPERATOR).tag == "SessionExpired"
    world.imported()
    assert not is_let_in()


def test_the_owner_reads_during_the_import_and_writes_after_it(world: PersonalWorld) -> None:
    assert world.err("register_capsule").tag == "Locked"
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-a")))

    assert world.ok("register_capsule") == {"capsule_id": CAPSULE_ID, "is_new": False}
    assert world.ok("get_memory_from_capsule", "mem-a")["info"]["name"] == "letter"
    refused = world.err("add_memory_to_capsule", inline(b"x"), new_memory())
    assert refused == Case("Locked", {"reason": "import in progress", "until": None})
    assert world.err("register").tag == "Locked"

    world.ok("finalize_import", session, sender=OPERATOR)
    waiting = world.err("add_memory_to_capsule", inline(b"x"), new_memory())
    assert waiting == Case("Locked", {"reason": "not handed over to its owner yet", "until": None})
    world.hand_over(world.personal, OWNER)
    world.ok("add_memory_to_capsule", inline(b"x"), new_memory())
    world.ok("register")


def test_an_operator_opens_it_again_until_the_owner_has_it(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.ok("finalize_import", session, sender=OPERATOR)
    assert world.begin() == session
    world.put(session, Case("Memory", memory_record("mem-a")))
    assert not world.call("get_personal_info")["is_open"]
    world.end_import(session)
    assert world.call("get_personal_info")["is_open"]
    assert world.err("begin_import").value["reason"] == "the canister is its owner's"


def test_the_owner_changes_nothing_of_an_import_by_an_operator(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    for method, arguments in (("begin_import", ()), ("put_items", (session, [])), ("finalize_import", (session,))):
        refused = world.err(method, *arguments)
        assert refused == Case("Unauthorized", "an operator imports; the owner can't change the import"), method
    assert not world.accepts("import_batch", BATCH, sender=OWNER)


def test_an_owner_whom_an_operator_left_alone_ends_the_import_and_uses_the_canister(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.hand_over(world.personal, OWNER)
    world.ok("finalize_import", session)
    world.ok("register")
    assert world.call("get_personal_info")["is_open"]


def test_open_once_it_stays_open_whomever_the_owner_makes_a_controller(world: PersonalWorld) -> None:
    world.imported()
    world.ok("register")
    world.manage(
        "update_settings",
        {"canister_id": world.personal, "settings": {"controllers": [OWNER, OPERATOR]}},
        sender=OWNER,
    )
    world.ok("add_memory_to_capsule", inline(b"x"), new_memory())
    assert world.err("begin_import", sender=OPERATOR).tag == "Locked"
