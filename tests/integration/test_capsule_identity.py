"""Registration, nonces and capsules on both canisters: who a caller is there, and what nobody in particular may do."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.contract.artifacts import personal_interface
from canister_factory.contract.capsule_models import GalleryData, GalleryUpdate
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.memory_models import AccessEvent, MemoryUpdate, PageRequest, UploadRequest
from canister_factory.contract.person_models import (
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
)
from canister_factory.ic.errors import RejectedError
from support.capsule_world import PUBLIC, CapsuleWorld, capsule_on, person, principal
from support.creation_world import World, inline, note

# --- registration ----------------------------------------------------------------------------------------------------


async def test_everyone_is_told_who_they_are(capsule: CapsuleWorld) -> None:
    for client in capsule.people.values():
        assert await client.whoami() == principal(client)


async def test_the_owner_registers_once_however_often(capsule: CapsuleWorld) -> None:
    known = await capsule.owner.get_user()
    first = await capsule.owner.register()
    again = await capsule.owner.register()
    assert (first.principal_id, first.bound) == (principal(capsule.owner), False)
    # On the backend the owner registered to have a capsule; a personal canister is theirs without.
    expected = {"backend": again.registered_at, "personal": None}[capsule.kind]
    assert (known and known.registered_at) == expected
    assert first.registered_at == again.registered_at
    assert again.last_activity_at > first.last_activity_at
    assert await capsule.owner.get_user() == again
    assert await capsule.owner.list_users() == [again]


async def test_registration_is_for_everyone_on_the_backend_and_for_the_owner_on_a_personal_canister(
    capsule: CapsuleWorld,
) -> None:
    if capsule.kind == "backend":
        user = await capsule.stranger.register()
        assert await capsule.stranger.get_user() == user
        assert await capsule.stranger.list_users() == [user]
    else:
        for call in (
            capsule.stranger.register(),
            capsule.stranger.register_capsule(),
            capsule.stranger.create_capsule(PersonRef(Opaque="Grandmother")),
            capsule.stranger.mark_bound(),
        ):
            await capsule.turned_away(call)
    assert await capsule.friend.get_user() is None
    assert await capsule.anonymous.get_user() is None


async def test_being_bound_is_noted_with_user_and_capsule(capsule: CapsuleWorld) -> None:
    await capsule.owner.mark_bound()
    user = await capsule.owner.get_user()
    assert user is not None
    assert user.bound
    assert (await capsule.owner.get_capsule(capsule.capsule_id)).bound_to_web2
    assert (await capsule.owner.get_capsule_info(capsule.capsule_id)).bound_to_web2


async def test_users_are_seen_by_themselves_and_by_connections_that_both_have_accepted(world: World) -> None:
    capsule = await capsule_on(world, "backend")
    friend = await capsule.friend.register()
    await capsule.stranger.register()
    for client, status in ((capsule.friend, ConnectionStatus.Accepted), (capsule.stranger, ConnectionStatus.Blocked)):
        await capsule.owner.add_connection(person(client))
        await capsule.owner.update_connection_status(person(client), status)
    owner = await capsule.owner.get_user()
    assert await capsule.owner.list_users() == [owner], "the friend knows nothing of it"
    assert await capsule.friend.list_users() == [friend]
    await capsule.friend.register_capsule()
    await capsule.friend.add_connection(person(capsule.owner))
    await capsule.friend.update_connection_status(person(capsule.owner), ConnectionStatus.Accepted)
    assert await capsule.owner.list_users() == [owner, friend]
    assert await capsule.friend.list_users() == [friend, owner]
    assert await capsule.stranger.list_users() == [await capsule.stranger.get_user()]
    assert await capsule.anonymous.list_users() == []


# --- nonces ----------------------------------------------------------------------------------------------------------


async def test_a_nonce_tells_anyone_who_proved_it(capsule: CapsuleWorld) -> None:
    user = await capsule.owner.register_with_nonce("session-1")
    assert user.principal_id == principal(capsule.owner)
    await capsule.owner.prove_nonce("session-2")
    for client in capsule.people.values():
        assert await client.verify_nonce("session-1") == principal(capsule.owner)
        assert await client.verify_nonce("session-2") == principal(capsule.owner)
    await capsule.owner.prove_nonce("session-1")
    unknown = await capsule.refused("NotFound", capsule.anonymous.verify_nonce("session-3"))
    assert unknown.id == "session-3"


async def test_a_proved_nonce_is_nobody_elses(capsule: CapsuleWorld) -> None:
    await capsule.owner.prove_nonce("session-1")
    await capsule.refused_to_others("AlreadyExists", capsule.stranger.prove_nonce("session-1"))
    await capsule.refused_to_others("AlreadyExists", capsule.stranger.register_with_nonce("session-1"))
    assert await capsule.stranger.verify_nonce("session-1") == principal(capsule.owner)
    assert await capsule.stranger.get_user() is None


async def test_a_nonce_that_is_none_is_refused(capsule: CapsuleWorld) -> None:
    wrong = await capsule.refused("InvalidArgument", capsule.owner.prove_nonce(""))
    assert wrong.field == "nonce"
    long = await capsule.refused("LimitExceeded", capsule.owner.register_with_nonce("x" * 256))
    assert (long.limit, long.actual) == (255, 256)
    await capsule.refused("NotFound", capsule.owner.verify_nonce("x" * 256))


async def test_a_caller_holds_ten_nonces_and_no_eleventh(capsule: CapsuleWorld) -> None:
    await asyncio.gather(*(capsule.owner.prove_nonce(f"session-{number}") for number in range(10)))
    limit = await capsule.refused("LimitExceeded", capsule.owner.prove_nonce("one too many"))
    assert (limit.limit, limit.actual) == (10, 11)
    await capsule.refused("NotFound", capsule.owner.verify_nonce("one too many"))
    assert await capsule.owner.verify_nonce("session-9") == principal(capsule.owner)


# --- capsules --------------------------------------------------------------------------------------------------------


async def test_a_self_capsule_is_made_once(capsule: CapsuleWorld) -> None:
    again = await capsule.owner.register_capsule()
    assert (again.capsule_id, again.is_new) == (capsule.capsule_id, False)
    info = await capsule.owner.get_capsule_info(capsule.capsule_id)
    assert (info.is_owner, info.is_controller, info.is_self_capsule) == (True, False, True)
    assert info.subject == person(capsule.owner)
    (header,) = await capsule.owner.list_my_capsules()
    assert (header.id, header.owner_count, header.memory_count) == (capsule.capsule_id, 1, 0)
    shown = await capsule.owner.get_capsule(capsule.capsule_id)
    assert [owner.key for owner in shown.owners] == [person(capsule.owner)]
    assert (shown.subject, shown.memories, shown.galleries) == (person(capsule.owner), [], [])


async def test_an_owner_of_the_backend_may_keep_capsules_about_others(world: World) -> None:
    capsule = await capsule_on(world, "backend")
    other = await capsule.owner.create_capsule(PersonRef(Opaque="Grandmother"))
    assert [header.id for header in await capsule.owner.list_my_capsules()] == [capsule.capsule_id, other.id]
    for subject in (PersonRef(Opaque="Grandmother"), person(capsule.owner)):
        await capsule.refused("AlreadyExists", capsule.owner.create_capsule(subject))
    memory_id = await capsule.add(capsule_id=other.id)
    assert await capsule.listed(capsule.owner) == []
    there = await capsule.owner.list_capsule_memories(other.id, PageRequest())
    assert [item.memory.id for item in there.items] == [memory_id]


async def test_a_personal_canister_holds_its_one_capsule(world: World) -> None:
    capsule = await capsule_on(world, "personal")
    header = await capsule.owner.create_capsule(person(capsule.owner))
    assert header.id == capsule.capsule_id
    assert await capsule.owner.list_my_capsules() == [header]


async def test_an_unknown_capsule_is_not_found(capsule: CapsuleWorld) -> None:
    for call in (
        capsule.owner.get_capsule("cap-none"),
        capsule.owner.get_capsule_info("cap-none"),
        capsule.owner.record_capsule_event("cap-none", AccessEvent.of("Wedding")),
        capsule.add(capsule_id="cap-none"),
    ):
        unknown = await capsule.refused("NotFound", call)
        assert (unknown.kind, unknown.id) == ("capsule", "cap-none")
    page = await capsule.owner.list_capsule_memories("cap-none", PageRequest())
    assert (page.items, page.next, page.total) == ([], None, 0), "as a capsule of which the caller may read nothing"


# --- nobody in particular --------------------------------------------------------------------------------------------


async def test_the_anonymous_caller_can_make_no_update_at_all(capsule: CapsuleWorld) -> None:
    memory_id = await capsule.add(access=PUBLIC)
    gallery = await capsule.owner.store_gallery_forever(GalleryData(title="x", is_public=True, memory_entries=[]))
    upload = await capsule.begin([b"x"])
    group = await capsule.owner.create_connection_group(NewConnectionGroup(name="x", members=[]))
    peer = PersonRef(Opaque="Ada")
    into = note("theirs", capsule_id=capsule.capsule_id)
    updates = {
        "register": (),
        "register_with_nonce": ("n",),
        "prove_nonce": ("n",),
        "mark_bound": (),
        "create_capsule": (peer,),
        "register_capsule": (),
        "record_capsule_event": (capsule.capsule_id, AccessEvent.of("Wedding")),
        "revoke_capsule_event": (capsule.capsule_id, AccessEvent.of("Wedding")),
        "add_executor": (capsule.capsule_id, principal(capsule.friend)),
        "remove_executor": (capsule.capsule_id, principal(capsule.friend)),
        "set_event_wait": (capsule.capsule_id, EventKind.Wedding, None),
        "add_memory_to_capsule": (inline(b"x"), into),
        "update_memory_in_capsule": (memory_id, MemoryUpdate(access=PUBLIC)),
        "delete_memory_from_capsule": (memory_id,),
        "begin_memory_upload": (UploadRequest(memory=into, total_size=1, chunk_size=1),),
        "put_memory_upload_chunk": (upload.upload_id, 0, b"x", bytes(32)),
        "commit_memory_upload": (upload.upload_id,),
        "abort_memory_upload": (upload.upload_id,),
        "add_connection": (peer,),
        "update_connection_status": (peer, ConnectionStatus.Accepted),
        "remove_connection": (peer,),
        "create_connection_group": (NewConnectionGroup(name="y", members=[]),),
        "update_connection_group": (group, ConnectionGroupUpdate(name="y")),
        "delete_connection_group": (group,),
        "store_gallery_forever": (GalleryData(title="y", is_public=True, memory_entries=[]),),
        "update_gallery": (gallery.id, GalleryUpdate(title="y")),
        "delete_gallery": (gallery.id,),
    }
    service = personal_interface().service
    assert service is not None
    shared = [name for name, _ in service.methods if hasattr(CapsuleClient, name)]
    assert set(updates) == {name for name in shared if not service.method(name).is_query}

    before = await capsule.stored()
    for name, arguments in updates.items():
        with pytest.raises(RejectedError, match="canister_inspect_message explicitly refused message"):
            await getattr(capsule.anonymous, name)(*arguments)
    assert await capsule.stored() == before
    await capsule.refused("NotFound", capsule.anonymous.verify_nonce("n"))
