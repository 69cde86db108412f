"""Who reads and who writes, on both canisters: every access rule against every way of reading, private galleries, and
what others are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry, GalleryUpdate
from canister_factory.contract.memory_models import (
    AccessEvent,
    MemoryAccess,
    MemoryUpdate,
    PageRequest,
    UploadRequest,
)
from canister_factory.contract.person_models import (
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
)
from support.capsule_world import (
    EVERYONE,
    PRIVATE,
    PUBLIC,
    CapsuleWorld,
    after_event,
    another_owner,
    capsule_on,
    custom,
    now_ns,
    people_of,
    person,
    principal,
    scheduled,
)
from support.creation_world import World, inline, note

HOUR_NS = 3_600_000_000_000
CHUNKS = [b"a" * 100, b"b" * 100]
WEDDING = AccessEvent.of("Wedding")
OWNER = {"owner"}
WITH_FRIEND = {"owner", "friend"}


async def family(capsule: CapsuleWorld, *members: PersonRef) -> str:
    return await capsule.owner.create_connection_group(NewConnectionGroup(name="Family", members=list(members)))


# --- rules -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A rule, given the friend and a group that the friend is in, and who reads by it before and after the wedding."""

    name: str
    rule: Callable[[PersonRef, str], MemoryAccess]
    before: set[str]
    after: set[str]


PAST, FUTURE = now_ns() - HOUR_NS, now_ns() + 24 * HOUR_NS
CASES = [
    Case("public", lambda friend, group: PUBLIC, EVERYONE, EVERYONE),
    Case("private", lambda friend, group: PRIVATE, OWNER, OWNER),
    Case("for a person", lambda friend, group: custom(friend), WITH_FRIEND, WITH_FRIEND),
    Case("for a group", lambda friend, group: custom(groups=[group]), WITH_FRIEND, WITH_FRIEND),
    Case("for nobody in particular", lambda friend, group: custom(), OWNER, OWNER),
    Case("since an hour", lambda friend, group: scheduled(PAST, PUBLIC), EVERYONE, EVERYONE),
    Case("from tomorrow", lambda friend, group: scheduled(FUTURE, PUBLIC), OWNER, OWNER),
    Case("since an hour, a person", lambda friend, group: scheduled(PAST, custom(friend)), WITH_FRIEND, WITH_FRIEND),
    Case("since an hour, private", lambda friend, group: scheduled(PAST, PRIVATE), OWNER, OWNER),
    Case("event", lambda friend, group: after_event(WEDDING, PUBLIC), OWNER, EVERYONE),
    Case("event, a group", lambda friend, group: after_event(WEDDING, custom(groups=[group])), OWNER, WITH_FRIEND),
    Case("another event", lambda friend, group: after_event(AccessEvent(Custom="wedding"), PUBLIC), OWNER, OWNER),
    Case("a numbered event", lambda friend, group: after_event(AccessEvent(Birthday=18), PUBLIC), OWNER, OWNER),
    Case("past, event", lambda friend, group: scheduled(PAST, after_event(WEDDING, PUBLIC)), OWNER, EVERYONE),
    Case("both", lambda friend, group: after_event(WEDDING, scheduled(PAST, custom(friend))), OWNER, WITH_FRIEND),
    Case("event, future", lambda friend, group: after_event(WEDDING, scheduled(FUTURE, PUBLIC)), OWNER, OWNER),
    Case(
        "two events",
        lambda friend, group: after_event(WEDDING, after_event(AccessEvent.of("Graduation"), PUBLIC)),
        OWNER,
        OWNER,
    ),
]  # fmt: skip


async def test_every_rule_grants_what_it_says_before_and_after_an_event(capsule: CapsuleWorld) -> None:
    friend = person(capsule.friend)
    group = await family(capsule, friend)
    memories = {case.name: await capsule.add(access=case.rule(friend, group)) for case in CASES}

    assert {name: await capsule.readers(memory_id) for name, memory_id in memories.items()} == {
        case.name: case.before for case in CASES
    }
    await capsule.owner.record_capsule_event(capsule.capsule_id, AccessEvent(Birthday=17))
    await capsule.owner.record_capsule_event(capsule.capsule_id, WEDDING)
    assert {name: await capsule.readers(memory_id) for name, memory_id in memories.items()} == {
        case.name: case.after for case in CASES
    }


async def test_rules_groups_and_events_move_with_the_capsule(world: World) -> None:
    there = await capsule_on(world, "backend")
    friend = person(there.friend)
    group = await family(there, friend)
    memories = {case.name: await there.add(access=case.rule(friend, group)) for case in CASES}
    await there.owner.record_capsule_event(there.capsule_id, WEDDING)

    here = await capsule_on(world, "personal")
    here.friend = type(here.friend)(there.friend.agent, here.canister_id)
    assert {name: await here.readers(memory_id) for name, memory_id in memories.items()} == {
        case.name: case.after for case in CASES
    }


async def test_chunks_of_a_large_memory_are_guarded_like_the_memory(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add_in_chunks(CHUNKS, access=custom(person(capsule.friend)))
    assert await capsule.readers(memory_id) == WITH_FRIEND
    assert await capsule.friend.read_memory_chunk(memory_id, 1) == CHUNKS[1]
    await capsule.refused("NotFound", capsule.stranger.read_memory_chunk(memory_id, 1))
    await capsule.refused("NotFound", capsule.anonymous.read_memory_chunk(memory_id, 1))


async def test_a_changed_rule_holds_at_once(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add(access=PUBLIC)
    assert await capsule.readers(memory_id) == EVERYONE
    for rule, readers in ((custom(person(capsule.friend)), WITH_FRIEND), (PRIVATE, OWNER), (PUBLIC, EVERYONE)):
        await capsule.owner.update_memory_in_capsule(memory_id, MemoryUpdate(access=rule))
        assert await capsule.readers(memory_id) == readers


async def test_a_group_grants_to_its_members_as_they_are_now(capsule: CapsuleWorld) -> None:
    group = await family(capsule, person(capsule.friend), PersonRef(Opaque=str(principal(capsule.stranger))))
    memory_id = await capsule.add(access=custom(groups=[group]))
    assert await capsule.readers(memory_id) == WITH_FRIEND, "a name isn't a principal"
    await capsule.owner.update_connection_group(group, ConnectionGroupUpdate(members=[person(capsule.stranger)]))
    assert await capsule.readers(memory_id) == {"owner", "stranger"}
    await capsule.owner.delete_connection_group(group)
    assert await capsule.readers(memory_id) == OWNER


@pytest.mark.parametrize("status", [ConnectionStatus.Blocked, ConnectionStatus.Revoked])
async def test_whoever_is_blocked_reads_only_what_is_public(capsule: CapsuleWorld, status: ConnectionStatus) -> None:
    friend = person(capsule.friend)
    group = await family(capsule, friend)
    by_name, by_group = await capsule.add(access=custom(friend)), await capsule.add(access=custom(groups=[group]))
    public = await capsule.add(access=PUBLIC)
    await capsule.owner.add_connection(friend)
    for connection, readers in ((ConnectionStatus.Accepted, WITH_FRIEND), (status, OWNER)):
        await capsule.owner.update_connection_status(friend, connection)
        assert await capsule.readers(by_name) == readers
        assert await capsule.readers(by_group) == readers
    assert await capsule.readers(public) == EVERYONE


async def test_pages_of_other_people_have_only_what_they_may_read(capsule: CapsuleWorld) -> None:
    mixed = [PRIVATE, PUBLIC, custom(person(capsule.friend)), PRIVATE, PUBLIC]
    ids = [await capsule.add(access=access) for access in mixed]
    for limit in (1, 2, None):
        assert [item.memory.id for item in await capsule.listed(capsule.owner, limit)] == ids
        assert [item.memory.id for item in await capsule.listed(capsule.friend, limit)] == [ids[1], ids[2], ids[4]]
        assert [item.memory.id for item in await capsule.listed(capsule.stranger, limit)] == [ids[1], ids[4]]
        assert [item.memory.id for item in await capsule.listed(capsule.anonymous, limit)] == [ids[1], ids[4]]
    page = await capsule.stranger.list_capsule_memories(capsule.capsule_id, PageRequest())
    assert page.total == 2, "how many private memories there are is private too"


# --- galleries -------------------------------------------------------------------------------------------------------


async def test_a_private_gallery_never_leaks(capsule: CapsuleWorld) -> None:
    owner = principal(capsule.owner)
    memory_id = await capsule.add(access=PUBLIC)
    entries = [GalleryMemoryEntry(memory_id=memory_id, position=0, is_featured=False, gallery_metadata="{}")]
    private = await capsule.owner.store_gallery_forever(
        GalleryData(title="Ours", is_public=False, memory_entries=entries)
    )
    public = await capsule.owner.store_gallery_forever(
        GalleryData(title="All's", is_public=True, memory_entries=entries)
    )
    others = (capsule.friend, capsule.stranger, capsule.anonymous)
    for other in others:
        await capsule.refused("NotFound", other.get_gallery_by_id(private.id))
        assert await other.get_gallery_by_id(public.id) == public
        assert await other.get_user_galleries(owner) == [public]
        assert await other.get_my_galleries() == []
        await capsule.refused("NotFound", other.get_capsule(capsule.capsule_id))
    assert await capsule.owner.get_user_galleries(owner) == [private, public]

    await capsule.owner.update_gallery(public.id, GalleryUpdate(is_public=False))
    for other in others:
        assert await other.get_user_galleries(owner) == []
        await capsule.refused("NotFound", other.get_gallery_by_id(public.id))


async def test_a_public_gallery_opens_none_of_its_memories(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add(access=PRIVATE)
    entries = [GalleryMemoryEntry(memory_id=memory_id, position=0, is_featured=True, gallery_metadata="{}")]
    await capsule.owner.store_gallery_forever(GalleryData(title="x", is_public=True, memory_entries=entries))
    assert await capsule.readers(memory_id) == OWNER


# --- others ----------------------------------------------------------------------------------------------------------


async def test_others_see_nothing_of_the_capsule_but_what_was_shared(capsule: CapsuleWorld) -> None:
    await capsule.owner.add_connection(person(capsule.friend))
    await family(capsule, person(capsule.friend))
    await capsule.add(access=PRIVATE)
    for other in (capsule.friend, capsule.stranger, capsule.anonymous):
        await capsule.refused("NotFound", other.get_capsule(capsule.capsule_id))
        await capsule.refused("NotFound", other.get_capsule_info(capsule.capsule_id))
        assert await capsule.listed(other) == []
        assert await other.list_my_capsules() == []
        assert await other.list_users() == []
        nobodys = "Unauthorized" if other is capsule.anonymous else "NotFound"
        await capsule.refused(nobodys, other.list_connections())
        await capsule.refused(nobodys, other.list_connection_groups())


async def test_others_change_nothing(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add(access=PUBLIC)
    gallery = await capsule.owner.store_gallery_forever(GalleryData(title="x", is_public=True, memory_entries=[]))
    group = await family(capsule, person(capsule.friend))
    await capsule.owner.add_connection(person(capsule.friend))
    await capsule.owner.update_connection_status(person(capsule.friend), ConnectionStatus.Accepted)
    into = note("theirs", capsule_id=capsule.capsule_id)
    for other in (capsule.friend, capsule.stranger):
        for call in (
            other.update_memory_in_capsule(memory_id, MemoryUpdate(access=PRIVATE)),
            other.delete_memory_from_capsule(memory_id),
            other.update_gallery(gallery.id, GalleryUpdate(title="theirs")),
            other.delete_gallery(gallery.id),
        ):
            await capsule.refused_to_others("Unauthorized", call)
        for unseen in (
            other.add_memory_to_capsule(inline(b"theirs"), into),
            other.begin_memory_upload(UploadRequest(memory=into, total_size=1, chunk_size=1)),
            other.record_capsule_event(capsule.capsule_id, WEDDING),
            other.update_connection_group(group, ConnectionGroupUpdate(name="theirs")),
            other.delete_connection_group(group),
            other.update_connection_status(person(other), ConnectionStatus.Blocked),
            other.remove_connection(person(other)),
        ):
            await capsule.refused_to_others("NotFound", unseen)


async def test_other_owners_of_the_backend_write_their_own_capsules_only(world: World) -> None:
    mine = await capsule_on(world, "backend")
    theirs = await capsule_on(await another_owner(world), "backend")
    memory_id = await theirs.add(access=PUBLIC)
    gallery = await theirs.owner.store_gallery_forever(GalleryData(title="x", is_public=True, memory_entries=[]))
    group = await family(theirs, person(theirs.friend))
    own = await mine.add()

    await theirs.refused("Unauthorized", mine.owner.delete_memory_from_capsule(memory_id))
    await theirs.refused("Unauthorized", mine.owner.update_gallery(gallery.id, GalleryUpdate(title="mine")))
    await theirs.refused("NotFound", mine.owner.delete_connection_group(group))
    into = note("mine", capsule_id=theirs.capsule_id)
    await theirs.refused("NotFound", mine.owner.add_memory_to_capsule(inline(b"mine"), into))
    await mine.refused("NotFound", mine.add(access=custom(groups=[group])))
    foreign = [GalleryMemoryEntry(memory_id=memory_id, position=0, is_featured=False, gallery_metadata="{}")]
    data = GalleryData(title="x", is_public=True, memory_entries=foreign)
    await mine.refused("NotFound", mine.owner.store_gallery_forever(data))
    assert [item.memory.id for item in await mine.listed(mine.owner)] == [own]


async def test_the_backends_owner_reads_everything_as_before_after_the_move(world: World) -> None:
    there = await capsule_on(world, "backend")
    memories = [await there.add(access=case.rule(person(there.friend), "")) for case in CASES[:3]]
    before = {memory_id: await there.readers(memory_id) for memory_id in memories}
    here = await capsule_on(world, "personal")
    again = await people_of(world, "backend", world.backend_id)
    again.friend = there.friend
    assert {memory_id: await again.readers(memory_id) for memory_id in memories} == before
    moved = await again.refused("Moved", again.add(b"late"))
    assert moved.personal_canister == here.canister_id
