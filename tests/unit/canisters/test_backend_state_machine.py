"""Whatever owners, workers and admins do in whatever order, the backend's lists, books and registry agree."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, STRANGER, World, failure, person
from support.reserve_figures import COMPLETION, CREATION_BASE

OWNERS = [person(name) for name in ("ana", "ben", "cleo")]
STATUSES = ["NotStarted", "Exporting", "Creating", "Installing", "Importing", "Verifying", "Completed", "Failed"]
ENDED = (Case("Completed"), Case("Failed"))
owners = st.sampled_from(OWNERS)


class Creations(RuleBasedStateMachine):
    """Random calls; most are refused, and none may leave a contradiction behind."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.leases: dict[Principal, dict[str, Any]] = {owner: {"owner": owner, "lease": 0} for owner in OWNERS}
        self.canisters: dict[Principal, Principal] = {}
        self.waiting: set[Principal] = set()
        for owner in OWNERS:
            self.world.capsule(owner)

    def _states(self) -> dict[Principal, dict[str, Any]]:
        listed = self.world.ok("list_all_creation_states", {}, sender=ADMIN)
        assert listed["total"] == len(listed["items"])
        return {state["owner"]: state for state in listed["items"]}

    @rule(owner=owners)
    def request(self, owner: Principal) -> None:
        before = self._states().get(owner)
        if before is not None and before["status"] == Case("Failed") and len(before["lost_canisters"]) == 3:
            refusal = self.world.err("create_personal_canister", None, sender=owner)
            assert refusal["kind"] == Case("HistoryFailed")
            return
        called = self.world.call("create_personal_canister", None, sender=owner)
        if called.tag == "Err":
            self._refused(owner, before, called.value)
            return
        answer = called.value
        after = self._states()[owner]
        assert answer["canister_id"] == after["canister_id"]
        if before is not None and before["status"] != Case("Failed") and owner not in self.waiting:
            assert after == before
        else:
            assert after["status"] == Case("NotStarted")
        self.waiting = self._waiting()

    def _refused(self, owner: Principal, before: dict[str, Any] | None, error: dict[str, Any]) -> None:
        """A request is refused by the list, or after too many failures; neither changes anything."""
        assert error["kind"] in (Case("NotAdmitted"), Case("Busy"))
        if error["kind"] == Case("NotAdmitted"):
            assert self.world.call("get_admission", sender=owner) == Case("Listed")
        else:
            assert error["retry_at"] > self.world.now_ns
        assert self._states().get(owner) == before

    def _waiting(self) -> set[Principal]:
        return {item["owner"] for item in self.world.ok("list_waiting_requests", {}, sender=ADMIN)["items"]}

    @rule(admission=st.sampled_from(["Open", "Listed", "Approval"]))
    def admit(self, admission: str) -> None:
        self.world.ok("set_admission", Case(admission), sender=ADMIN)

    @rule(owner=owners, method=st.sampled_from(["add_admitted", "remove_admitted"]))
    def list_owner(self, owner: Principal, method: str) -> None:
        self.world.ok(method, owner, sender=ADMIN)

    @rule(owner=owners, approved=st.booleans())
    def decide(self, owner: Principal, approved: bool) -> None:
        method, reason = ("approve_creation", ()) if approved else ("decline_creation", ("no",))
        answer = self.world.call(method, owner, *reason, sender=ADMIN)
        assert (answer.tag == "Ok") == (owner in self.waiting)
        self.waiting.discard(owner)

    @rule(owner=owners)
    def cancel(self, owner: Principal) -> None:
        if self.world.call("cancel_personal_canister", sender=owner).tag == "Ok":
            self.waiting.discard(owner)

    @rule(owner=owners, worker=st.sampled_from(["a", "b"]))
    def claim(self, owner: Principal, worker: str) -> None:
        answer = self.world.call("claim_creation", {"owner": owner, "worker": worker}, sender=OPERATOR)
        if answer.tag == "Ok":
            assert answer.value["lease"] > max(lease["lease"] for lease in self.leases.values())
            self.leases[owner] = {"owner": owner, "lease": answer.value["lease"]}

    @rule(owner=owners, lock=st.booleans())
    def export(self, owner: Principal, lock: bool) -> None:
        self.world.call("begin_export", self.leases[owner], lock, sender=OPERATOR)

    @rule(owner=owners)
    def provision(self, owner: Principal) -> None:
        answer = self.world.call("provision_canister", self.leases[owner], sender=OPERATOR)
        if answer.tag == "Ok":
            canister = answer.value["canister_id"]
            assert answer.value["is_new"] == (self.canisters.get(owner) != canister)
            assert self.canisters.setdefault(owner, canister) == canister

    @rule(owner=owners, stage=st.sampled_from(STATUSES))
    def report(self, owner: Principal, stage: str) -> None:
        before = self._states().get(owner)
        if self.world.report(self.leases[owner], stage).tag == "Ok":
            assert before is not None
            assert STATUSES.index(stage) >= STATUSES.index(before["status"].tag)

    @rule(owner=owners)
    def fail(self, owner: Principal) -> None:
        self.world.call("fail_creation", self.leases[owner], failure(), sender=OPERATOR)

    @rule(owner=owners)
    def spoil(self, owner: Principal) -> None:
        """Lets a stranger control the canister, which ends the creation as soon as the backend looks."""
        if (canister := self.canisters.get(owner)) is None:
            return
        controllers = self.world.controllers(canister)
        self.world.manage(
            "update_settings",
            {"canister_id": canister, "settings": {"controllers": [*controllers, STRANGER][:3]}},
            sender=OPERATOR,
        )
        answer = self.world.call("start_over", self.leases[owner], sender=OPERATOR)
        if answer.tag == "Err" and answer.value["kind"] == Case("HistoryFailed"):
            del self.canisters[owner]
            state = self._states()[owner]
            assert (state["status"], state["canister_id"]) == (Case("Failed"), None)
            assert state["lost_canisters"][-1] == canister

    @rule(owner=owners)
    def clear(self, owner: Principal) -> None:
        if self.world.call("clear_creation_state", owner, sender=ADMIN).tag == "Ok":
            self.canisters.pop(owner, None)

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule()
    def upgrade(self) -> None:
        self.world.upgrade_backend()

    @invariant()
    def lists_agree(self) -> None:
        states = self._states()
        for status in STATUSES:
            page = self.world.ok("get_creation_states_by_status", Case(status), {}, sender=ADMIN)
            assert page["items"] == [state for state in states.values() if state["status"] == Case(status)]
        open_owners = {item["owner"] for item in self.world.ok("list_open_requests", {}, sender=ADMIN)["items"]}
        assert open_owners | self.waiting == {owner for owner, state in states.items() if state["status"] not in ENDED}
        assert not open_owners & self.waiting
        assert self._waiting() == self.waiting

    @invariant()
    def books_agree(self) -> None:
        reserve = self.world.reserve()
        holding = [
            CREATION_BASE if state["canister_id"] is None else COMPLETION
            for owner, state in self._states().items()
            if state["status"] not in ENDED and owner not in self.waiting
        ]
        assert reserve["in_flight"] == sum(holding)
        assert reserve["spent_in_day"] == reserve["total_consumed"]
        entries = self.world.ok("list_consumption", {}, sender=ADMIN)["items"]
        assert reserve["total_consumed"] == sum(entry["attached"] - entry["refunded"] for entry in entries)
        assert len(entries) == len(self.world.subnet.canisters) - 1
        registry = self.world.ok("list_registry", {}, sender=ADMIN)["items"]
        assert reserve["total_consumed"] == sum(entry["cycles_consumed"] for entry in registry)
        spent = {entry["canister_id"]: entry["cycles_consumed"] for entry in registry}
        for state in self._states().values():
            own = [canister for canister in (*state["lost_canisters"], state["canister_id"]) if canister is not None]
            assert state["cycles_consumed"] == sum(spent[canister] for canister in own)

    @invariant()
    def the_registry_knows_every_canister(self) -> None:
        registry = {entry["canister_id"]: entry for entry in self.world.ok("list_registry", {}, sender=ADMIN)["items"]}
        assert {canister.bytes for canister in registry} == set(self.world.subnet.canisters) - {
            self.world.backend.bytes
        }
        for state in self._states().values():
            if state["canister_id"] is not None:
                assert registry[state["canister_id"]]["status"] == state["status"]
            assert all(registry[lost]["status"] == Case("Failed") for lost in state["lost_canisters"])


TestCreations = Creations.TestCase
TestCreations.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
