"""What is done to creations in a play, and what each answer means to whoever remembers all of it.

Each act is a real call. Beside it the play keeps the little that decides whether an answer was right: the writes that
were accepted, the leases that were given, what was found equal, who is an operator. An answer that can't be right fails
the test at once; what must hold of everything together is in `creation_truths`. Does not own who acts when
(`creation_machine`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.admin_models import ReserveSettings
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.funding import DEAREST_PRICES, need
from canister_factory.factory.history import Attested, Known, judge
from support.adverse_world import OWNERS, UNANSWERED, AdverseWorld
from support.backend_world import ADMIN, CONTROLLER, OPERATOR, OTHER_OPERATOR, SECOND_NS, failure, wasm
from support.personal_world import inline, manifest_hash, new_memory

MALLORY = OTHER_OPERATOR
"""The operator that is hostile."""
PERMIT_NS, GRACE_NS, LONGEST_LOCK_NS = 120 * SECOND_NS, 60 * SECOND_NS, 600 * SECOND_NS
OPEN = ("NotStarted", "Exporting", "Creating", "Installing", "Importing", "Verifying")


@dataclass(eq=False)
class Lease:
    """One that the backend gave. It has ended when it's `over`, its time is, or its creation has ended."""

    owner: Principal
    operator: Principal
    worker: str
    number: int
    duration_ns: int
    expires_ns: int
    over: bool = False
    locks: bool = False

    @property
    def ref(self) -> dict[str, Any]:
        return {"owner": self.owner, "lease": self.number}


@dataclass
class Equal:
    """A verification that found both sides equal: until when the capsule is sealed, and what was judged by then.

    `handed`: the owner alone controls the canister since, so the creation must become Completed. `tampered`: something
    was done to it since that no creation does.
    """

    canister: Principal
    permit_ns: int
    until_ns: int
    attested: Attested
    handed: bool = False
    tampered: bool = False


MOST_REST = need(
    ReserveSettings(threshold=0, operating_minimum=0, funded_days=365, prices=DEAREST_PRICES, cycles_per_day=0),
    PersonalCanisterSettings(freezing_threshold=7_776_000, wasm_memory_limit=3 * 2**30),
    100_000,
).rest
"""Cycles that follow at the completion, by the prices of a table: no capsule of a play has so many bytes."""


@dataclass(frozen=True)
class Before:
    """What was so before a step: whether its lease kept the creation, the creation's status, the time."""

    live: bool
    status: str
    now_ns: int


@dataclass
class Estate:
    """What is known of an owner. Memories by their ids, with their bytes."""

    owner: Principal
    accepted: dict[str, bytes]
    deleted: dict[str, bytes] = field(default_factory=dict)
    there: dict[Principal, dict[str, bytes]] = field(default_factory=dict)
    canisters: list[Principal] = field(default_factory=list)
    cleared: set[Principal] = field(default_factory=set)
    equal: Equal | None = None
    completed: Principal | None = None


class Play:
    """One play in the world, from the mark on."""

    def __init__(self, world: AdverseWorld) -> None:
        world.back_to_mark()
        self.world = world
        self.estates = {owner: Estate(owner, dict(world.first[owner])) for owner in OWNERS}
        self.leases: list[Lease] = []
        self.removed_at: dict[Principal, int | None] = {OPERATOR: None, MALLORY: None}
        self.approved = {hashlib.sha256(wasm("personal")).digest()}
        self.given: dict[Principal, int] = {}
        self.endowed: set[Principal] = set()
        self.running, self.is_low = True, False
        self.usual_reserve: dict[str, Any] = world.reserve()["settings"]
        self.importers: dict[Principal, set[Principal]] = {}
        self.hostile_since: set[Principal] = set()
        self._written = 0

    # --- what is so --------------------------------------------------------------------------------------------------

    def status(self, owner: Principal) -> str:
        creation = self.world.creation(owner)
        return "" if creation is None else str(creation["status"].tag)

    def canister(self, owner: Principal) -> Principal | None:
        creation = self.world.creation(owner)
        return None if creation is None else creation["canister_id"]

    def is_operator(self, who: Principal) -> bool:
        return self.removed_at.get(who, 0) is None

    def known(self, owner: Principal) -> Known:
        """By what the owner's canister is judged, as this play knows it."""

        def was_operator(who: Principal, at_ns: int) -> bool:
            removed_ns = self.removed_at.get(who, 0)
            return removed_ns is None or removed_ns > at_ns

        return Known((self.world.backend,), owner, was_operator, self.approved.__contains__)

    def is_live(self, lease: Lease) -> bool:
        """Whether its holder may act by it."""
        is_open = self.running and self.status(lease.owner) in OPEN
        in_time = self.world.now_ns + 1_000_000 < lease.expires_ns  # when the message is executed
        return is_open and in_time and not lease.over and self.is_operator(lease.operator)

    def held(self, owner: Principal) -> Lease | None:
        """The lease that keeps others away."""
        if not self.running or self.status(owner) not in OPEN:
            return None
        alive = (lease for lease in self.leases if lease.owner == owner and not lease.over)
        return next((lease for lease in alive if self.world.now_ns + 1_000_000 < lease.expires_ns), None)

    def sealed(self, owner: Principal) -> bool:
        """Whether nothing but a look at the canister may let the owner write here."""
        equal = self.estates[owner].equal
        return equal is not None and not equal.tampered and (equal.handed or self.world.now_ns < equal.until_ns)

    # --- owners ------------------------------------------------------------------------------------------------------

    def write(self, owner: Principal) -> Case:
        """A new memory, on the backend."""
        self._written += 1
        content = f"{self._written}".encode().ljust(10)
        return self.wrote(
            owner, content, self.world.ask("add_memory_to_capsule", inline(content), new_memory(), sender=owner)
        )

    def wrote(self, owner: Principal, content: bytes, answer: Case) -> Case:
        if self._took(owner, answer):
            self.estates[owner].accepted[answer.value] = content
        return answer

    def delete(self, owner: Principal) -> None:
        """The owner's oldest memory, on the backend."""
        estate = self.estates[owner]
        memory_id = next(iter(estate.accepted), None)
        if memory_id is not None and self._took(
            owner, self.world.ask("delete_memory_from_capsule", memory_id, sender=owner)
        ):
            estate.deleted[memory_id] = estate.accepted.pop(memory_id)

    def _took(self, owner: Principal, answer: Case) -> bool:
        """Whether a write was accepted, which it must neither be nor not be at the wrong time."""
        if answer is UNANSWERED:
            return False
        lease, status = self.held(owner), self.status(owner)
        if answer.tag == "Ok":
            assert status != "Completed", "a capsule that moved took a write"
            assert not self.sealed(owner), "a sealed capsule took a write"
            assert lease is None or not lease.locks, "a locked capsule took a write"
            return True
        if answer.value.tag == "Moved":
            assert status == "Completed"
        else:
            assert answer.value.tag == "Locked", answer
            if answer.value.value["until"] is None:
                assert self.is_low, "writes are refused for ever"
                return False
            assert self.estates[owner].equal is not None or (lease is not None and lease.locks), "who locked it?"
        return False

    def write_there(self, owner: Principal, canister: Principal) -> bool:
        """A new memory, in a personal canister."""
        self._written += 1
        content = f"{self._written} there".encode().ljust(10)
        answer = self.world.ask("add_memory_to_capsule", inline(content), new_memory(), sender=owner, on=canister)
        if answer.tag != "Ok":
            return False
        controllers = self.world.controllers(canister)
        assert owner in controllers, "a canister took a write that its owner doesn't control"
        assert not controllers & self.importers.get(canister, set()), "an operator could take away what it accepted"
        self.estates[owner].there.setdefault(canister, {})[answer.value] = content
        return True

    def request(self, owner: Principal) -> Case:
        before = self.status(owner) if self.running else ""
        if self.running and before not in OPEN:
            self.end_leases(owner)  # also where the backend ended it by itself
        creation = self.world.creation(owner) if self.running else None
        has_canister = creation is not None and creation["canister_id"] is not None
        answer = self.world.ask("create_personal_canister", None, sender=owner)
        if answer.tag == "Ok" and has_canister and any(map(self.is_operator, (OPERATOR, MALLORY))):
            # The creation, which was the former operator's, is the other one's from now on.
            for lease in self.leases:
                lease.over = lease.over or (lease.owner == owner and not self.is_operator(lease.operator))
        if answer.tag == "Ok" and before == "Completed":
            assert answer.value["canister_id"] == self.estates[owner].completed
        return answer

    def end_by_hand(self, method: str, *args: Any, owner: Principal, sender: Principal) -> Case:
        """`cancel_personal_canister` or `abort_creation`."""
        was_sealed = self.sealed(owner)
        answer = self.world.ask(method, *args, sender=sender)
        if answer.tag == "Ok":
            assert not was_sealed, "a creation was cancelled whose canister may be handed over"
            assert (answer.value["status"], answer.value["error"]["kind"]) == (Case("Failed"), Case("Cancelled"))
            self.end_leases(owner)
        return answer

    def clear(self, owner: Principal) -> None:
        estate, creation = self.estates[owner], self.world.creation(owner) if self.running else None
        was_sealed = self.sealed(owner) and estate.completed is None
        if self.world.ask("clear_creation_state", owner, sender=ADMIN).tag == "Ok":
            assert creation is not None
            assert not was_sealed, "a creation was forgotten whose canister may be handed over"
            estate.cleared |= {creation["canister_id"], *creation["lost_canisters"]} - {None}
            estate.equal = estate.completed = None
            self.end_leases(owner)

    # --- admins and the network --------------------------------------------------------------------------------------

    def switch(self, what: str, *, is_on: bool) -> None:
        """What a creation needs is there, or it isn't."""
        world = self.world
        match what:
            case "creation":
                world.ask("set_personal_canister_creation_enabled", is_on, sender=ADMIN)
            case "release" if is_on and self.running:
                world.approve()
            case "release":
                world.ask("revoke_release", hashlib.sha256(wasm("personal")).digest(), sender=ADMIN)
            case "operator" | "hostile operator":
                who = OPERATOR if what == "operator" else MALLORY
                if world.ask("add_operator" if is_on else "remove_operator", who, sender=ADMIN).tag == "Ok":
                    self.removed_at[who] = None if is_on else world.now_ns
            case "reserve":
                settings = self.usual_reserve | ({} if is_on else {"operating_minimum": 10**15})
                if world.ask("set_reserve_settings", settings, sender=ADMIN).tag == "Ok":
                    self.is_low = not is_on
            case "room":
                world.has_room(for_more=is_on)
            case "backend":
                method = "start_canister" if is_on else "stop_canister"
                assert world.managed(method, {"canister_id": world.backend}, CONTROLLER)
                self.running = is_on

    def end_leases(self, owner: Principal) -> None:
        for lease in self.leases:
            lease.over = lease.over or lease.owner == owner

    # --- workers -----------------------------------------------------------------------------------------------------

    def claim(self, owner: Principal, operator: Principal, worker: str, seconds: int = 60) -> Lease | None:
        before, status = self.held(owner), self.status(owner) if self.running else ""
        asked = {"owner": owner, "worker": worker, "duration_ns": seconds * SECOND_NS}
        answer = self.world.ask("claim_creation", asked, sender=operator)
        if answer.tag != "Ok":
            return None
        assert status in OPEN, "a creation that isn't in progress was claimed"
        assert self.is_operator(operator), "somebody claimed a creation who is no operator"
        is_own = before is None or (before.operator, before.worker) == (operator, worker)
        assert is_own, "a creation was claimed that another worker holds"
        number = answer.value["lease"]
        assert all(number > lease.number for lease in self.leases), "a lease's number was given before"
        self.end_leases(owner)
        lease = Lease(owner, operator, worker, number, seconds * SECOND_NS, answer.value["expires_at"])
        assert lease.expires_ns == self.world.now_ns + lease.duration_ns
        self.leases.append(lease)
        return lease

    def leased(self, method: str, lease: Lease, *args: Any) -> Case:
        """A step by a lease, which must be refused when that has ended."""
        before = self.before(lease)
        return self.stepped(method, lease, before, self.world.ask(method, lease.ref, *args, sender=lease.operator))

    def before(self, lease: Lease) -> Before:
        """To be asked before a step by the lease."""
        return Before(self.is_live(lease), self.status(lease.owner) if self.running else "", self.world.now_ns)

    def stepped(self, method: str, lease: Lease, before: Before, answer: Case) -> Case:
        """What a step's answer changes."""
        if answer.tag != "Ok":
            return answer
        repeated = {"complete_creation": "Completed", "fail_creation": "Failed"}.get(method)
        assert before.live or (before.status == repeated and self.is_operator(lease.operator)), (
            f"{method} by a lease that has ended"
        )
        match method:
            case "renew_lease":
                lease.expires_ns = answer.value
                assert lease.expires_ns == self.world.now_ns + lease.duration_ns
            case "release_lease" | "fail_creation":
                if before.live:
                    self.end_leases(lease.owner)
            case "provision_canister":
                self._provisioned(lease, answer.value)
            case "verify_creation":
                if answer.value["matches"]:
                    self._found_equal(lease.owner, answer.value, before.now_ns)
        return answer

    def lock(self, lease: Lease) -> None:
        if self.leased("begin_export", lease, True).tag == "Ok":
            lease.locks = True
            self.write(lease.owner)  # which is refused now

    def _provisioned(self, lease: Lease, made: dict[str, Any]) -> None:
        estate, canister = self.estates[lease.owner], made["canister_id"]
        if not made["is_new"]:
            assert canister in estate.canisters
            return
        assert canister not in estate.canisters
        estate.canisters.append(canister)
        assert self.world.controllers(canister) == {lease.operator, lease.owner}
        self.given[canister] = self.world.cycles_given(canister)
        assert self.given[canister] == made["cycles"], "another amount was booked than the canister got"

    def is_owed(self, canister: Principal) -> bool:
        """Whether a completed canister hasn't got the rest of its cycles yet, which it gets once and whole."""
        entry = self.world.ok("get_registry_entry", canister, sender=ADMIN)
        rest = entry["cycles_consumed"] - self.given[canister]
        if rest and self.world.cycles_given(canister) == self.given[canister] + rest:
            assert canister not in self.endowed, "the second part was paid twice"
            assert 0 < rest <= MOST_REST, "more was paid than any of these canisters needs"
            self.endowed.add(canister)
            self.given[canister] += rest
        return canister not in self.endowed

    def _found_equal(self, owner: Principal, report: dict[str, Any], since_ns: int) -> None:
        estate, canister = self.estates[owner], self.canister(owner)
        assert canister is not None
        permit_ns = report["handoff_until"]
        assert since_ns <= permit_ns - PERMIT_NS <= self.world.now_ns
        entries = self.world.ask("list_import_entries", None, None, sender=owner, on=canister).value["entries"]
        there = canister in estate.there  # what the owner wrote there since is in no import
        assert there or manifest_hash(entries) == report["source"]["manifest_hash"] == report["target"]["manifest_hash"]
        assert there or {entry["id"] for entry in entries if entry["kind"].tag == "Memory"} == set(estate.accepted)
        attested = judge(self.known(owner), self.world.history(canister))
        handed = self.world.controllers(canister) == {owner}
        estate.equal = Equal(canister, permit_ns, permit_ns + GRACE_NS, attested, handed)

    def fail(self, lease: Lease) -> None:
        self.leased("fail_creation", lease, failure())

    # --- controllers of a canister -----------------------------------------------------------------------------------

    def set_controllers(self, owner: Principal, canister: Principal, by: Principal, *controllers: Principal) -> bool:
        """Whether they are set; what is honest of it is an owner who alone controls it, or a worker's pair."""
        before = self.world.controllers(canister) if self.world.is_there(canister) else set()
        if not self.world.update_settings(canister, {"controllers": list(controllers)}, by):
            return False
        equal = self.estates[owner].equal
        if equal is not None and equal.canister == canister and not equal.tampered:
            if set(controllers) == {owner}:
                equal.handed = equal.handed or self.world.now_ns < equal.until_ns
            elif not (equal.handed and before == {owner}):
                equal.tampered = True
        return True

    def tamper(self, canister: Principal) -> None:
        """Something was done to the canister that no creation does after its verification."""
        self.hostile_since.add(canister)
        for estate in self.estates.values():
            if estate.equal is not None and estate.equal.canister == canister and not estate.equal.handed:
                estate.equal.tampered = True
