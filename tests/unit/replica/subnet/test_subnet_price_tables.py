"""The tables of prices: what canisters burn idle, larger subnets, and which table a state has."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.cli import options
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.cycles import DEFAULT_PRICES, PRICES, PricesError, prices_named, share_between
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import Bench, Clock, engine


@settings(max_examples=40, deadline=None)
@given(
    table=st.sampled_from(sorted(PRICES)),
    memory_allocation=st.sampled_from([0, 1, 1 << 20, 1 << 30, 1 << 38]),
    compute_allocation=st.sampled_from([0, 1, 50]),
    cycles=st.just(10**18),
    hours=st.lists(st.integers(1, 24), min_size=1, max_size=12),
    installed=st.booleans(),
)
def test_a_canister_burns_what_its_status_says_however_often_it_is_charged(
    table: str, memory_allocation: int, compute_allocation: int, cycles: int, hours: list[int], installed: bool
) -> None:
    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, prices=table))
    allocations = {"memory_allocation": memory_allocation, "compute_allocation": compute_allocation}
    canister_id = bench.create(cycles, **allocations)
    if installed:
        bench.install(canister_id)
    status = bench.on("canister_status", canister_id)
    bench.run()
    before = bench.canister(canister_id).balance
    for part in hours:
        bench.clock.advance(part * 3600)
        bench.run()
    burned = before - bench.canister(canister_id).balance
    expected = status["idle_cycles_burned_per_day"] * sum(hours) / 24
    assert abs(burned - expected) <= 1 + expected / 10**6


@given(per_day=st.integers(0, 10**15), times=st.lists(st.integers(0, 10**19), min_size=2, max_size=20))
def test_shares_of_adjoining_times_add_up(per_day: int, times: list[int]) -> None:
    times.sort()
    parts = [share_between(per_day, *pair) for pair in itertools.pairwise(times)]
    assert all(part >= 0 for part in parts)
    assert sum(parts) == share_between(per_day, times[0], times[-1])


def test_a_larger_subnet_is_dearer_in_proportion() -> None:
    prices = prices_named("configured").for_nodes(34)
    assert prices.of_creation() == 1_307_692_307_692
    assert prices.of_execution(10**9) == 13_076_923 + 2_615_384_615
    assert prices.of_ingress(0) == 3_138_461
    assert prices.of_call(0) == 680_000
    assert prices_named("documented").for_nodes(34).of_idling(1 << 30, 0, 1) == 332_153
    assert prices.http_request_parts() == (171_360_000, 13_600, 27_200)


def test_a_state_keeps_the_prices_that_it_began_with(tmp_path: Path) -> None:
    def opened(prices: str | None) -> Subnet:
        return Subnet(engine(), clock_ns=Clock(), checkpoint=Checkpoint(tmp_path, engine()), prices=prices)

    opened("documented").close()
    for prices in (None, "documented"):
        subnet = opened(prices)
        assert subnet.state.prices == "documented"
        subnet.close()
    with pytest.raises(PricesError, match="kept with documented prices, which stay"):
        opened("configured")
    with pytest.raises(PricesError, match="there are no prices 'cheap': choose one of documented, configured"):
        opened("cheap")


def test_the_dearer_prices_are_the_default() -> None:
    assert Subnet(engine(), clock_ns=Clock()).state.prices == "configured"


def test_the_command_line_offers_these_tables_and_names_the_default() -> None:
    assert set(options.PRICES) == set(PRICES)
    assert options.PRICES[0] == DEFAULT_PRICES.name
