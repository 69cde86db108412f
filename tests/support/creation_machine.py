"""Hypothesis plays with creations: owners, workers, a hostile operator, admins, faults and time, in whatever order.

Owns who may act when. What an act is, is in `creation_play`, `creation_worker` and `creation_hostile`; what must hold
is in `creation_truths`.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canister_factory.candid.principal import Principal
from support.adverse_world import OWNERS, Sent, adverse_world
from support.backend_world import ADMIN, OPERATOR, STRANGER
from support.creation_hostile import ACTS
from support.creation_play import MALLORY, Lease, Play
from support.creation_truths import check, check_end
from support.creation_worker import BLOCKED, DONE, PlainWorker
from support.personal_world import inline, new_memory

HONEST = [0, 1]
HOSTILE = [2, 3]
"""The numbers of workers."""
owners = st.sampled_from(OWNERS)
workers = st.sampled_from([*HOSTILE, *HOSTILE, *HONEST])
hostile_acts = st.sampled_from(list(ACTS))
late_acts = st.sampled_from([*ACTS, *["upgrade and hand over"] * 6])
"""The one act that nothing but its time makes wrong is drawn more often."""


class Creations(RuleBasedStateMachine):
    """Most of what is tried is refused; nothing of it may cost an owner, or the reserve, anything.

    `tally` counts the plays that came to their end, and the creations that were Completed before.
    """

    tally: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(adverse_world())
        operators = [OPERATOR] * len(HONEST) + [MALLORY] * len(HOSTILE)
        self.workers = [PlainWorker(self.play, who, f"worker-{number}") for number, who in enumerate(operators)]

    @initialize(steps=st.integers(0, 6), number=workers)
    def begin(self, steps: int, number: int) -> None:
        """Each play has creations, one of which is on its way."""
        for owner in OWNERS:
            self.play.request(owner)
        self.work(OWNERS[0], number, steps)

    # --- owners ---

    @rule(owner=owners)
    def request(self, owner: Principal) -> None:
        self.play.request(owner)

    @rule(owner=owners, is_new=st.booleans())
    def write(self, owner: Principal, is_new: bool) -> None:
        if is_new:
            self.play.write(owner)
        else:
            self.play.delete(owner)

    @precondition(lambda self: self.places())
    @rule(data=st.data())
    def write_there(self, data: st.DataObject) -> None:
        self.play.write_there(*data.draw(st.sampled_from(self.places())))

    # --- workers ---

    @rule(owner=owners, number=workers, steps=st.integers(1, 8))
    def work(self, owner: Principal, number: int, steps: int) -> None:
        """Also a hostile operator works as it should, as long as it likes."""
        for _ in range(steps):
            if self.workers[number].step(owner) in (DONE, BLOCKED):
                break

    @rule(owner=owners, number=workers)
    def next_step(self, owner: Principal, number: int) -> None:
        self.workers[number].step(owner)

    @rule(owner=owners, number=workers, seconds=st.sampled_from([61, 125, 185, 700]))
    def hand_over_and_leave(self, owner: Principal, number: int, seconds: int) -> None:
        """A worker that dies at the worst moment, and timers that are late."""
        for _ in range(9):
            if self.workers[number].step(owner) in ("update_settings", DONE, BLOCKED):
                break
        self.wait(seconds, with_timers=False)

    @rule(owner=owners, number=st.sampled_from(HONEST), steps=st.integers(2, 8))
    def work_on(self, owner: Principal, number: int, steps: int) -> None:
        """Once more: rules are drawn alike, and without work nothing is there to be harmed."""
        self.work(owner, number, steps)

    @rule(owner=owners, number=st.sampled_from(HOSTILE), steps=st.integers(2, 8))
    def work_well_at_first(self, owner: Principal, number: int, steps: int) -> None:
        self.work(owner, number, steps)

    @rule(owner=owners, number=workers)
    def lock(self, owner: Principal, number: int) -> None:
        """A worker that has just claimed the creation shuts its capsule."""
        lease = self.play.claim(owner, self.workers[number].operator, self.workers[number].name)
        if lease is not None:
            self.play.lock(lease)

    @rule(number=workers)
    def restart(self, number: int) -> None:
        """A worker forgets everything, also answers that it never got, and goes on under its name."""
        self.workers[number].leases.clear()

    def lease(self, data: st.DataObject) -> Lease:
        """Mostly one that hasn't ended, if there is one."""
        live = [lease for lease in self.play.leases if self.play.is_live(lease)]
        return data.draw(st.sampled_from([*self.play.leases[-3:], *live, *live, *live]))

    @precondition(lambda self: self.play.leases)
    @rule(data=st.data(), method=st.sampled_from(["renew_lease", "release_lease", "begin_export", "fail_creation"]))
    def act_by_any_lease(self, data: st.DataObject, method: str) -> None:
        """Also by one that has ended. The export locks."""
        lease = self.lease(data)
        if method == "begin_export":
            self.play.lock(lease)
        elif method == "fail_creation":
            self.play.fail(lease)
        else:
            self.play.leased(method, lease)

    @precondition(lambda self: self.play.leases)
    @rule(
        data=st.data(),
        method=st.sampled_from(["verify_creation", "complete_creation", "start_over", "provision_canister"]),
        has_room=st.booleans(),
    )
    def step_by_any_lease(self, data: st.DataObject, method: str, has_room: bool) -> None:
        """Also where it isn't the step's turn. Without room on the subnet, no canister can be created."""
        lease = self.lease(data)
        if not has_room:
            self.play.switch("room", is_on=False)
        self.play.leased(method, lease)
        self.play.switch("room", is_on=True)

    @precondition(lambda self: self.play.leases)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def fail_and_retry(self, data: st.DataObject, steps: int) -> None:
        """Another attempt goes on with the canister of the one before."""
        lease = self.lease(data)
        self.play.fail(lease)
        check(self.play)
        self.play.request(lease.owner)
        for number in HONEST + HOSTILE:
            again = self.play.claim(lease.owner, self.workers[number].operator, "again")
            if again is not None:
                self.play.leased("provision_canister", again)
                self.work(lease.owner, number, steps)
                break

    @precondition(lambda self: self.play.running and self.play.leases)
    @rule(
        data=st.data(),
        other=st.sampled_from(["write", "cancel", "the same"]),
        messages=st.integers(0, 5),
        late_s=st.sampled_from([0, 1, 30]),
    )
    def get_in_between(self, data: st.DataObject, other: str, messages: int, late_s: int) -> None:
        """Something else is executed before an answer of the management canister, or of the personal one, is there."""
        play = self.play
        lease = data.draw(st.sampled_from(play.leases[-2:]))
        owner, method, content = lease.owner, self._fitting(lease), b"in between"
        before = play.before(lease)
        sent: Sent = {
            "write": ("add_memory_to_capsule", (inline(content), new_memory()), owner),
            "cancel": ("cancel_personal_canister", (), owner),
            "the same": (method, (lease.ref,), lease.operator),
        }[other]
        answer, second = play.world.while_under_way((method, (lease.ref,), lease.operator), sent, messages, late_s)
        play.stepped(method, lease, before, answer)
        if other == "the same":
            play.stepped(method, lease, before, second)
        elif other == "write" and second.tag == "Ok":
            play.estates[owner].accepted[second.value] = content
        elif second.tag == "Ok":
            play.end_leases(owner)

    def _fitting(self, lease: Lease) -> str:
        """The method that waits for somebody, at the place where the creation is."""
        canister, equal = self.play.canister(lease.owner), self.play.estates[lease.owner].equal
        if canister is None:
            return "provision_canister"
        return "complete_creation" if equal is not None and equal.handed else "verify_creation"

    # --- the hostile operator, and whom it lets in ---

    def places(self) -> list[tuple[Principal, Principal]]:
        """Owners with their canisters."""
        return [(owner, canister) for owner, estate in self.play.estates.items() for canister in estate.canisters]

    def prey(self) -> list[tuple[Principal, Principal, Principal]]:
        """Owners, canisters, and who controls these with bad intentions."""
        there = [(owner, canister) for owner, canister in self.places() if self.play.world.is_there(canister)]
        return [
            (owner, canister, who)
            for owner, canister in there
            for who in (MALLORY, STRANGER)
            if who in self.play.world.controllers(canister)
        ]

    @precondition(lambda self: self.prey())
    @rule(data=st.data(), name=hostile_acts)
    def harm(self, data: st.DataObject, name: str) -> None:
        ACTS[name](self.play, *data.draw(st.sampled_from(self.prey())))

    @rule(owner=owners, number=st.sampled_from(HOSTILE), name=late_acts, steps=st.integers(0, 2))
    def verify_and_harm(self, owner: Principal, number: int, name: str, steps: int) -> None:
        """All is well until both sides were found equal."""
        for _ in range(8):
            if self.workers[number].step(owner) in ("verify_creation", DONE, BLOCKED):
                break
        for each, canister, who in self.prey():
            if each == owner and who == MALLORY:
                ACTS[name](self.play, owner, canister, who)
        self.work(owner, number, steps)

    # --- owners and admins end it ---

    @rule(owner=owners, method=st.sampled_from(["cancel", "abort", "clear"]))
    def end(self, owner: Principal, method: str) -> None:
        if method == "clear":
            self.play.clear(owner)
        elif method == "cancel":
            self.play.end_by_hand("cancel_personal_canister", owner=owner, sender=owner)
        else:
            self.play.end_by_hand("abort_creation", owner, "because", owner=owner, sender=ADMIN)

    # --- admins and the network ---

    @rule(
        what=st.sampled_from(["creation", "release", "operator", "hostile operator", "reserve", "room"]),
        is_off=st.booleans(),
    )
    def switch(self, what: str, is_off: bool) -> None:
        self.play.switch(what, is_on=not is_off)

    @rule(owner=owners, number=workers, seconds=st.sampled_from([1, 185]))
    def stop_backend_for_a_while(self, owner: Principal, number: int, seconds: int) -> None:
        """Nothing is answered meanwhile, and its timers are late."""
        self.play.switch("backend", is_on=False)
        self.play.request(owner)
        self.workers[number].step(owner)
        self.play.world.pass_time(seconds)
        self.play.switch("backend", is_on=True)

    @rule(seconds=st.sampled_from([1, 20, 61, 125, 185, 700, 90_000]), with_timers=st.booleans())
    def wait(self, seconds: int, with_timers: bool) -> None:
        """Without them, the backend's timers are late, and owners try what they could do if time alone decided."""
        if with_timers:
            self.play.world.pass_time(seconds)
        else:
            self.play.world.advance(seconds)
            for owner in OWNERS:
                self.play.write(owner)

    @precondition(lambda self: self.play.running)
    @rule()
    def upgrade(self) -> None:
        self.play.world.upgrade_backend()

    # --- what must hold ---

    @invariant()
    def all_is_true(self) -> None:
        check(self.play)

    def teardown(self) -> None:
        self.tally["completed"] += sum(estate.completed is not None for estate in self.play.estates.values())
        check_end(self.play)
        self.tally["plays"] += 1
