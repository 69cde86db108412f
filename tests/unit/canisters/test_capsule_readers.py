"""What readers of a memory or a gallery see of it, and what they don't: who else reads, and what else is there."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OWNER, START_NS, STRANGER, person
from support.personal_world import (
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    connection,
    gallery,
    gallery_entries,
    group,
    inline,
    memory_record,
    new_memory,
)

CONTROLLER = person("controller of the capsule")
FAMILY = "group-family"
PUBLIC, PRIVATE = Case("Public"), Case("Private")


def named(*people: Principal, groups: tuple[str, ...] = ()) -> Case:
    return Case("Custom", {"individuals": [by_principal(each) for each in people], "groups": list(groups)})


@pytest.fixture
def world() -> PersonalWorld:
    """A capsule with a controller, and a family that the stranger is in."""
    world = PersonalWorld()
    session = world.begin()
    granted = {"granted_at": START_NS, "granted_by": by_principal(OWNER)}
    record = capsule_record(controllers=[{"key": by_principal(CONTROLLER), "value": granted}])
    family = group(FAMILY, by_principal(STRANGER), Case("Opaque", "Ada"))
    world.put(session, Case("Capsule", record), Case("ConnectionGroup", family))
    world.end_import(session)
    return world


def add(world: PersonalWorld, access: Case) -> str:
    memory_id: str = world.ok("add_memory_to_capsule", inline(b"x"), new_memory(access=access))
    return memory_id


def rule_seen_by(world: PersonalWorld, memory_id: str, reader: Principal) -> Case:
    """The access rule of a memory, which both ways of reading it must tell alike."""
    single = world.ok("get_memory_from_capsule", memory_id, sender=reader)["access"]
    items = world.ok("list_capsule_memories", CAPSULE_ID, {}, sender=reader)["items"]
    (listed,) = [item["memory"]["access"] for item in items if item["memory"]["id"] == memory_id]
    assert listed == single
    found: Case = single
    return found


# --- who else reads a memory -----------------------------------------------------------------------------------------

EVERYBODY = named(FRIEND, person("another"), groups=(FAMILY,))


def scheduled(access: Case) -> Case:
    return Case("Scheduled", {"accessible_after": START_NS, "access": access})


def at_graduation(access: Case) -> Case:
    return Case("EventTriggered", {"trigger_event": Case("Graduation"), "access": access})


@pytest.mark.parametrize("around", [[], [scheduled], [at_graduation], [scheduled, at_graduation], [at_graduation] * 3])
def test_a_reader_sees_nobody_else_in_a_rule_however_deep_it_is(world: PersonalWorld, around: list[Any]) -> None:
    def wrapped(access: Case) -> Case:
        for wrap in around:
            access = wrap(access)
        return access

    world.ok("record_capsule_event", CAPSULE_ID, Case("Graduation"))
    memory_id = add(world, wrapped(EVERYBODY))
    for reader in (FRIEND, STRANGER):
        assert rule_seen_by(world, memory_id, reader) == wrapped(named(reader))
    for writer in (OWNER, CONTROLLER):
        assert rule_seen_by(world, memory_id, writer) == wrapped(EVERYBODY)


def test_what_is_public_says_so(world: PersonalWorld) -> None:
    memory_id = add(world, PUBLIC)
    for reader in (FRIEND, ANONYMOUS, OWNER):
        assert rule_seen_by(world, memory_id, reader) == PUBLIC


def test_what_a_reader_sees_is_not_what_is_exported(world: PersonalWorld) -> None:
    """The manifest is about the records, whoever reads them."""
    add(world, EVERYBODY)
    before = world.ok("list_import_entries", None, None, sender=OWNER)
    world.ok("list_capsule_memories", CAPSULE_ID, {}, sender=FRIEND)
    assert world.ok("list_import_entries", None, None, sender=OWNER) == before


# --- pages -----------------------------------------------------------------------------------------------------------


def page(world: PersonalWorld, reader: Principal, **request: Any) -> tuple[list[str], str | None]:
    found = world.ok("list_capsule_memories", CAPSULE_ID, request, sender=reader)
    return [item["memory"]["id"] for item in found["items"]], found["next"]


def test_a_page_tells_of_another_one_only_if_the_reader_may_read_something_of_it(world: PersonalWorld) -> None:
    mine, shared, hidden = add(world, PRIVATE), add(world, named(FRIEND)), add(world, named(STRANGER))
    assert page(world, FRIEND, limit=1) == ([shared], None)
    again = add(world, PUBLIC)
    assert page(world, FRIEND, limit=1) == ([shared], shared)
    assert page(world, FRIEND, limit=1, after=shared) == ([again], None)
    add(world, PRIVATE)
    assert page(world, FRIEND, limit=2) == ([shared, again], None)
    assert page(world, OWNER, limit=3) == ([mine, shared, hidden], hidden)


def test_many_rules_that_name_others_are_looked_at_in_more_than_one_page(world: PersonalWorld) -> None:
    world = PersonalWorld()
    session = world.begin()
    crowd = named(*(person(f"guest-{number}") for number in range(1_000)))
    for start in range(0, 120, 20):
        records = [memory_record(f"mem-{start + i:03}", access=crowd) for i in range(20)]
        world.put(session, *(Case("Memory", record) for record in records))
    world.put(session, Case("Memory", memory_record("mem-last", access=PUBLIC)), Case("Capsule", capsule_record()))
    world.end_import(session)
    found, after = page(world, FRIEND)
    assert (found, after) == ([], "mem-099"), "100,000 rules and names, then the next page"
    assert page(world, FRIEND, after=after) == (["mem-last"], None)


# --- galleries -------------------------------------------------------------------------------------------------------


def store(world: PersonalWorld, entries: list[dict[str, Any]]) -> str:
    gallery_id: str = world.ok(
        "store_gallery_forever", {"title": "Summer", "is_public": True, "memory_entries": entries}
    )["id"]
    return gallery_id


def entries_seen_by(world: PersonalWorld, gallery_id: str, reader: Principal) -> list[tuple[str, int]]:
    """Memories and positions; all ways of reading galleries must tell them alike."""
    found = world.ok("get_gallery_by_id", gallery_id, sender=reader)
    assert world.call("get_user_galleries", OWNER, sender=reader) == [found]
    return [(entry["memory_id"], entry["position"]) for entry in found["memory_entries"]]


def test_a_gallery_shows_only_what_its_reader_may_read(world: PersonalWorld) -> None:
    private, shared, public = add(world, PRIVATE), add(world, named(FRIEND)), add(world, PUBLIC)
    gallery_id = store(world, gallery_entries(private, shared, public))
    everything = [(private, 0), (shared, 1), (public, 2)]
    for writer in (OWNER, CONTROLLER):
        assert entries_seen_by(world, gallery_id, writer) == everything
    assert entries_seen_by(world, gallery_id, FRIEND) == [(shared, 0), (public, 1)]
    for other in (STRANGER, ANONYMOUS):
        assert entries_seen_by(world, gallery_id, other) == [(public, 0)]
    assert [entry["memory_id"] for entry in world.call("get_my_galleries")[0]["memory_entries"]] == [
        private,
        shared,
        public,
    ]


def test_what_is_left_of_a_gallery_keeps_its_order_and_closes_its_gaps(world: PersonalWorld) -> None:
    places = [(30, PUBLIC), (10, PUBLIC), (20, PRIVATE), (10, PUBLIC), (40, PUBLIC)]
    memories = [add(world, access) for _, access in places]
    entries = [
        entry | {"position": position} for entry, (position, _) in zip(gallery_entries(*memories), places, strict=True)
    ]
    gallery_id = store(world, entries)
    assert entries_seen_by(world, gallery_id, FRIEND) == [
        (memories[0], 2),
        (memories[1], 0),
        (memories[3], 1),
        (memories[4], 3),
    ]


def test_a_gallery_of_which_everything_may_be_read_is_shown_as_it_is(world: PersonalWorld) -> None:
    entries = [
        entry | {"position": 7, "gallery_caption": "At the sea"} for entry in gallery_entries(add(world, PUBLIC))
    ]
    gallery_id = store(world, entries)
    assert world.ok("get_gallery_by_id", gallery_id, sender=FRIEND) == world.ok("get_gallery_by_id", gallery_id)


def test_a_gallery_opens_with_its_memories(world: PersonalWorld) -> None:
    memory_id = add(world, at_graduation(PUBLIC))
    gallery_id = store(world, gallery_entries(memory_id))
    assert entries_seen_by(world, gallery_id, STRANGER) == []
    world.ok("record_capsule_event", CAPSULE_ID, Case("Graduation"))
    assert entries_seen_by(world, gallery_id, STRANGER) == [(memory_id, 0)]


# --- while a capsule arrives -----------------------------------------------------------------------------------------


def test_nobody_but_its_writers_reads_a_capsule_of_which_a_part_is_still_to_come() -> None:
    """A connection that shuts somebody out comes after the memories that name them."""
    world = PersonalWorld()
    session = world.begin()
    shared, public = memory_record("mem-1", access=named(FRIEND)), memory_record("mem-2", access=PUBLIC)
    items = [Case("Capsule", capsule_record()), Case("Memory", shared), Case("Memory", public)]
    world.put(session, *items, Case("Gallery", gallery("gal-1", "mem-2", is_public=True)))
    for visitor in (FRIEND, STRANGER, ANONYMOUS):
        assert page(world, visitor) == ([], None)
        assert world.call("get_user_galleries", OWNER, sender=visitor) == []
        for method, unseen in (("get_memory_from_capsule", "mem-1"), ("get_memory_from_capsule", "mem-2")):
            assert world.err(method, unseen, sender=visitor).tag == "NotFound"
        assert world.err("get_gallery_by_id", "gal-1", sender=visitor).tag == "NotFound"
    assert page(world, OWNER) == (["mem-1", "mem-2"], None)

    world.put(session, Case("Connection", connection(by_principal(FRIEND), "Blocked")))
    world.end_import(session)
    for visitor in (FRIEND, STRANGER, ANONYMOUS):
        assert page(world, visitor) == (["mem-2"], None)
        assert [found["id"] for found in world.call("get_user_galleries", OWNER, sender=visitor)] == ["gal-1"]
