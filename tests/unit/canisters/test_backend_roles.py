"""Who may call what on the backend."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    ANONYMOUS,
    CONTROLLER,
    MANAGEMENT,
    OPERATOR,
    OWNER,
    STRANGER,
    World,
    person,
)
from support.role_calls import ADMIN_ONLY, OPERATOR_ONLY, STAFF_ONLY


def outsiders(methods: dict[str, tuple[Any, ...]], callers: tuple[Any, ...]) -> list[Any]:
    return [
        pytest.param(method, args, caller, id=f"{method}-{caller}")
        for method, args in methods.items()
        for caller in callers
    ]


@pytest.mark.parametrize(
    ("method", "args", "caller"),
    outsiders(ADMIN_ONLY, (STRANGER, OWNER, OPERATOR, ANONYMOUS))
    + outsiders(STAFF_ONLY, (STRANGER, OWNER, ANONYMOUS))
    + outsiders(OPERATOR_ONLY, (STRANGER, OWNER, ADMIN, ANONYMOUS)),
)
def test_a_caller_without_the_role_is_refused(method: str, args: tuple[Any, ...], caller: Any) -> None:
    world = World()
    world.request()
    world.claim()
    error = world.err(method, *args, sender=caller)
    assert error["kind"] == Case("Unauthorized")
    assert ("anonymous" if caller == ANONYMOUS else str(caller)) in error["message"]


def test_the_installer_and_the_named_admins_are_admins_and_controllers_count_as_such() -> None:
    named = person("second-admin")
    world = World(admins=[named])
    assert set(world.ok("list_admins", sender=CONTROLLER)) == {ADMIN, named}
    world.ok("add_operator", STRANGER, sender=CONTROLLER)
    assert STRANGER in world.ok("list_operators", sender=named)


def test_nobody_becomes_admin_by_calling_first() -> None:
    world = World()
    world.err("add_admin", STRANGER, sender=STRANGER)
    assert world.ok("list_admins", sender=ADMIN) == [ADMIN]


@pytest.mark.parametrize("unfit", [ANONYMOUS, MANAGEMENT])
def test_the_anonymous_principal_and_the_management_canister_get_no_role(unfit: Any) -> None:
    world = World(admins=[unfit], operators=[unfit])
    assert world.err("add_admin", unfit, sender=ADMIN)["kind"] == Case("InvalidRequest")
    assert world.err("add_operator", unfit, sender=ADMIN)["kind"] == Case("InvalidRequest")
    assert world.ok("list_admins", sender=ADMIN) == [ADMIN]
    assert world.ok("list_operators", sender=ADMIN) == []


def test_the_last_admin_stays_unless_a_controller_removes_it() -> None:
    world = World()
    assert "last admin" in world.err("remove_admin", ADMIN, sender=ADMIN)["message"]
    world.ok("add_admin", STRANGER, sender=ADMIN)
    world.ok("remove_admin", ADMIN, sender=ADMIN)
    assert world.err("list_admins", sender=ADMIN)["kind"] == Case("Unauthorized")
    world.ok("remove_admin", STRANGER, sender=CONTROLLER)
    assert world.ok("list_admins", sender=CONTROLLER) == []


def test_a_removed_operator_can_do_nothing_with_the_lease_it_holds() -> None:
    world = World()
    world.request()
    lease = world.claim()
    world.ok("remove_operator", OPERATOR, sender=ADMIN)
    assert world.err("begin_export", lease, False, sender=OPERATOR)["kind"] == Case("Unauthorized")


def test_messages_that_would_be_refused_are_dropped_before_they_cost_anything() -> None:
    world = World()
    assert not world.accepts("register_capsule", sender=ANONYMOUS)
    assert not world.accepts("create_personal_canister", None, sender=ANONYMOUS)
    assert not world.accepts("add_admin", STRANGER, sender=STRANGER)
    assert not world.accepts("claim_creation", {"owner": OWNER, "worker": "w"}, sender=ADMIN)
    assert world.accepts("register_capsule", sender=STRANGER)
    assert world.accepts("add_admin", STRANGER, sender=ADMIN)
    assert world.accepts("claim_creation", {"owner": OWNER, "worker": "w"}, sender=OPERATOR)
    assert not world.accepts("get_api_version", sender=ANONYMOUS), "a query costs nothing; an update does"
    assert world.accepts("get_api_version", sender=ADMIN)


def test_an_admin_changes_nothing_of_a_capsule() -> None:
    world = World()
    capsule_id = world.capsule()
    memory_id = world.add_memory(10).value
    for method, arguments in {
        "delete_memory_from_capsule": (memory_id,),
        "update_memory_in_capsule": (memory_id, {"access": Case("Public")}),
        "get_memory_from_capsule": (memory_id,),
        "record_capsule_event": (capsule_id, Case("AfterDeath")),
        "add_executor": (capsule_id, ADMIN),
    }.items():
        assert world.call(method, *arguments, sender=ADMIN).value.tag == "NotFound", method
