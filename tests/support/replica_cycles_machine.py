"""Hypothesis plays with canisters that call each other with cycles, stop, start, get new code and vanish."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.messages import Answer, Request
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import MANAGEMENT, Bench, Clock, management_argument
from support.replica_puppet import call_argument, puppet

TRILLION = 10**12


def all_cycles(state: SubnetState) -> int:
    """Every cycle that exists or was consumed."""
    total = state.cycles_consumed + sum(outcall.refund for outcall in state.outcalls.values())
    for canister in state.canisters.values():
        total += canister.balance
        total += sum(context.cycles for context in canister.contexts.values())
        total += sum(pending.prepaid for pending in canister.pending_calls.values())
        total += sum(waiter.cycles for waiter in canister.stop_waiters)
    total += sum(begun.reserved for begun in state.begun.values())
    for message in (*state.queue, *(begun.message for begun in state.begun.values())):
        total += message.cycles if isinstance(message, Request) else 0
        total += message.refund if isinstance(message, Answer) else 0
    return total


METHODS = ["accept", "accept_half", "accept_and_trap", "count", "count_and_trap", "silent", "refuse", "burn", "echo"]
FORWARDS = [
    "forward",
    "forward_best_effort",
    "forward_and_trap_later",
    "forward_and_forget",
    "forward_and_reply_now",
    "forward_and_trap_now",
]


class CyclesAreConserved(RuleBasedStateMachine):
    """The books stay exact after every step."""

    def __init__(self, open_subnet: Callable[[Clock], Subnet] | None = None) -> None:
        super().__init__()
        self.bench = Bench(open_subnet)
        self.known = [self.bench.puppet(cycles=20 * TRILLION) for _ in range(3)]

    def _any(self, index: int) -> bytes:
        return self.known[index % len(self.known)]

    @rule(
        path=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FORWARDS), st.integers(0, TRILLION)), max_size=4),
        last=st.tuples(st.integers(0, 4), st.sampled_from(METHODS)),
        cycles=st.integers(0, TRILLION),
    )
    def call(self, path: list[tuple[int, str, int]], last: tuple[int, str], cycles: int) -> None:
        callee, method, argument = self._any(last[0]), last[1], b""
        for index, forward, attached in path:
            argument = call_argument(callee, method, argument, attached)
            callee, method = self._any(index), forward
        self.bench.submit(callee, method, argument)

    @rule(index=st.integers(0, 4), attached=st.integers(0, TRILLION))
    def create_by_canister(self, index: int, attached: int) -> None:
        argument = management_argument("create_canister", {})
        self.bench.submit(self._any(index), "forward", call_argument(MANAGEMENT, "create_canister", argument, attached))

    @rule(
        index=st.integers(0, 4),
        method=st.sampled_from(["start_canister", "stop_canister", "uninstall_code", "delete_canister"]),
    )
    def manage(self, index: int, method: str) -> None:
        argument = management_argument(method, {"canister_id": Principal(self._any(index))})
        self.bench.submit(MANAGEMENT, method, argument)

    @rule(index=st.integers(0, 4))
    def reinstall(self, index: int) -> None:
        argument = {
            "mode": Case("reinstall"),
            "canister_id": Principal(self._any(index)),
            "wasm_module": puppet(),
            "arg": b"",
        }
        self.bench.submit(MANAGEMENT, "install_code", management_argument("install_code", argument))

    @rule(messages=st.integers(0, 4), seconds=st.sampled_from([0, 1, 11, 400]))
    def pass_time(self, messages: int, seconds: int) -> None:
        self.bench.clock.advance(seconds)
        self.bench.subnet.execute_round(max_messages=messages)

    @rule()
    def settle(self) -> None:
        self.bench.run()
        for canister in self.bench.subnet.canisters.values():
            assert not canister.contexts
            assert not canister.pending_calls

    @invariant()
    def books_are_exact(self) -> None:
        state = self.bench.subnet.state
        assert all_cycles(state) == state.cycles_minted
        assert all(canister.balance >= 0 for canister in state.canisters.values())
        assert all(_counts_agree(canister) for canister in state.canisters.values())


def _counts_agree(canister: CanisterState) -> bool:
    outstanding = sum(context.outstanding for context in canister.contexts.values())
    return outstanding == len(canister.pending_calls)
