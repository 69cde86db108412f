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
    failure,
    person,
)

LEASE = {"owner": OWNER, "lease": 1}
SETTINGS = {"threshold": 1, "operating_minimum": 1, "creation_base_cycles": 10**12, "creation_cycles_per_byte": 1}
USAGE = dict.fromkeys(
    ("content_bytes", "record_bytes", "memories", "galleries", "capsules", "uploads", "nonces"), 10**6
)
QUOTAS = {"person": USAGE | {"memories": 9, "galleries": 9}, "total": USAGE, "heap_bytes": 10**9}
PROGRESS = {"stage": Case("Importing"), "bytes_done": 0, "bytes_total": 0, "items_done": 0, "items_total": 0}
PAGE: dict[str, Any] = {}

ADMIN_ONLY: dict[str, tuple[Any, ...]] = {
    "add_admin": (STRANGER,),
    "remove_admin": (STRANGER,),
    "list_admins": (),
    "add_operator": (STRANGER,),
    "remove_operator": (STRANGER,),
    "list_operators": (),
    "clear_creation_state": (OWNER,),
    "set_personal_canister_creation_enabled": (False,),
    "set_creation_limits": ({"max_in_progress": 1, "max_per_hour": 1},),
    "set_quotas": (QUOTAS,),
    "set_capsule_switches": ({"new_capsules": True, "writes": True},),
    "set_personal_canister_settings": ({"freezing_threshold": 1, "wasm_memory_limit": 10**9},),
    "get_personal_canister_creation_stats": (),
    "register_release": ({"module_hash": bytes(32), "api_version": "1.0.0", "note": ""},),
    "revoke_release": (bytes(32),),
    "set_reserve_settings": (SETTINGS,),
    "set_reserve_threshold": (1,),
    "top_up_reserve": (),
    "acknowledge_notification": (1,),
    "set_migration_enabled": (False,),
    "get_migration_stats": (),
}
STAFF_ONLY: dict[str, tuple[Any, ...]] = {
    "get_user_creation_status": (OWNER,),
    "list_all_creation_states": (PAGE,),
    "get_creation_states_by_status": (Case("Failed"), PAGE),
    "list_registry": (PAGE,),
    "get_registry_entry": (OWNER,),
    "get_reserve_status": (),
    "get_creation_limits": (),
    "get_personal_canister_settings": (),
    "get_quotas": (),
    "get_user_quota": (OWNER,),
    "get_consumption_report": (None,),
    "list_consumption": (PAGE,),
    "list_notifications": (PAGE,),
    "list_errors": (PAGE,),
    "get_error_rate": (None,),
    "list_open_requests": (PAGE,),
}
OPERATOR_ONLY: dict[str, tuple[Any, ...]] = {
    "claim_creation": ({"owner": OWNER, "worker": "w"},),
    "renew_lease": (LEASE,),
    "release_lease": (LEASE,),
    "report_progress": (LEASE, PROGRESS, ""),
    "begin_export": (LEASE, True),
    "list_export_entries": (LEASE, None, None),
    "get_export_items": (LEASE, []),
    "get_export_memory_manifests": (LEASE, []),
    "read_export_chunk": (LEASE, "m", 0),
    "provision_canister": (LEASE,),
    "verify_creation": (LEASE,),
    "complete_creation": (LEASE,),
    "fail_creation": (LEASE, failure()),
}


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
