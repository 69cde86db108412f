"""The seal of a verified capsule: no time lifts it, but a look of the backend at the canister."""

from __future__ import annotations

import pytest

from canister_factory.candid.values import Case
from support.backend_world import CONTROLLER, OPERATOR, OWNER, World, failure
from support.creation_stages import GRACE_S, PERMIT_S
from support.personal_world import inline, new_memory


@pytest.fixture
def world() -> World:
    return World()


def write(world: World) -> Case:
    answer = world.call("add_memory_to_capsule", inline(b"x"), new_memory(), sender=OWNER)
    assert isinstance(answer, Case)
    return answer


def look(world: World) -> None:
    """Time for the backend's timer, and for the answer of the management canister."""
    world.advance(PERMIT_S + GRACE_S + 1)
    for _ in range(5):
        world.advance(1)
        world.run()


def test_handed_over_means_completed_also_when_a_failure_is_on_record(world: World) -> None:
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert write(world).tag == "Err"
    look(world)
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Completed")
    assert write(world).value.tag == "Moved"


def test_not_handed_over_means_that_the_owner_writes_again(world: World) -> None:
    lease, _ = world.verified()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    refused = write(world)
    assert refused.value.tag == "Locked"
    look(world)
    assert write(world).tag == "Ok"
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Failed")


def test_an_upgrade_does_not_forget_to_look(world: World) -> None:
    _, canister = world.verified()
    world.hand_over(canister, OWNER)
    world.upgrade_backend()
    look(world)
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Completed")


def emptied_after_its_verification(world: World) -> dict[str, object]:
    """A canister that the operator took a memory from between verification and handoff; the creation's lease."""
    world.capsule(OWNER)
    memory_id = world.add_memory(10).value
    lease, canister = world.verified()

    def there(method: str, *arguments: object) -> object:
        return world.ok(method, *arguments, sender=OPERATOR, on=canister, kind="personal")

    session = there("begin_import")["id"]  # type: ignore[index]
    there("remove_items", session, [{"kind": Case("Memory"), "id": memory_id}])
    there("finalize_import", session)
    world.hand_over(canister, OWNER)
    return lease


def test_what_was_changed_after_its_verification_is_never_called_complete(world: World) -> None:
    lease = emptied_after_its_verification(world)
    error = world.err("complete_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("VerifyFailed"), True)
    assert "changed between its verification and its handoff" in error["message"]
    status = world.call("get_detailed_creation_status", sender=OWNER)
    assert (status["status"], status["canister_id"], len(status["lost_canisters"])) == (Case("Failed"), None, 1)
    assert write(world).tag == "Ok", "the capsule is the owner's as it was"


def test_nor_does_the_backend_call_it_complete_by_itself(world: World) -> None:
    emptied_after_its_verification(world)
    look(world)
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Failed")
    assert write(world).tag == "Ok"


def test_what_was_found_equal_is_not_unmade_by_a_later_difference(world: World) -> None:
    """The operator may have handed over on the first report; what the canister has decides on it then."""
    lease, canister = world.verified()
    session = world.ok("begin_import", sender=OPERATOR, on=canister, kind="personal")["id"]
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert not report["matches"]
    world.ok("finalize_import", session, sender=OPERATOR, on=canister, kind="personal")
    world.hand_over(canister, OWNER)
    look(world)
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Completed")
    assert write(world).tag == "Err"


def test_a_sealed_canister_is_not_given_up(world: World) -> None:
    lease, _ = world.verified()
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("Busy")


def test_two_verifications_at_once_leave_no_write_lock(world: World) -> None:
    """The second took the first one's lock for an older one, and left it."""
    lease, canister = world.copied()
    world.approve()
    world.finalize(canister)
    assert write(world).tag == "Ok", "so that both sides differ"
    both = [world.start("verify_creation", lease, sender=OPERATOR) for _ in range(2)]
    world.run()
    for request in both:
        report = world.finish("verify_creation", request)
        assert report.tag == "Ok", report
        assert not report.value["matches"]
    assert write(world).tag == "Ok"


def test_verifying_again_does_not_put_off_the_look(world: World) -> None:
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    for _ in range(5):
        world.advance(30)
        world.ok("renew_lease", lease, sender=OPERATOR)
        world.ok("verify_creation", lease, sender=OPERATOR)
    world.advance(31)
    world.run()
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Completed")


@pytest.mark.parametrize("messages", range(4))
def test_a_backend_that_is_stopped_when_it_wants_to_look_looks_once_it_runs(world: World, messages: int) -> None:
    """What a timer sets off is a message of the canister to itself, which is refused when it finds it stopping."""
    _, canister = world.verified()
    world.hand_over(canister, OWNER)
    world.advance(PERMIT_S + GRACE_S + 1)
    for _ in range(messages):
        world.subnet.execute_round(1)
    for act in ("stop_canister", "start_canister"):
        world.manage(act, {"canister_id": world.backend}, CONTROLLER)
    for _ in range(2):  # the first may have to be given up
        look(world)
    assert world.call("get_creation_status", sender=OWNER)["status"] == Case("Completed")
