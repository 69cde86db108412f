"""Hypothesis plays with canisters on a subnet where everything is free, beside a model of a page that predicts them.

The model has what the specification's abstract behavior says of messages, attached cycles, stopping, versions and
history. Calls to `KEEPER` stay open until a rule releases them, which is how a canister is kept from stopping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.messages import Request, reject
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import MANAGEMENT, OWNER, Bench, CallRejectedError, engine, management_argument
from support.replica_puppet import call_argument, puppet

KEEPER = b"keeper\x01\x01"
FREE = Prices("free", **{price.name: 0 for price in fields(Prices) if price.name != "name"})
REPLIED = 0
RUNNING, STOPPING, STOPPED = "running", "stopping", "stopped"
# What a method of the puppet does: the outcome (0 for a reply), whether it counts, whether its execution succeeds.
METHODS = {
    "count": (REPLIED, True, True),
    "read": (REPLIED, False, True),  # a query, called as an update
    "silent": (5, True, True),
    "refuse": (4, False, True),
    "count_and_trap": (5, False, False),
}


@dataclass
class Held:
    """A call that waits for the keeper's answer; `request_id` is the user's, None once that was answered."""

    request: Request
    request_id: bytes | None


@dataclass
class Model:
    """One canister. `history` has the version after each change."""

    id: bytes
    balance: int
    status: str = RUNNING
    version: int = 0
    count: int | None = None  # None: it has no code
    history: list[int] = field(default_factory=lambda: [0])
    held: list[Held] = field(default_factory=list)
    stops: list[bytes] = field(default_factory=list)  # requests that wait for it to stop

    @property
    def answers(self) -> bool:
        return self.status == RUNNING and self.count is not None

    def executed(self, counted: bool) -> None:
        assert self.count is not None
        self.version += 1
        self.count += counted

    def changed(self, recorded: bool) -> None:
        self.version += 1
        if recorded:
            self.history.append(self.version)


class SubnetAgreesWithTheModel(RuleBasedStateMachine):
    """Whatever is done, each canister is what the model says, and each call has the outcome that it says."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, prices=FREE))
        self.kept: list[Request] = []
        self.bench.subnet._calls.builtins[KEEPER] = self.kept.append
        self.models: list[Model] = []

    # --- helpers ---

    def _of(self, index: int) -> Model:
        return self.models[index % len(self.models)]

    def _outcome(self, call: Callable[[], object]) -> int:
        try:
            call()
        except CallRejectedError as error:
            return int(error.code or REPLIED)
        return REPLIED

    def _managed(self, method: str, model: Model, **rest: object) -> int:
        return self._outcome(lambda: self.bench.on(method, model.id, **rest))

    def _stop_if_idle(self, model: Model) -> None:
        if model.status == STOPPING and not model.held:
            model.status = STOPPED
            model.version += 1
            self._stops_answered(model, REPLIED)

    def _stops_answered(self, model: Model, code: int) -> None:
        for request_id in model.stops:
            self._answered(request_id, code)
        model.stops.clear()

    def _answered(self, request_id: bytes, code: int) -> None:
        response = self.bench.outcome(request_id)
        assert response is not None
        assert (response.code or REPLIED) == code, response

    # --- canisters and their code ---

    @initialize()
    def begin(self) -> None:
        for _ in range(2):
            self.create(1000)
            self.install(len(self.models) - 1, "install")

    @precondition(lambda self: len(self.models) < 4)
    @rule(cycles=st.integers(0, 1000))
    def create(self, cycles: int) -> None:
        self.models.append(Model(self.bench.create(cycles), cycles))

    @rule(index=st.integers(0, 3), mode=st.sampled_from(["install", "reinstall", "upgrade"]))
    def install(self, index: int, mode: str) -> None:
        model = self._of(index)
        possible = {"install": model.count is None, "upgrade": model.count is not None, "reinstall": True}[mode]
        assert self._outcome(lambda: self.bench.install(model.id, puppet(), Case(mode))) == (REPLIED if possible else 5)
        if possible:
            model.changed(recorded=True)
            model.count = 0

    @rule(index=st.integers(0, 3))
    def uninstall(self, index: int) -> None:
        model = self._of(index)
        assert self._managed("uninstall_code", model) == REPLIED
        model.changed(recorded=True)
        model.count = None
        for held in model.held:
            if held.request_id is not None:
                self._answered(held.request_id, 4)
                held.request_id = None

    @rule(index=st.integers(0, 3), controllers=st.booleans())
    def update_settings(self, index: int, controllers: bool) -> None:
        model = self._of(index)
        settings = {"controllers": [Principal(OWNER)]} if controllers else {"freezing_threshold": 7}
        assert self._managed("update_settings", model, settings=settings) == REPLIED
        model.changed(recorded=controllers)

    @precondition(lambda self: len(self.models) > 1)
    @rule(index=st.integers(0, 3))
    def delete(self, index: int) -> None:
        model = self._of(index)
        possible = model.status == STOPPED
        assert self._managed("delete_canister", model) == (REPLIED if possible else 5)
        if possible:
            self.models.remove(model)

    # --- starting and stopping ---

    @rule(index=st.integers(0, 3))
    def start(self, index: int) -> None:
        model = self._of(index)
        assert self._managed("start_canister", model) == REPLIED
        model.version += 1
        model.status = RUNNING
        self._stops_answered(model, 5)

    @rule(index=st.integers(0, 3))
    def stop(self, index: int) -> None:
        model = self._of(index)
        argument = management_argument("stop_canister", {"canister_id": Principal(model.id)})
        model.stops.append(self.bench.submit(MANAGEMENT, "stop_canister", argument))
        self.bench.run()
        model.version += 1
        if model.status == STOPPED:
            self._stops_answered(model, REPLIED)
        else:
            model.status = STOPPING
            self._stop_if_idle(model)
        assert [self.bench.outcome(request_id) for request_id in model.stops] == [None] * len(model.stops)

    @rule()
    def pass_time_until_stops_are_given_up(self) -> None:
        self.bench.clock.advance(301)
        self.bench.run()
        for model in self.models:
            self._stops_answered(model, 2)

    # --- messages and cycles ---

    @rule(index=st.integers(0, 3), method=st.sampled_from(sorted(METHODS)))
    def call(self, index: int, method: str) -> None:
        model = self._of(index)
        outcome, counted, succeeds = METHODS[method]
        if not model.answers:
            outcome, succeeds = 5, False
        assert self._outcome(lambda: self.bench.call(model.id, method)) == outcome
        if succeeds:
            model.executed(counted)

    @rule(caller=st.integers(0, 3), callee=st.integers(0, 3), cycles=st.integers(0, 1500), half=st.booleans())
    def give_cycles(self, caller: int, callee: int, cycles: int, half: bool) -> None:
        giver, taker = self._of(caller), self._of(callee)
        argument = call_argument(taker.id, "accept_half" if half else "accept", cycles=cycles)
        outcome = self._outcome(lambda: self.bench.call(giver.id, "forward", argument))
        if not giver.answers or giver.balance < cycles:
            assert outcome == 5
            return
        assert outcome == (REPLIED if taker.answers else 4)  # the puppet passes a reject on as its own
        giver.executed(counted=True)
        if taker.answers:
            taker.executed(counted=True)
            accepted = cycles // 2 if half else cycles
            giver.balance -= accepted
            taker.balance += accepted
        giver.executed(counted=True)  # the callback

    @rule(index=st.integers(0, 3), cycles=st.integers(0, 500))
    def call_the_keeper(self, index: int, cycles: int) -> None:
        model = self._of(index)
        request_id = self.bench.submit(model.id, "forward", call_argument(KEEPER, "keep", cycles=cycles))
        self.bench.run()
        if not model.answers or model.balance < cycles:
            self._answered(request_id, 5)
            return
        assert self.bench.outcome(request_id) is None
        model.executed(counted=True)
        model.balance -= cycles
        model.held.append(Held(self.kept.pop(), request_id))

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(index=st.integers(0, 3), which=st.integers(0, 9), takes=st.integers(0, 500), replies=st.booleans())
    def the_keeper_answers(self, index: int, which: int, takes: int, replies: bool) -> None:
        waiting = [model for model in self.models if model.held]
        model = waiting[index % len(waiting)]
        held = model.held.pop(which % len(model.held))
        taken = min(takes, held.request.cycles)
        self.bench.subnet.state.cycles_consumed += taken
        model.balance += held.request.cycles - taken
        answer = Response(b"kept") if replies else reject(RejectCode.CANISTER_REJECT, "not kept")
        self.bench.subnet._calls.respond(held.request.origin, answer, held.request.cycles - taken)
        self.bench.run()
        if held.request_id is not None:  # else its code was uninstalled since: there is nothing to call back
            model.executed(counted=True)
            self._answered(held.request_id, REPLIED if replies else 4)
        self._stop_if_idle(model)

    # --- what must be so ---

    @invariant()
    def canisters_are_what_the_model_says(self) -> None:
        assert set(self.bench.subnet.canisters) == {model.id for model in self.models}
        for model in self.models:
            canister = self.bench.canister(model.id)
            assert canister.version == model.version
            assert canister.status.name.lower() == model.status
            assert canister.balance == model.balance
            assert [change.canister_version for change in canister.history] == model.history[-20:]
            assert (canister.module is None) == (model.count is None)
            assert len(canister.contexts) == len(model.held)

    @invariant()
    def queries_are_answered_by_running_canisters(self) -> None:
        for model in self.models:
            if model.answers:
                assert self.bench.count(model.id) == model.count
            else:
                assert self._outcome(partial(self.bench.query, model.id, "read")) == 5
