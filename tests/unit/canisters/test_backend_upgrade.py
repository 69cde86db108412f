"""Everything the backend knows survives an upgrade, at whatever stage the creations are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from backend_world import ADMIN, CONTROLLER, OPERATOR, OTHER_OPERATOR, OWNER, RejectedError, World, failure

from canister_factory.candid.values import Case


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


PAID_BY_MESSAGES = ("balance", "available", "recommended_top_up")
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
    seen["reserve"] = {key: value for key, value in world.reserve().items() if key not in PAID_BY_MESSAGES}
    return seen


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_an_upgrade_keeps_everything(reach: Callable[[World], None]) -> None:
    world = World()
    world.capsule()
    world.add_memory(100)
    reach(world)
    world.ok("set_reserve_threshold", 99 * 10**12, sender=ADMIN)  # a notification
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    before = everything(world)
    world.upgrade_backend()
    assert everything(world) == before


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


def test_the_arguments_of_an_upgrade_change_no_role() -> None:
    world = World()
    world.ok("remove_operator", OTHER_OPERATOR, sender=ADMIN)
    world.upgrade_backend()
    assert world.ok("list_operators", sender=ADMIN) == [OPERATOR]
    assert world.ok("list_admins", sender=CONTROLLER) == [ADMIN]


def test_no_upgrade_comes_between_a_creation_call_and_its_answer() -> None:
    world = World()
    world.request()
    lease = world.claim()
    world.ok("begin_export", lease, False, sender=OPERATOR)
    provisioning = world.start("provision_canister", lease, sender=OPERATOR)
    with pytest.raises(RejectedError, match="outstanding"):
        world.upgrade_backend()
    canister = world.finish("provision_canister", provisioning).value["canister_id"]
    assert world.status()["canister_id"] == canister
