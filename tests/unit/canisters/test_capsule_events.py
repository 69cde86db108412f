"""Events that access rules wait for, on the built Wasm of both canisters, as time goes by: owners record and revoke
them, executors record them and wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, CONTROLLER, OPERATOR, OWNER, STRANGER, World, person
from support.personal_world import (
    CAPSULE_ID,
    PersonalWorld,
    by_principal,
    capsule_record,
    inline,
    new_memory,
)

DAY_NS = 86_400_000_000_000
EXECUTOR, SECOND, HELPER = person("executor"), person("second executor"), person("helper")
DEATH, WEDDING = Case("AfterDeath"), Case("Wedding")


class EventWorld:
    """A capsule with an owner, a controller on the personal canister, two executors, and a memory that waits."""

    def __init__(self, kind: str) -> None:
        self.world = World() if kind == "backend" else PersonalWorld()
        if isinstance(self.world, PersonalWorld):
            granted = {"granted_at": 0, "granted_by": by_principal(OWNER)}
            helper = {"key": by_principal(HELPER), "value": granted}
            session = self.world.begin()
            self.world.put(session, Case("Capsule", capsule_record(controllers=[helper])))
            self.world.end_import(session)
            self.capsule_id = CAPSULE_ID
        else:
            self.capsule_id = self.world.capsule()
        for executor in (EXECUTOR, SECOND):
            self.ok("add_executor", executor)
        rule = Case("EventTriggered", {"trigger_event": DEATH, "access": Case("Public")})
        self.memory_id = self.world.ok(
            "add_memory_to_capsule", inline(b"farewell"), new_memory(access=rule), sender=OWNER
        )

    def ok(self, method: str, *args: Any, sender: Principal = OWNER) -> Any:
        return self.world.ok(method, self.capsule_id, *args, sender=sender)

    def err(self, method: str, *args: Any, sender: Principal = OWNER) -> Case:
        refused: Case = self.world.err(method, self.capsule_id, *args, sender=sender)
        return refused

    def record(self, event: Case, sender: Principal = EXECUTOR) -> int:
        """Days from now until the event opens what waits for it."""
        opens_at: int = self.ok("record_capsule_event", event, sender=sender)["opens_at"]
        return (opens_at - self.world.now_ns) // DAY_NS

    def wait(self, days: float) -> None:
        self.world.now_ns += int(days * DAY_NS)

    @property
    def is_open(self) -> bool:
        """Whether somebody who has nothing to do with the capsule reads the memory."""
        reading: Case = self.world.call("read_memory_chunk", self.memory_id, 0, sender=STRANGER)
        return reading.tag == "Ok"

    def events(self, sender: Principal = OWNER) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.ok("list_capsule_events", sender=sender)
        return listed


@pytest.fixture(params=["backend", "personal"])
def there(request: pytest.FixtureRequest) -> EventWorld:
    return EventWorld(request.param)


def test_what_an_executor_records_opens_after_thirty_days_to_the_nanosecond(there: EventWorld) -> None:
    assert there.record(DEATH) == 30
    (recorded,) = there.events()
    there.world.now_ns = recorded["opens_at"] - 1
    assert not there.is_open
    there.world.now_ns += 1
    assert there.is_open


def test_what_an_owner_records_opens_at_once_also_what_waits(there: EventWorld) -> None:
    there.record(DEATH)
    assert there.record(DEATH, OWNER) == 0
    assert there.is_open
    assert there.events(EXECUTOR) == [], "it is the owner's now"


def test_an_owner_vetoes_and_what_is_recorded_again_waits_again(there: EventWorld) -> None:
    there.record(DEATH)
    there.wait(29)
    there.ok("revoke_capsule_event", DEATH)
    there.wait(2)
    assert not there.is_open
    assert there.events() == there.events(EXECUTOR) == []
    assert there.record(DEATH) == 30
    there.wait(29)
    assert not there.is_open
    there.wait(1)
    assert there.is_open


def test_an_owner_shuts_what_an_event_has_opened(there: EventWorld) -> None:
    there.record(DEATH)
    there.wait(30)
    assert there.is_open
    there.ok("revoke_capsule_event", DEATH)
    assert not there.is_open
    assert there.err("revoke_capsule_event", DEATH).value == {"kind": "event", "id": "AfterDeath"}


def test_one_executor_is_enough_and_sees_only_what_they_recorded(there: EventWorld) -> None:
    there.record(DEATH)
    there.wait(10)
    assert there.record(DEATH, SECOND) == 20, "it is on record already"
    assert [event["recorded_by"] for event in there.events()] == [EXECUTOR]
    assert len(there.events(EXECUTOR)) == 1
    assert there.events(SECOND) == []


def test_a_removed_executor_opens_nothing(there: EventWorld) -> None:
    there.record(DEATH)
    there.ok("remove_executor", EXECUTOR)
    there.wait(31)
    assert not there.is_open
    assert there.err("record_capsule_event", DEATH, sender=EXECUTOR).tag == "NotFound"
    assert there.err("remove_executor", EXECUTOR).value == {"kind": "executor", "id": EXECUTOR.to_str()}
    assert there.record(DEATH, SECOND) == 30


def test_what_a_removed_executor_has_opened_stays_open(there: EventWorld) -> None:
    there.record(DEATH)
    there.wait(30)
    there.ok("remove_executor", EXECUTOR)
    assert there.is_open


def test_a_person_whom_the_owner_blocks_opens_nothing(there: EventWorld) -> None:
    there.world.ok("add_connection", by_principal(EXECUTOR), sender=OWNER)
    there.record(DEATH)
    there.world.ok("update_connection_status", by_principal(EXECUTOR), Case("Blocked"), sender=OWNER)
    there.wait(31)
    assert not there.is_open
    assert there.err("record_capsule_event", DEATH, sender=EXECUTOR).tag == "NotFound"
    there.world.ok("update_connection_status", by_principal(EXECUTOR), Case("Accepted"), sender=OWNER)
    assert there.record(DEATH) == 30


def test_a_longer_period_holds_up_what_waits_and_a_shorter_one_opens_nothing_earlier(there: EventWorld) -> None:
    there.record(DEATH)
    there.ok("set_event_wait", DEATH, DAY_NS)
    there.wait(29)
    assert not there.is_open
    there.ok("set_event_wait", DEATH, 60 * DAY_NS)
    there.wait(30)
    assert not there.is_open
    there.wait(1)
    assert there.is_open
    waits = {wait["kind"].tag: wait["wait_ns"] // DAY_NS for wait in there.ok("get_event_rules")["waits"]}
    assert waits.pop("AfterDeath") == 60
    assert waits.pop("Custom") == 30
    assert set(waits.values()) == {7}
    assert len(waits) == 6


def test_an_executor_shortens_nothing_and_names_nobody(there: EventWorld) -> None:
    there.record(DEATH)
    for method, args in {
        "set_event_wait": (DEATH, DAY_NS),
        "add_executor": (STRANGER,),
        "remove_executor": (SECOND,),
        "revoke_capsule_event": (DEATH,),
        "get_event_rules": (),
        "get_capsule": (),
        "get_capsule_info": (),
    }.items():
        assert there.err(method, *args, sender=EXECUTOR).tag == "NotFound", method
    there.wait(29)
    assert there.record(DEATH) == 1, "repeating it doesn't begin anew, either"
    assert not there.is_open


def test_an_executor_reads_nothing_before_it_is_open_to_them(there: EventWorld) -> None:
    private = there.world.ok("add_memory_to_capsule", inline(b"private"), new_memory(), sender=OWNER)
    there.record(DEATH)
    for memory_id in (there.memory_id, private):
        assert there.world.err("read_memory_chunk", memory_id, 0, sender=EXECUTOR).tag == "NotFound"
    page = there.world.ok("list_capsule_memories", there.capsule_id, {}, sender=EXECUTOR)
    assert page == there.world.ok("list_capsule_memories", "cap-none", {}, sender=EXECUTOR)


def test_a_controller_of_the_capsule_vetoes_but_leaves_to_the_owner_who_records() -> None:
    there = EventWorld("personal")
    there.record(DEATH)
    assert there.ok("get_event_rules", sender=HELPER) == there.ok("get_event_rules")
    for method, args in {
        "add_executor": (STRANGER,),
        "remove_executor": (EXECUTOR,),
        "set_event_wait": (DEATH, DAY_NS),
    }.items():
        assert there.err(method, *args, sender=HELPER).tag == "Unauthorized", method
    assert len(there.events(HELPER)) == 1
    there.ok("revoke_capsule_event", DEATH, sender=HELPER)
    there.wait(31)
    assert not there.is_open
    assert there.record(DEATH, HELPER) == 0
    assert there.is_open


@pytest.mark.parametrize("who", [ADMIN, CONTROLLER, OPERATOR], ids=["admin", "controller", "operator"])
def test_who_runs_the_backend_counts_only_if_the_owner_named_them(who: Principal) -> None:
    there = EventWorld("backend")
    refused = there.err("record_capsule_event", DEATH, sender=who)
    assert refused == Case("NotFound", {"kind": "capsule", "id": there.capsule_id})
    assert there.events() == []
    there.ok("add_executor", who)
    assert there.record(DEATH, who) == 30
    there.wait(29)
    assert not there.is_open
    there.wait(1)
    assert there.is_open


def test_no_switch_of_an_admin_keeps_an_owner_from_a_veto() -> None:
    there = EventWorld("backend")
    there.record(DEATH)
    there.record(WEDDING, SECOND)
    there.world.ok("set_capsule_switches", {"new_capsules": False, "writes": False}, sender=ADMIN)
    assert there.err("add_executor", STRANGER).tag == "Locked"
    there.ok("set_event_wait", DEATH, 60 * DAY_NS)
    there.ok("revoke_capsule_event", DEATH)
    there.ok("remove_executor", SECOND)
    assert there.events() == []


def test_it_costs_an_admin_about_the_same_whether_or_not_the_capsule_is_there() -> None:
    there = EventWorld("backend")
    spent = []
    for capsule_id in (there.capsule_id, there.capsule_id[:-1] + "_"):
        before = there.world.subnet.state.instructions
        refused = there.world.err("record_capsule_event", capsule_id, DEATH, sender=ADMIN)
        assert refused == Case("NotFound", {"kind": "capsule", "id": capsule_id})
        spent.append(there.world.subnet.state.instructions - before)
    assert abs(spent[0] - spent[1]) <= 100_000


def test_executors_periods_and_events_survive_an_upgrade(there: EventWorld) -> None:
    there.ok("set_event_wait", WEDDING, 3 * DAY_NS)
    there.record(DEATH)
    before = there.events(), there.ok("get_event_rules")
    if isinstance(there.world, PersonalWorld):
        there.world.upgrade()
    else:
        there.world.upgrade_backend()
    assert (there.events(), there.ok("get_event_rules")) == before
    assert there.record(WEDDING) == 3
    there.wait(30)
    assert there.is_open


def test_an_event_that_waits_moves_and_opens_there_when_it_would_have_here() -> None:
    there = EventWorld("backend")
    world = there.world
    there.ok("set_event_wait", DEATH, 40 * DAY_NS)
    there.record(DEATH)
    events, rules = there.events(), there.ok("get_event_rules")
    canister = world.completed()

    def moved(method: str, *args: Any, sender: Principal) -> Any:
        return world.call(method, *args, sender=sender, on=canister, kind="personal")

    assert moved("list_capsule_events", there.capsule_id, sender=OWNER).value == events
    assert moved("get_event_rules", there.capsule_id, sender=OWNER).value == rules
    assert there.err("record_capsule_event", DEATH, sender=EXECUTOR).value == {"personal_canister": canister}
    again = moved("record_capsule_event", there.capsule_id, WEDDING, sender=EXECUTOR)
    assert again.value["opens_at"] == world.now_ns + 7 * DAY_NS
    for waited, wanted in ((0, "Err"), (events[0]["opens_at"] - world.now_ns, "Ok")):
        world.now_ns += waited
        assert moved("read_memory_chunk", there.memory_id, 0, sender=STRANGER).tag == wanted


def test_what_has_not_opened_when_the_capsule_moves_opens_where_it_can_be_taken_back_alone() -> None:
    there = EventWorld("backend")
    world, memories = there.world, {}
    for days in (1, 20):
        rule = Case("Scheduled", {"accessible_after": world.now_ns + days * DAY_NS, "access": Case("Public")})
        memories[days] = world.ok("add_memory_to_capsule", inline(b"x"), new_memory(access=rule), sender=OWNER)
    there.record(DEATH)
    there.wait(2)
    canister = world.completed()
    vetoed = world.call("revoke_capsule_event", there.capsule_id, DEATH, sender=OWNER, on=canister, kind="personal")
    assert vetoed.tag == "Ok"
    there.wait(31)

    def read(memory_id: str, **where: Any) -> str | int:
        answer: Case = world.call("read_memory_chunk", memory_id, 0, sender=STRANGER, **where)
        return answer.tag

    moved: dict[str, Any] = {"on": canister, "kind": "personal"}
    assert read(there.memory_id) == read(there.memory_id, **moved) == "Err", "it was vetoed"
    assert [read(memories[days], **moved) for days in memories] == ["Ok", "Ok"]
    assert [read(memories[days]) for days in memories] == ["Ok", "Err"], "what was open stays so"


def test_the_record_that_is_verified_has_executors_periods_and_events() -> None:
    there = EventWorld("backend")
    there.ok("set_event_wait", DEATH, 40 * DAY_NS)
    there.record(DEATH)
    lease = there.world.exporting()
    (exported,) = there.world.ok(
        "get_export_items", lease, [{"kind": Case("Capsule"), "id": there.capsule_id}], sender=OPERATOR
    )
    record = exported.value
    assert {executor["person"] for executor in record["executors"]} == {EXECUTOR, SECOND}
    assert record["event_waits"] == [{"kind": DEATH, "wait_ns": 40 * DAY_NS}]
    assert record["events"] == there.events()


ONE_MORE = {"person": OPERATOR, "named_at": 1, "named_by": OWNER}
PLANTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "an executor": lambda record: {"executors": [*record["executors"], ONE_MORE]},
    "nobody": lambda record: {"executors": []},
    "a short period": lambda record: {"event_waits": [{"kind": DEATH, "wait_ns": DAY_NS}]},
    "another event": lambda record: {"events": [*record["events"], record["events"][0] | {"event": WEDDING}]},
    "no wait": lambda record: {"events": [record["events"][0] | {"opens_at": record["events"][0]["recorded_at"]}]},
    "a veto": lambda record: {"events": []},
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_an_operator_plants_during_the_import_fails_the_verification(
    planted: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    there = EventWorld("backend")
    world = there.world
    there.record(DEATH)
    lease, canister = world.copied()
    world.approve()
    ref = {"kind": Case("Capsule"), "id": there.capsule_id}
    (exported,) = world.ok("get_export_items", lease, [ref], sender=OPERATOR)
    session = world.ok("begin_import", sender=OPERATOR, on=canister, kind="personal")["id"]
    doctored = Case("Capsule", exported.value | planted(exported.value))
    world.ok("put_items", session, [doctored], sender=OPERATOR, on=canister, kind="personal")
    world.finalize(canister)
    world.ok("begin_export", lease, True, sender=OPERATOR)
    report = world.ok("verify_creation", lease, sender=OPERATOR)
    assert not report["matches"]
    assert any(line.startswith("manifest_hash: ") for line in report["differences"])
    assert world.err("complete_creation", lease, sender=OPERATOR)["kind"].tag == "VerifyFailed"
