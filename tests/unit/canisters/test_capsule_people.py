"""Galleries, connections, groups, users and nonces, as the owner of a capsule and other people see them."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OWNER, STRANGER, World, person
from support.personal_world import CAPSULE_ID, FRIEND, PersonalWorld, by_principal, gallery_entries, inline, new_memory


@pytest.fixture
def world() -> PersonalWorld:
    world = PersonalWorld()
    world.imported()
    return world


# --- galleries -------------------------------------------------------------------------------------------------------


def store(world: PersonalWorld, *memory_ids: str, is_public: bool = False, **changes: Any) -> dict[str, Any]:
    data = {"title": "Summer", "is_public": is_public, "memory_entries": gallery_entries(*memory_ids)} | changes
    gallery: dict[str, Any] = world.ok("store_gallery_forever", data)
    return gallery


def test_a_gallery_is_read_as_it_was_stored(world: PersonalWorld) -> None:
    memory_id = world.ok("add_memory_to_capsule", inline(b"x"), new_memory())
    gallery = store(world, memory_id, description="At the sea")
    assert (gallery["owner_principal"], gallery["storage_status"]) == (OWNER, Case("ICPOnly"))
    assert world.ok("get_gallery_by_id", gallery["id"]) == gallery
    assert world.call("get_my_galleries") == [gallery]


def test_an_update_of_a_gallery_changes_what_it_names(world: PersonalWorld) -> None:
    gallery = store(world)
    world.advance(1)
    updated = world.ok("update_gallery", gallery["id"], {"title": "Winter", "is_public": True})
    assert updated == gallery | {"title": "Winter", "is_public": True, "updated_at": world.now_ns}
    world.ok("delete_gallery", gallery["id"])
    assert world.err("get_gallery_by_id", gallery["id"]) == Case("NotFound", {"kind": "gallery", "id": gallery["id"]})
    assert world.call("get_my_galleries") == []


def test_a_private_gallery_is_shown_to_nobody_else(world: PersonalWorld) -> None:
    private, public = store(world), store(world, is_public=True)
    for sender in (STRANGER, ANONYMOUS):
        assert world.err("get_gallery_by_id", private["id"], sender=sender).tag == "NotFound"
        assert world.ok("get_gallery_by_id", public["id"], sender=sender) == public
        assert world.call("get_user_galleries", OWNER, sender=sender) == [public]
        assert world.call("get_my_galleries", sender=sender) == []
        assert world.err("update_gallery", public["id"], {"title": "x"}, sender=sender).tag == "Unauthorized"
        assert world.err("delete_gallery", public["id"], sender=sender).tag == "Unauthorized"
    assert world.call("get_user_galleries", OWNER) == [private, public]


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"title": ""}, "InvalidArgument"),
        ({"title": "x" * 256}, "LimitExceeded"),
        ({"description": "x" * 10_001}, "LimitExceeded"),
        ({"memory_entries": gallery_entries("mem-unknown")}, "NotFound"),
    ],
    ids=str,
)
def test_a_gallery_that_makes_no_sense_is_refused(world: PersonalWorld, changes: dict[str, Any], tag: str) -> None:
    data = {"title": "Summer", "is_public": False, "memory_entries": []}
    assert world.err("store_gallery_forever", data | changes).tag == tag
    gallery = store(world)
    assert world.err("update_gallery", gallery["id"], changes).tag == tag
    assert world.call("get_my_galleries") == [gallery]


def test_galleries_beyond_what_a_reply_can_carry_are_refused(world: PersonalWorld) -> None:
    memory_id = world.ok("add_memory_to_capsule", inline(b"x"), new_memory())
    entries = [entry | {"gallery_metadata": "x" * 9_000} for entry in gallery_entries(*[memory_id] * 50)]
    for _ in range(4):
        store(world, memory_entries=entries)
    problem = world.err("store_gallery_forever", {"title": "x", "is_public": False, "memory_entries": entries})
    assert (problem.tag, problem.value["limit"]) == ("LimitExceeded", 1_950_000)
    assert len(world.call("get_my_galleries")) == 4
    world.ok("get_capsule", CAPSULE_ID)


def test_a_capsule_that_no_reply_could_carry_is_shown_with_fewer_memories(world: PersonalWorld) -> None:
    base = {"size": 1, "mime_type": "text/plain", "original_name": "a.txt", "uploaded_at": ""}
    tagged = new_memory(memory_type=Case("Note"), metadata=Case("Note", {"base": base, "tags": ["x" * 250] * 200}))
    memories = [world.ok("add_memory_to_capsule", inline(b"x"), tagged) for _ in range(4)]
    entries = [entry | {"gallery_metadata": "x" * 9_000} for entry in gallery_entries(*[memories[0]] * 52)]
    for _ in range(4):
        store(world, memory_entries=entries)
    seen = world.ok("get_capsule", CAPSULE_ID)
    assert (len(seen["galleries"]), len(seen["memories"]), seen["memory_count"]) == (4, 2, 4)
    assert len(world.call("get_my_galleries")) == 4


# --- connections and groups ------------------------------------------------------------------------------------------


def test_a_connection_goes_through_its_states(world: PersonalWorld) -> None:
    world.ok("add_connection", by_principal(FRIEND))
    assert [item["status"].tag for item in world.ok("list_connections")] == ["Pending"]
    world.advance(1)
    world.ok("update_connection_status", by_principal(FRIEND), Case("Accepted"))
    assert world.ok("list_connections") == [
        {
            "peer": by_principal(FRIEND),
            "status": Case("Accepted"),
            "created_at": world.now_ns - 1_000_000_000,
            "updated_at": world.now_ns,
        }
    ]
    world.ok("remove_connection", by_principal(FRIEND))
    assert world.ok("list_connections") == []
    assert world.err("remove_connection", by_principal(FRIEND)).tag == "NotFound"
    assert world.err("update_connection_status", by_principal(FRIEND), Case("Accepted")).tag == "NotFound"


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        (by_principal(OWNER), "InvalidArgument"),
        (by_principal(ANONYMOUS), "InvalidArgument"),
        (Case("Opaque", ""), "InvalidArgument"),
        (Case("Opaque", "x" * 256), "LimitExceeded"),
    ],
    ids=str,
)
def test_a_connection_to_nobody_or_to_oneself_is_refused(world: PersonalWorld, peer: Case, kind: str) -> None:
    assert world.err("add_connection", peer).tag == kind
    assert world.ok("list_connections") == []


def test_a_person_is_connected_once(world: PersonalWorld) -> None:
    world.ok("add_connection", Case("Opaque", "Ada"))
    assert world.err("add_connection", Case("Opaque", "Ada")) == Case(
        "AlreadyExists", {"kind": "connection", "id": "opaque:Ada"}
    )


def test_a_group_is_made_changed_and_deleted(world: PersonalWorld) -> None:
    group_id = world.ok("create_connection_group", {"name": "Family", "members": [Case("Opaque", "Ada")]})
    world.ok("update_connection_group", group_id, {"name": "Friends", "description": "from school"})
    (group,) = world.ok("list_connection_groups")
    assert (group["name"], group["description"], group["members"]) == (
        "Friends",
        "from school",
        [Case("Opaque", "Ada")],
    )
    world.ok("delete_connection_group", group_id)
    assert world.ok("list_connection_groups") == []
    assert world.err("delete_connection_group", group_id).tag == "NotFound"
    assert world.err("create_connection_group", {"name": "", "members": []}).tag == "InvalidArgument"


def test_a_removed_connection_leaves_the_groups(world: PersonalWorld) -> None:
    members = [by_principal(FRIEND), Case("Opaque", "Ada")]
    world.ok("create_connection_group", {"name": "Family", "members": members})
    world.ok("add_connection", by_principal(FRIEND))
    world.ok("remove_connection", by_principal(FRIEND))
    assert world.ok("list_connection_groups")[0]["members"] == [Case("Opaque", "Ada")]


def test_connections_are_not_for_strangers(world: PersonalWorld) -> None:
    assert world.err("list_connections", sender=STRANGER).tag == "NotFound", "a stranger has no capsule here"
    assert world.err("list_connections", sender=ANONYMOUS).tag == "Unauthorized"
    assert world.err("add_connection", by_principal(FRIEND), sender=ANONYMOUS).tag == "Unauthorized"


# --- users and nonces ------------------------------------------------------------------------------------------------


def test_the_owner_registers_and_is_bound(world: PersonalWorld) -> None:
    assert world.call("get_user") is None
    registered = world.ok("register")
    assert (registered["principal_id"], registered["bound"]) == (OWNER, False)
    world.advance(1)
    assert world.ok("register")["registered_at"] == registered["registered_at"]
    world.ok("mark_bound")
    assert world.call("get_user")["bound"] is True
    assert world.call("whoami") == OWNER


def test_a_nonce_names_who_proved_it_for_ten_minutes(world: PersonalWorld) -> None:
    world.ok("register_with_nonce", "session-1")
    world.advance(599)
    assert world.ok("verify_nonce", "session-1", sender=STRANGER) == OWNER
    world.ok("prove_nonce", "session-1")
    world.advance(599)
    assert world.ok("verify_nonce", "session-1") == OWNER
    world.advance(1)
    assert world.err("verify_nonce", "session-1").tag == "NotFound"
    assert world.err("verify_nonce", "session-2").tag == "NotFound"


def test_a_caller_has_so_many_nonces_at_once(world: PersonalWorld) -> None:
    for number in range(10):
        world.ok("prove_nonce", f"session-{number}")
    assert world.err("prove_nonce", "one-more").tag == "LimitExceeded"
    world.ok("prove_nonce", "session-0")
    world.advance(600)
    world.ok("prove_nonce", "one-more")
    assert world.err("prove_nonce", "").tag == "InvalidArgument"
    assert world.err("prove_nonce", "x" * 256).tag == "LimitExceeded"


# --- several people, on the backend ----------------------------------------------------------------------------------


@pytest.fixture
def backend() -> World:
    return World()


def test_a_nonce_that_someone_else_proved_is_taken(backend: World) -> None:
    backend.ok("prove_nonce", "session-1", sender=OWNER)
    assert backend.err("prove_nonce", "session-1", sender=FRIEND).tag == "AlreadyExists"
    assert backend.ok("verify_nonce", "session-1", sender=FRIEND) == OWNER


def connect(backend: World, sender: Principal, peer: Principal, status: str) -> None:
    if by_principal(peer) not in [item["peer"] for item in backend.ok("list_connections", sender=sender)]:
        backend.ok("add_connection", by_principal(peer), sender=sender)
    backend.ok("update_connection_status", by_principal(peer), Case(status), sender=sender)


def users(backend: World, sender: Principal) -> list[Principal]:
    return [user["principal_id"] for user in backend.call("list_users", sender=sender)]


STATUSES = ("Pending", "Accepted", "Blocked", "Revoked")


@pytest.mark.parametrize("mine", STATUSES)
def test_two_users_see_each_other_when_both_have_accepted(backend: World, mine: str) -> None:
    for sender in (OWNER, FRIEND):
        backend.ok("register", sender=sender)
        backend.capsule(sender)
    connect(backend, OWNER, FRIEND, mine)
    assert (users(backend, OWNER), users(backend, FRIEND)) == ([OWNER], [FRIEND]), "one-sided"
    for theirs in STATUSES:
        connect(backend, FRIEND, OWNER, theirs)
        both = mine == theirs == "Accepted"
        assert users(backend, OWNER) == ([OWNER, FRIEND] if both else [OWNER])
        assert users(backend, FRIEND) == ([FRIEND, OWNER] if both else [FRIEND])
    backend.ok("remove_connection", by_principal(FRIEND), sender=OWNER)
    assert (users(backend, OWNER), users(backend, FRIEND)) == ([OWNER], [FRIEND])


def test_a_user_is_shown_to_nobody_by_being_named(backend: World) -> None:
    for sender in (OWNER, STRANGER):
        backend.ok("register", sender=sender)
    backend.capsule(STRANGER)
    for peer in (OWNER, person("unregistered")):
        connect(backend, STRANGER, peer, "Accepted")
    assert users(backend, STRANGER) == [STRANGER], "neither whether somebody is registered nor whether they aren't"
    assert users(backend, ANONYMOUS) == []


def test_one_caller_has_one_self_capsule_and_may_keep_others(backend: World) -> None:
    first = backend.ok("register_capsule", sender=OWNER)
    assert first["is_new"] is True
    assert backend.ok("register_capsule", sender=OWNER) == first | {"is_new": False}
    assert backend.err("create_capsule", by_principal(OWNER), sender=OWNER).tag == "AlreadyExists"
    other = backend.ok("create_capsule", Case("Opaque", "Grandmother"), sender=OWNER)
    assert backend.err("create_capsule", Case("Opaque", "Grandmother"), sender=OWNER).tag == "AlreadyExists"
    mine = backend.call("list_my_capsules", sender=OWNER)
    assert [capsule["id"] for capsule in mine] == [first["capsule_id"], other["id"]]
    info = backend.ok("get_capsule_info", other["id"], sender=OWNER)
    assert (info["is_owner"], info["is_self_capsule"]) == (True, False)
    assert backend.err("get_capsule", other["id"], sender=FRIEND).tag == "NotFound"


def test_memories_go_to_the_capsule_that_is_named(backend: World) -> None:
    backend.capsule(OWNER)
    other = backend.ok("create_capsule", Case("Opaque", "Grandmother"), sender=OWNER)["id"]
    memory_id = backend.ok("add_memory_to_capsule", inline(b"x"), new_memory(capsule_id=other), sender=OWNER)
    assert backend.ok("list_capsule_memories", None, {}, sender=OWNER)["total"] == 0
    page = backend.ok("list_capsule_memories", other, {}, sender=OWNER)
    assert [item["memory"]["id"] for item in page["items"]] == [memory_id]


def test_the_subject_of_a_capsule_may_know_of_it_but_not_read_it(backend: World) -> None:
    capsule_id = backend.ok("create_capsule", by_principal(FRIEND), sender=OWNER)["id"]
    info = backend.ok("get_capsule_info", capsule_id, sender=FRIEND)
    assert (info["is_owner"], info["is_controller"]) == (False, False)
    assert backend.err("get_capsule", capsule_id, sender=FRIEND).tag == "Unauthorized"
    assert backend.err("get_capsule_info", capsule_id, sender=STRANGER).tag == "NotFound"
    assert backend.ok("register_capsule", sender=FRIEND)["is_new"] is True


def test_the_anonymous_caller_changes_nothing(backend: World) -> None:
    backend.capsule(OWNER)
    for method, arguments in (
        ("register", ()),
        ("prove_nonce", ("n",)),
        ("mark_bound", ()),
        ("register_capsule", ()),
        ("create_capsule", (Case("Opaque", "x"),)),
        ("add_memory_to_capsule", (inline(b"x"), new_memory())),
        ("add_connection", (Case("Opaque", "x"),)),
        ("create_connection_group", ({"name": "x", "members": []},)),
        ("store_gallery_forever", ({"title": "x", "is_public": True, "memory_entries": []},)),
    ):
        assert backend.err(method, *arguments, sender=ANONYMOUS).tag == "Unauthorized", method
