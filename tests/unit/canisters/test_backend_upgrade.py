"""Everything the backend knows survives an upgrade, at whatever stage the creations are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    CONTROLLER,
    OPERATOR,
    OTHER_OPERATOR,
    OWNER,
    STRANGER,
    RejectedError,
    World,
    encode_args,
    failure,
    interface,
    wasm,
)
from support.reserve_figures import RESERVE


def requested(world: World) -> None:
    world.request(config={"name": "Ana"})


def exporting(world: World) -> None:
    requested(world)
    world.ok("begin_export", world.claim(), True, sender=OPERATOR)


def creating(world: World) -> None:
    world.provisioned()


def installing(world: World) -> None:
    world.report(world.provisioned()[0], "Installing")


def importing(world: World) -> None:
    world.copied()


def verifying(world: World) -> None:
    world.verified()


def completed(world: World) -> None:
    world.completed()


def failed(world: World) -> None:
    lease, _ = world.provisioned()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)


OTHERWISE = ("balance", "available", "recommended_top_up", "frozen", "heap_bytes_used")
"""What messages are paid from, and what follows the memory, whose form an upgrade may change."""
STATES = [requested, exporting, creating, installing, importing, verifying, completed, failed]


def everything(world: World) -> dict[str, Any]:
    """What owners and admins can see."""
    seen: dict[str, Any] = {
        "owner": world.status(),
        "canister": world.call("get_my_personal_canister_id", sender=OWNER),
    }
    lists: dict[str, tuple[Any, ...]] = {
        "list_admins": (),
        "list_operators": (),
        "list_all_creation_states": ({},),
        "get_creation_states_by_status": (Case(world.stage()), {}),
        "list_open_requests": ({},),
        "get_personal_canister_creation_stats": (),
        "get_creation_limits": (),
        "get_personal_canister_settings": (),
        "get_user_quota": (OWNER,),
        "list_registry": ({},),
        "list_consumption": ({},),
        "list_notifications": ({},),
        "list_errors": ({},),
        "get_error_rate": (None,),
    }
    for method, args in lists.items():
        seen[method] = world.ok(method, *args, sender=ADMIN)
    seen["capsule"] = world.ok("get_capsule", world.capsule(), sender=OWNER)
    seen["releases"] = world.call("list_releases", sender=OWNER)
    seen["enabled"] = world.call("is_personal_canister_creation_enabled", sender=OWNER)
    seen["switches"] = world.call("get_capsule_switches", sender=OWNER)
    for method in ("get_reserve_status", "get_quotas"):
        found = world.ok(method, sender=ADMIN)
        seen[method] = {key: value for key, value in found.items() if key not in OTHERWISE}
    return seen


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_an_upgrade_keeps_everything(reach: Callable[[World], None]) -> None:
    world = World()
    world.capsule()
    world.add_memory(100)
    reach(world)
    world.ok("set_reserve_threshold", 99 * 10**12, sender=ADMIN)  # a notification
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    limits = {"max_in_progress": 7, "max_per_hour": 8}
    world.ok("set_creation_limits", limits, sender=ADMIN)
    world.limit(person={"memories": 77}, total={"nonces": 78}, heap_bytes=79 * 10**6)
    switches = {"new_capsules": False, "writes": True, "message": "we move"}
    world.ok("set_capsule_switches", switches, sender=ADMIN)
    canisters = {"freezing_threshold": 80, "wasm_memory_limit": 81 * 10**7}
    world.ok("set_personal_canister_settings", canisters, sender=ADMIN)
    before = everything(world)
    world.upgrade_backend()
    assert everything(world) == before
    assert before["get_creation_limits"] == limits
    assert before["get_quotas"]["quotas"]["person"]["memories"] == 77
    assert (before["switches"], before["get_personal_canister_settings"]) == (switches, canisters)


def test_a_creation_goes_on_after_an_upgrade_with_the_same_lease() -> None:
    world = World()
    world.approve()
    lease, canister = world.copied()
    world.upgrade_backend()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.finalize(canister)
    world.upgrade_backend()
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True
    world.upgrade_backend()
    world.hand_over(canister, OWNER)
    world.upgrade_backend()
    assert world.ok("complete_creation", lease, sender=OPERATOR)["status"] == Case("Completed")


def test_lease_numbers_go_on_growing_after_an_upgrade() -> None:
    world = World()
    world.request()
    before = world.claim()["lease"]
    world.upgrade_backend()
    assert world.claim()["lease"] > before


def test_a_lease_ends_after_an_upgrade_when_it_would_have_ended() -> None:
    world = World()
    world.request()
    lease = world.claim()
    world.upgrade_backend()
    assert world.err("claim_creation", {"owner": OWNER, "worker": "other"}, sender=OTHER_OPERATOR)["kind"] == Case(
        "Busy"
    )
    world.advance(61)
    world.upgrade_backend()
    assert world.claim(operator=OTHER_OPERATOR)["lease"] > lease["lease"]


def test_the_write_lock_holds_over_an_upgrade_and_ends_with_its_lease() -> None:
    world = World()
    exporting(world)
    until = world.add_memory(1).value.value["until"]
    world.upgrade_backend()
    assert world.add_memory(1).value.value["until"] == until
    world.now_ns = until + 1
    assert world.add_memory(1).tag == "Ok"


def test_the_seal_of_a_verified_capsule_holds_over_an_upgrade_when_its_lease_is_gone() -> None:
    world = World()
    verifying(world)
    until = world.add_memory(1).value.value["until"]
    world.advance(100)
    world.upgrade_backend()
    refused = world.add_memory(1).value
    assert refused.tag == "Locked", "the worker may be between handoff and completion"
    assert refused.value["until"] == until
    world.now_ns = until + 1
    world.run()  # the backend's timer, armed again by the upgrade: nothing was handed over
    assert world.add_memory(1).tag == "Ok"


def test_a_seal_whose_time_is_over_at_an_upgrade_is_looked_after_at_once() -> None:
    world = World()
    verifying(world)
    world.hand_over(world.status()["canister_id"], OWNER)
    world.advance(500)
    world.upgrade_backend()
    assert world.stage() == "Completed"


def test_a_moved_capsule_stays_read_only_after_an_upgrade() -> None:
    world = World()
    canister = world.completed()
    world.upgrade_backend()
    assert world.add_memory(1).value == Case("Moved", {"personal_canister": canister})


def test_a_failed_creation_goes_on_after_an_upgrade_with_the_canister_that_was_paid_for() -> None:
    world = World()
    failed(world)
    before = world.status()
    world.upgrade_backend()
    lease = world.exporting()
    again = world.ok("provision_canister", lease, sender=OPERATOR)
    assert (again["canister_id"], again["is_new"]) == (before["canister_id"], False)
    assert world.reserve()["total_consumed"] == before["cycles_consumed"] > 0


@pytest.mark.parametrize("reach", [requested, importing], ids=lambda reach: reach.__name__)
def test_the_arguments_of_an_upgrade_change_nothing(reach: Callable[[World], None]) -> None:
    reserve = RESERVE.model_dump() | {"threshold": 7, "operating_minimum": 9, "funded_days": 11}
    world = World(reserve=reserve, creation_enabled=True)
    reach(world)
    world.ok("remove_operator", OTHER_OPERATOR, sender=ADMIN)
    before = everything(world)
    other = RESERVE.model_dump() | {"threshold": 1, "funded_days": 1}
    limits = {"max_in_progress": 1, "max_per_hour": 1}
    people = {"admins": [STRANGER], "operators": [STRANGER]}
    world.upgrade_backend(init={**people, "reserve": other, "creation_enabled": False, "limits": limits})
    assert everything(world) == before
    assert before["list_operators"] == [OPERATOR]
    assert before["enabled"] is True


@pytest.mark.parametrize(
    ("persistence", "refusal"),
    [
        ("keep", "requires that the new module supports enhanced orthogonal persistence"),
        ("replace", "higher stable memory version"),
    ],
)
def test_a_module_that_cannot_take_the_state_over_is_refused_and_the_backend_goes_on(
    persistence: str, refusal: str
) -> None:
    world = World()
    importing(world)
    before, module = everything(world), world.backend_state.module
    arg = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    upgrade = Case("upgrade", {"skip_pre_upgrade": None, "wasm_memory_persistence": Case(persistence)})
    with pytest.raises(RejectedError, match=refusal):
        world.install(world.backend, wasm("personal"), arg, CONTROLLER, upgrade)
    assert world.backend_state.module is module
    assert everything(world) == before


def test_no_upgrade_comes_between_a_creation_call_and_its_answer() -> None:
    world = World()
    lease = world.exporting()
    provisioning = world.start("provision_canister", lease, sender=OPERATOR)
    with pytest.raises(RejectedError, match="outstanding"):
        world.upgrade_backend()
    canister = world.finish("provision_canister", provisioning).value["canister_id"]
    assert world.status()["canister_id"] == canister
