"""When the backend takes nothing more: by its admins' switches, its balance, its heap. Reading and deleting go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.values import Case
from canister_factory.replica.subnet.cycles import Prices
from support.backend_world import ADMIN, CONTROLLER, OPERATOR, OWNER, STRANGER, TRILLION, RejectedError, World
from support.personal_world import by_principal, gallery_entries, inline, new_memory, sha256
from support.reserve_figures import needed

PIECE = bytes(1_000)


class Filled(World):
    """A backend with a capsule that has one of everything, and an upload in progress."""

    def __init__(self, **init: Any) -> None:
        super().__init__(**init)
        self.capsule_id = self.capsule()
        self.memory_id = self.add_memory(100).value
        gallery = {"title": "t", "is_public": False, "memory_entries": gallery_entries(self.memory_id)}
        self.gallery_id = self.ok("store_gallery_forever", gallery, sender=OWNER)["id"]
        self.ok("add_connection", Case("Opaque", "Bob"), sender=OWNER)
        self.group_id = self.ok("create_connection_group", {"name": "g", "members": []}, sender=OWNER)
        request = {"memory": new_memory(), "total_size": 2_000, "chunk_size": 1_000}
        self.upload_id = self.ok("begin_memory_upload", request, sender=OWNER)["upload_id"]
        self.additions = {
            "add_memory_to_capsule": (inline(b"x"), new_memory()),
            "update_memory_in_capsule": (self.memory_id, {"info": {"name": "n"}}),
            "begin_memory_upload": (request,),
            "put_memory_upload_chunk": (self.upload_id, 0, PIECE, sha256(PIECE)),
            "commit_memory_upload": (self.upload_id,),
            "store_gallery_forever": (gallery,),
            "update_gallery": (self.gallery_id, {"title": "n"}),
            "add_connection": (Case("Opaque", "Carl"),),
            "update_connection_status": (Case("Opaque", "Bob"), Case("Blocked")),
            "create_connection_group": ({"name": "g", "members": []},),
            "update_connection_group": (self.group_id, {"name": "n"}),
            "record_capsule_event": (self.capsule_id, Case("Wedding")),
            "mark_bound": (),
            "register": (),
            "register_with_nonce": ("n",),
            "prove_nonce": ("n",),
            "create_capsule": (Case("Opaque", "Dora"),),
        }
        self.removals = {
            "abort_memory_upload": (self.upload_id,),
            "delete_gallery": (self.gallery_id,),
            "delete_connection_group": (self.group_id,),
            "remove_connection": (Case("Opaque", "Bob"),),
            "delete_memory_from_capsule": (self.memory_id,),
        }

    def refusals(self, calls: dict[str, tuple[Any, ...]]) -> dict[str, Case]:
        """What each call is refused with; together they change nothing."""
        before = self.seen()
        found = {method: self.err(method, *args, sender=OWNER) for method, args in calls.items()}
        assert self.seen() == before
        return found

    def seen(self) -> list[Any]:
        return [
            self.ok("get_capsule", self.capsule_id, sender=OWNER),
            self.ok("get_my_quota", sender=OWNER),
            self.ok("get_memory_from_capsule", self.memory_id, sender=OWNER),
            self.ok("get_memory_upload", self.upload_id, sender=OWNER),
            self.call("get_user", sender=OWNER),
        ]

    def remove_everything(self) -> None:
        for method, args in self.removals.items():
            self.ok(method, *args, sender=OWNER)
        assert self.ok("get_my_quota", sender=OWNER)["used"]["content_bytes"] == 0


# --- balance and heap ------------------------------------------------------------------------------------------------


def at_its_operating_minimum(world: World) -> Callable[[], None]:
    balance, world.backend_state.balance = world.backend_state.balance, 2 * TRILLION
    return lambda: setattr(world.backend_state, "balance", balance)


def with_a_heap_limit_below_the_use(world: World) -> Callable[[], None]:
    limit = world.ok("get_quotas", sender=ADMIN)["quotas"]["heap_bytes"]
    world.limit(heap_bytes=1_000_000)
    return lambda: world.limit(heap_bytes=limit)


@pytest.mark.parametrize("stop", [at_its_operating_minimum, with_a_heap_limit_below_the_use])
def test_nothing_is_added_before_cycles_or_heap_run_out_and_deletes_and_reads_go_on(
    stop: Callable[[World], Callable[[], None]],
) -> None:
    world = Filled()
    undo = stop(world)
    for method, problem in world.refusals(world.additions).items():
        if stop is at_its_operating_minimum:
            assert (problem.tag, "an admin must top it up" in problem.value["reason"]) == ("Locked", True), method
            assert "000" not in problem.value["reason"], "balances are for admins"
        else:
            assert (problem.tag, problem.value["limit"]) == ("LimitExceeded", 1_000_000), method
            assert problem.value["what"] == "bytes of this canister's heap"
            assert problem.value["actual"] > 1_000_000
    world.remove_everything()
    undo()
    assert world.add_memory(5).tag == "Ok"


def test_a_memory_limit_of_the_network_below_the_use_is_refused_and_changes_nothing() -> None:
    world = Filled()
    settings = {"canister_id": world.backend, "settings": {"wasm_memory_limit": 1_000_000}}
    with pytest.raises(RejectedError, match="wasm_memory_limit is 1000000 bytes"):
        world.manage("update_settings", settings, sender=CONTROLLER)
    assert world.add_memory(5).tag == "Ok"


def test_writes_stop_before_the_balance_is_below_the_minimum() -> None:
    """The message that is still taken is paid without going below it."""
    world = Filled()
    low, high = 2 * TRILLION, 3 * TRILLION
    while high - low > 10**6:
        world.backend_state.balance = middle = (low + high) // 2
        if world.add_memory(1_000).tag == "Ok":
            assert world.backend_state.balance > 2 * TRILLION
            high = middle
        else:
            low = middle
    assert low < 2 * TRILLION + TRILLION // 10


def test_contents_raise_the_balance_that_must_stay() -> None:
    """Under it the backend would be frozen: what it idles through in the freezing threshold."""
    world = Filled(quotas=None)
    threshold = 60 * 365 * 86_400  # so that a few megabytes are worth more than the operating minimum
    settings = {"freezing_threshold": threshold, "wasm_memory_limit": 2**30}
    world.ok("set_personal_canister_settings", settings, sender=ADMIN)
    before = world.reserve()["frozen"]
    assert before > 2 * TRILLION
    for _ in range(3):
        assert world.add_memory(2_000_000).tag == "Ok"
    reserve = world.reserve()
    grown = reserve["frozen"] - before
    assert grown >= 6_000_000 * 317_500 * threshold // 2**30
    assert reserve["available"] == max(0, reserve["balance"] - reserve["frozen"])
    world.backend_state.balance = reserve["frozen"]
    assert world.add_memory(1).value.tag == "Locked"


# --- switches --------------------------------------------------------------------------------------------------------


def switch(world: World, **changes: Any) -> None:
    world.ok("set_capsule_switches", {"new_capsules": True, "writes": True, "message": None} | changes, sender=ADMIN)


def test_without_writes_the_capsule_api_only_reads_and_says_why() -> None:
    world = Filled()
    switch(world, writes=False, message="we move on Sunday")
    everything = world.additions | {method: args for method, args in world.removals.items() if "abort" not in method}
    locked = Case("Locked", {"reason": "we move on Sunday", "until": None})
    refusals = world.refusals(everything)
    assert refusals == dict.fromkeys(refusals, locked)
    assert world.err("register_capsule", sender=STRANGER) == locked
    assert world.ok("register_capsule", sender=OWNER) == {"capsule_id": world.capsule_id, "is_new": False}
    switch(world)
    world.remove_everything()


def test_without_new_capsules_those_that_are_there_go_on() -> None:
    world = Filled()
    switch(world, new_capsules=False)
    reason = "the backend takes no new capsules at present"
    for sender in (OWNER, STRANGER):
        problem = world.err("create_capsule", by_principal(STRANGER), sender=sender)
        assert problem == Case("Locked", {"reason": reason, "until": None})
    assert world.add_memory(5).tag == "Ok"
    switch(world)
    world.ok("register_capsule", sender=STRANGER)


def test_everyone_can_see_the_switches() -> None:
    world = World()
    assert world.call("get_capsule_switches", sender=STRANGER) == {
        "new_capsules": True,
        "writes": True,
        "message": None,
    }
    switch(world, new_capsules=False, message="soon")
    assert world.call("get_capsule_switches", sender=STRANGER)["message"] == "soon"


@pytest.mark.parametrize("message", ["", "x" * 501])
def test_a_message_that_is_no_sentence_is_refused(message: str) -> None:
    world = World()
    wanted = {"new_capsules": False, "writes": True, "message": message}
    assert world.err("set_capsule_switches", wanted, sender=ADMIN)["kind"] == Case("InvalidRequest")
    assert world.call("get_capsule_switches", sender=STRANGER)["new_capsules"] is True


def test_a_creation_goes_on_while_nothing_is_written() -> None:
    world = World()
    lease, canister = world.copied()
    switch(world, writes=False)
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.approve()
    world.finalize(canister)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True


# --- what canisters are set to ---------------------------------------------------------------------------------------


def test_a_new_personal_canister_has_the_settings_that_admins_chose() -> None:
    world = World()
    _, usual = world.provisioned()
    settings = world.state(usual).settings
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (90 * 86_400, 3 * 2**30)
    chosen = {"freezing_threshold": 30 * 86_400, "wasm_memory_limit": 2**30}
    world.ok("set_personal_canister_settings", chosen, sender=ADMIN)
    _, other = world.provisioned(STRANGER)
    settings = world.state(other).settings
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == tuple(chosen.values())
    assert world.state(usual).settings.freezing_threshold == 90 * 86_400


def test_settings_that_a_creation_could_not_pay_for_are_refused() -> None:
    world = World()
    for wrong in ({"freezing_threshold": 10**10}, {"wasm_memory_limit": 5 * 2**30}, {"wasm_memory_limit": 0}):
        wanted = {"freezing_threshold": 1, "wasm_memory_limit": 2**30} | wrong
        error = world.err("set_personal_canister_settings", wanted, sender=ADMIN)
        assert (error["kind"], str(next(iter(wrong.values()))) in error["message"]) == (Case("InvalidRequest"), True)
    assert world.ok("get_personal_canister_settings", sender=ADMIN)["freezing_threshold"] == 90 * 86_400
    with pytest.raises(
        RejectedError,
        match="personal_canister_settings: funded_days is 365, and freezing_threshold 10000000000 seconds",
    ):
        World(personal_canister_settings={"freezing_threshold": 10**10, "wasm_memory_limit": 2**30})


def test_the_backend_reckons_with_no_less_than_the_network_keeps_from_being_spent() -> None:
    world = World()
    settings = {"freezing_threshold": 90 * 86_400}
    world.manage("update_settings", {"canister_id": world.backend, "settings": settings}, sender=CONTROLLER)
    world.capsule()
    for _ in range(5):
        kept = world.backend_state.freezing_threshold_cycles(Prices("configured"))
        assert kept <= world.reserve()["frozen"] < 2 * kept
        assert world.add_memory(2_000_000).tag == "Ok"


def test_what_a_creation_costs_leaves_a_canister_that_is_not_frozen() -> None:
    """By the dearest prices, with a tenth more memory than the contents, in the size that they have in the end."""
    prices = Prices("configured")
    copying = prices.of_ingress(1_000_000_000) + prices.of_execution(170 * 1_000_000_000)
    for content, work in ((0, 300_000_000_000), (1_000_000_000, 300_000_000_000 + copying)):
        frozen = 90 * prices.of_idling(24_000_000 + content * 11 // 10, 0)
        assert needed(content).first >= prices.of_creation() + work + frozen


def test_a_copied_canister_has_more_than_it_is_frozen_with() -> None:
    world = World()
    world.ok("set_reserve_settings", world.reserve()["settings"] | {"funded_days": 0}, sender=ADMIN)
    world.capsule()
    for _ in range(5):
        assert world.add_memory(2_000_000).tag == "Ok"
    _, canister = world.copied()
    state = world.state(canister)
    assert state.settings.freezing_threshold == 90 * 86_400
    assert state.balance > state.freezing_threshold_cycles(Prices("configured"))
