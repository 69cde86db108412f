"""Cycles: what things cost, who pays, and that none appear or vanish."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.cycles import CONFIGURED
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import Bench, CallRejectedError, engine, signed_size
from support.replica_cycles_machine import TRILLION, CyclesAreConserved, all_cycles
from support.replica_puppet import call_argument
from support.slicing import SHORT_TURNS, slices_of


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_update_costs_its_ingress_bytes_its_execution_and_its_instructions(bench: Bench) -> None:
    canister = bench.puppet()
    before, instructions = bench.canister(canister).balance, bench.subnet.state.instructions
    bench.call(canister, "count", b"12345")
    size = signed_size("count", b"12345")
    executed = bench.subnet.state.instructions - instructions
    assert executed > 0
    assert before - bench.canister(canister).balance == 1_200_000 + 2_000 * size + 5_000_000 + executed


def test_a_call_costs_its_bytes_both_ways_and_the_prepayment_comes_back(bench: Bench) -> None:
    caller, callee = bench.puppet(), bench.puppet()
    before, instructions = bench.canister(caller).balance, bench.subnet.state.instructions
    argument = call_argument(callee, "echo", b"1234567")
    callee_before = bench.canister(callee).balance
    bench.call(caller, "forward", argument)
    ingress = 1_200_000 + 2_000 * signed_size("forward", argument)
    transmitted = 260_000 + 1_000 * (len("echo") + 7) + 1_000 * 7
    spent = before - bench.canister(caller).balance + callee_before - bench.canister(callee).balance
    assert spent == ingress + transmitted + 3 * 5_000_000 + bench.subnet.state.instructions - instructions


def test_attached_cycles_are_accepted_in_full_in_half_or_not_at_all(bench: Bench) -> None:
    giver, taker = bench.puppet(), bench.puppet()
    for method, accepted in (("accept", 1000), ("accept_half", 500), ("accept_and_trap", 0), ("count", 0)):
        before = bench.canister(taker).balance
        argument = call_argument(taker, method, cycles=1000 * 10**9)
        if accepted:
            assert bench.call(giver, "forward", argument) == (accepted * 10**9).to_bytes(8, "little")
        else:
            bench.submit(giver, "forward", argument)
            bench.run()
        gained = bench.canister(taker).balance - before
        assert accepted * 10**9 - 10**7 < gained <= accepted * 10**9
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted


def test_burned_cycles_are_consumed(bench: Bench) -> None:
    canister = bench.puppet()
    before = bench.canister(canister).balance
    bench.call(canister, "burn")
    assert before - bench.canister(canister).balance > 10**9


def test_storage_is_charged_by_the_second(bench: Bench) -> None:
    canister = bench.puppet()
    bench.run()
    state = bench.canister(canister)
    before, size = state.balance, state.memory_bytes
    bench.clock.advance(100_000)
    bench.run()
    assert before - state.balance == pytest.approx(size * 317_500 * 100_000 / 2**30 + 10_000 * 100_000, rel=1e-3)


def test_a_canister_that_cannot_pay_for_its_storage_loses_its_code(bench: Bench) -> None:
    canister = bench.puppet(cycles=400 * 10**9, compute_allocation=10, freezing_threshold=0)
    bench.clock.advance(86_400)
    bench.run()
    state = bench.canister(canister)
    assert state.module is None
    assert state.balance == 0
    assert (state.history, state.history_length, state.version) == ([], 2, 2)
    assert (state.settings.compute_allocation, state.settings.memory_allocation) == (0, 0)
    bench.clock.advance(86_400)
    bench.run()
    assert state.version == 2  # nothing is left that could be taken
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted


def test_a_frozen_canister_refuses_updates_and_queries_until_topped_up(bench: Bench) -> None:
    canister = bench.puppet()
    bench.on("update_settings", canister, settings={"compute_allocation": 1})
    bench.on("update_settings", canister, settings={"freezing_threshold": 10**13})
    with pytest.raises(CanisterError, match=r"is out of cycles: please top up .* at least \d+") as refused:
        bench.check(canister, "count")
    assert refused.value.error_code == "IC0207"
    with pytest.raises(CallRejectedError, match="IC0207"):
        bench.call(canister, "count")
    with pytest.raises(CallRejectedError, match=r"IC0207.*frozen"):
        bench.query(canister, "read")
    missing = bench.canister(canister).freezing_threshold_cycles(CONFIGURED)
    bench.on("provisional_top_up_canister", canister, amount=missing + TRILLION)
    bench.call(canister, "count")


def test_an_installation_needs_its_longest_execution_in_the_balance(bench: Bench) -> None:
    canister = bench.create(299 * 10**9)
    with pytest.raises(CallRejectedError, match=r"IC0207.*at least 269\d{8} additional"):
        bench.install(canister)


def test_a_larger_subnet_is_dearer(bench: Bench) -> None:
    subnet = Subnet(engine(), clock_ns=bench.clock, node_count=26)
    assert subnet._prices.of_creation() == TRILLION
    assert CONFIGURED.for_nodes(13) == CONFIGURED


def test_a_canister_may_ask_for_a_minimum_of_cycles(bench: Bench) -> None:
    caller, picky = bench.puppet(), bench.puppet(minimum_incoming_canister_call_cycles=100)
    bench.call(picky, "count")
    with pytest.raises(CallRejectedError, match="at least 100 cycles"):
        bench.call(caller, "forward", call_argument(picky, "count", cycles=99))
    bench.call(caller, "forward", call_argument(picky, "count", cycles=100))


CyclesAreConserved.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_no_sequence_of_messages_makes_or_loses_cycles = CyclesAreConserved.TestCase


class CyclesAreConservedInSlices(CyclesAreConserved):
    """Messages take several turns, and others are executed meanwhile."""

    def __init__(self) -> None:
        self.slices = slices_of(700)
        self.slices.__enter__()
        super().__init__(lambda clock: Subnet(engine(), clock_ns=clock, pace=SHORT_TURNS))

    def teardown(self) -> None:
        self.bench.subnet.close()
        self.slices.__exit__(None, None, None)


CyclesAreConservedInSlices.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_no_sequence_of_messages_in_slices_makes_or_loses_cycles = CyclesAreConservedInSlices.TestCase
