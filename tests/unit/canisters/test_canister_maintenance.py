"""Maintenance: a module that starts under it writes nothing until the canister's controllers end it.

And upgrades without an argument.
"""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    CONTROLLER,
    OPERATOR,
    OWNER,
    STRANGER,
    TRILLION,
    RejectedError,
    World,
    another_build,
    interface,
    wasm,
)
from support.owner_world import begin, put
from support.personal_world import PersonalWorld, capsule_record, inline, new_memory

VARIABLE = "canister_factory_upgrade"
A_LOOK = 26_000_000
"""Cycles of one look for the variable."""
EMPTY_ARGUMENTS = {"no values": b"DIDL\0\0", "no bytes": b""}


def set_variable(world: World, canister: Principal, sender: Principal, value: str | None) -> None:
    variables = [] if value is None else [{"name": VARIABLE, "value": value}]
    argument = {"canister_id": canister, "settings": {"environment_variables": variables}}
    world.manage("update_settings", argument, sender=sender)


def in_maintenance(world: World) -> None:
    """The canister of its controller begins maintenance, and a new module starts."""
    if isinstance(world, PersonalWorld):
        set_variable(world, world.personal, OWNER, "on")
        world.upgrade()
    else:
        set_variable(world, world.backend, CONTROLLER, "on")
        world.upgrade_backend()


def ended(world: World) -> None:
    canister, controller = (world.personal, OWNER) if isinstance(world, PersonalWorld) else (world.backend, CONTROLLER)
    set_variable(world, canister, controller, None)
    world.advance(1.1)
    world.run()


def owned() -> PersonalWorld:
    world = PersonalWorld()
    world.imported()
    return world


def personal_writes(world: PersonalWorld, upload_id: int) -> list[tuple[str, tuple[Any, ...]]]:
    return [
        ("add_memory_to_capsule", (inline(b"new"), new_memory())),
        ("register", ()),
        ("mark_bound", ()),
        ("add_connection", (Case("Principal", STRANGER),)),
        ("begin_memory_upload", ({"memory": new_memory(), "total_size": 5, "chunk_size": 5},)),
        ("abort_memory_upload", (upload_id,)),
        ("commit_memory_upload", (upload_id,)),
        ("create_connection_group", ({"name": "a", "members": []},)),
        ("close_for_undo", ()),
        ("change_backend", (STRANGER,)),
    ]


def test_under_maintenance_nobody_writes_to_a_personal_canister_and_everybody_reads() -> None:
    world = owned()
    held = world.ok("add_memory_to_capsule", inline(b"held"), new_memory())
    upload_id = begin(world, [b"x" * 10])
    in_maintenance(world)
    before = world.state(world.personal).certified_data
    for method, arguments in personal_writes(world, upload_id):
        refused = world.err(method, *arguments)
        assert refused.tag == "Locked", method
        assert "is being upgraded" in refused.value["reason"], method
        assert refused.value["until"] is None, method
    assert world.ok("get_memory_from_capsule", held)["id"] == held
    assert world.state(world.personal).certified_data == before

    world.advance(600)
    world.run()
    assert world.err("add_memory_to_capsule", inline(b"new"), new_memory()).tag == "Locked", "no time ends it"
    ended(world)
    put(world, upload_id, [b"x" * 10], 0)
    world.ok("commit_memory_upload", upload_id)
    world.ok("add_memory_to_capsule", inline(b"new"), new_memory())


def test_a_maintenance_that_nobody_ends_does_not_use_up_the_canisters_cycles() -> None:
    world = owned()
    in_maintenance(world)
    at_once = burned(world, steps=10, seconds=1)
    world.advance(86_400)
    world.run()
    assert burned(world, steps=60, seconds=10) < at_once, "fewer than ten looks in ten minutes"
    set_variable(world, world.personal, OWNER, None)
    world.advance(600)
    world.run()
    world.ok("add_memory_to_capsule", inline(b"new"), new_memory())


def burned(world: PersonalWorld, *, steps: int, seconds: int) -> int:
    before = world.state(world.personal).balance
    for _ in range(steps):
        world.advance(seconds)
        world.run()
    return before - world.state(world.personal).balance


def test_maintenance_begins_when_a_module_starts_and_survives_another_upgrade() -> None:
    world = owned()
    set_variable(world, world.personal, OWNER, "on")
    world.ok("add_memory_to_capsule", inline(b"still running"), new_memory())
    world.upgrade()
    world.upgrade(another_build("personal"))
    assert world.err("add_memory_to_capsule", inline(b"new"), new_memory()).tag == "Locked"
    ended(world)
    world.ok("add_memory_to_capsule", inline(b"new"), new_memory())


def test_an_import_waits_for_the_end_of_the_maintenance() -> None:
    world = PersonalWorld()
    session = world.begin()
    in_maintenance(world)
    assert world.err("begin_import", sender=OPERATOR).tag == "Locked"
    assert world.err("put_items", session, [], sender=OPERATOR).tag == "Locked"
    ended(world)
    world.ok("begin_import", sender=OPERATOR)


def test_what_an_operator_began_ends_when_the_canister_is_its_owners() -> None:
    world = PersonalWorld()
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.ok("finalize_import", session, sender=OPERATOR)
    set_variable(world, world.personal, OPERATOR, "on")
    world.install(world.personal, wasm("personal"), world.init_arg, OPERATOR, Case("upgrade", None))
    assert world.err("abort_memory_upload", 1).tag == "Locked"
    world.hand_over(world.personal, OWNER)
    assert world.err("abort_memory_upload", 1).tag == "NotFound", "the very first message"
    world.ok("add_memory_to_capsule", inline(b"at once"), new_memory())
    world.advance(1)
    world.run()
    assert burned(world, steps=10, seconds=1) < A_LOOK, "nobody looks for the variable any more"

    world.upgrade()
    assert world.err("add_memory_to_capsule", inline(b"new"), new_memory()).tag == "Locked", "the owner's own"
    ended(world)
    world.ok("add_memory_to_capsule", inline(b"new"), new_memory())


def test_an_upgrade_that_is_the_first_thing_an_owner_does_is_under_maintenance() -> None:
    world = owned()
    in_maintenance(world)
    assert world.err("abort_memory_upload", 1).tag == "Locked", "the canister's first message of all"
    assert world.err("add_memory_to_capsule", inline(b"new"), new_memory()).tag == "Locked"
    ended(world)
    world.ok("add_memory_to_capsule", inline(b"new"), new_memory())


def test_nobody_but_a_controller_begins_or_ends_it() -> None:
    world = owned()
    in_maintenance(world)
    for sender in (OPERATOR, ADMIN, STRANGER):
        with pytest.raises(RejectedError, match="IC0512"):
            set_variable(world, world.personal, sender, None)
    assert world.err("add_memory_to_capsule", inline(b"new"), new_memory()).tag == "Locked"


def test_under_maintenance_nobody_writes_to_a_backend_and_creations_wait() -> None:
    world = World()
    world.capsule(STRANGER)
    lease, canister = world.verified()
    in_maintenance(world)
    assert world.add_memory(10, owner=STRANGER).value.tag == "Locked"
    assert world.err("register", sender=CONTROLLER).tag == "Locked"
    assert world.err("register_capsule", sender=CONTROLLER).tag == "Locked"
    for method, arguments, sender in (
        ("create_personal_canister", (None,), STRANGER),
        ("cancel_personal_canister", (), OWNER),
        ("undo_personal_canister", (None,), OWNER),
        ("begin_move_back", (), OWNER),
        ("request_erasure", (None,), OWNER),
        ("cancel_erasure", (), OWNER),
        ("claim_creation", ({"owner": OWNER, "worker": "worker-1"},), OPERATOR),
        ("renew_lease", (lease,), OPERATOR),
        ("verify_creation", (lease,), OPERATOR),
        ("complete_creation", (lease,), OPERATOR),
        ("add_operator", (STRANGER,), ADMIN),
        ("set_admission", (Case("Listed"),), ADMIN),
        ("abort_creation", (OWNER, "because"), ADMIN),
        ("revoke_release", (b"x" * 32,), ADMIN),
        ("decline_creation", (OWNER, "because"), ADMIN),
    ):
        refused = world.err(method, *arguments, sender=sender)
        assert (refused["kind"].tag, refused["retry_helps"]) == ("Disabled", True), method
        assert "is being upgraded" in refused["message"], method
    topped = world.top_up(TRILLION, ADMIN)
    assert topped.value["kind"].tag == "Disabled"

    ended(world)
    world.hand_over(canister, OWNER)
    assert world.ok("complete_creation", lease, sender=OPERATOR)["status"] == Case("Completed")


def test_a_backend_looks_at_no_canister_under_maintenance_and_does_after_it() -> None:
    world = World()
    _, canister = world.verified()
    in_maintenance(world)
    world.hand_over(canister, OWNER)
    world.advance(1_000)
    world.run()
    assert world.stage() == "Verifying", "the seal's look would have completed it"
    ended(world)
    for _ in range(60):  # it looks again where the network had no answer at once
        world.advance(1)
        world.run()
    assert world.stage() == "Completed"


@pytest.mark.parametrize("argument", EMPTY_ARGUMENTS.values(), ids=EMPTY_ARGUMENTS)
def test_an_upgrade_needs_no_argument(argument: bytes) -> None:
    personal = owned()
    held = personal.ok("add_memory_to_capsule", inline(b"held"), new_memory())
    before = personal.call("get_personal_info")
    personal.init_arg = argument
    personal.upgrade()
    assert personal.call("get_personal_info") == before
    assert personal.ok("get_memory_from_capsule", held)["id"] == held

    backend = World()
    capsule = backend.capsule()
    keep = {"skip_pre_upgrade": None, "wasm_memory_persistence": Case("keep")}
    backend.install(backend.backend, wasm("backend"), argument, CONTROLLER, Case("upgrade", keep))
    assert backend.capsule() == capsule
    assert OPERATOR in backend.ok("list_operators", sender=ADMIN)


@pytest.mark.parametrize("argument", EMPTY_ARGUMENTS.values(), ids=EMPTY_ARGUMENTS)
def test_an_installation_of_a_personal_canister_needs_one(argument: bytes) -> None:
    world = PersonalWorld()
    canister = world.new_canister(OWNER)
    with pytest.raises(RejectedError, match="an installation needs the owner and the backend"):
        world.install(canister, wasm("personal"), argument, OWNER)
    assert world.state(canister).module is None


def test_a_backend_is_installed_without_an_argument() -> None:
    world = World()
    canister = world.new_canister(ADMIN)
    world.install(canister, wasm("backend"), b"", ADMIN)
    assert world.ok("list_admins", sender=ADMIN, on=canister) == [ADMIN]
    assert len(interface("backend").init_args) == 1
