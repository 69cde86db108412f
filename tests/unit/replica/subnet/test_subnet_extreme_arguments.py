"""Whatever numbers, texts and cycles a call brings: it is answered, and the replica goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Func
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.runtime.execution import MAX_CYCLES, CanisterError
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins
from support.extreme_arguments import CYCLES, all_methods, extreme_values, relay, relayed
from support.replica_bench import MANAGEMENT, OWNER, Bench, CallRejectedError, engine
from support.replica_cycles_machine import all_cycles
from support.replica_http_support import KEYS


class World:
    """A subnet with its certified view, a relay whose balance is full, and canisters that the relay controls too."""

    def __init__(self) -> None:
        changes = Changes()
        self.bench = Bench(
            lambda clock: Subnet(
                engine(), clock_ns=clock, subnet_id=b"\x01\x02", listeners=changes.listeners, builtins=builtins()
            )
        )
        self.view = CertifiedView(KEYS, self.bench.subnet, changes, self.bench.clock)
        self.relay = self.bench.puppet(relay(), MAX_CYCLES)
        self.known = [self.relay, *(self.bench.puppet() for _ in range(2))]
        controllers = [Principal(OWNER), Principal(self.relay)]
        for canister_id in self.known:
            self.bench.on("update_settings", canister_id, settings={"controllers": controllers})

    def check(self) -> None:
        """Amounts of cycles have 128 bits, none was lost, and the state can be certified."""
        state = self.bench.subnet.state
        assert all(0 <= canister.balance <= MAX_CYCLES for canister in state.canisters.values())
        assert all_cycles(state) == state.cycles_minted
        self.view.certify()


@pytest.mark.parametrize(
    ("callee", "method", "declared"), [pytest.param(*method, id=method[1]) for method in all_methods()]
)
def test_no_argument_breaks_the_replica(callee: bytes, method: str, declared: Func) -> None:
    """Of a user, of a canister with cycles, and of a query."""
    world = World()
    bench = world.bench

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        arguments=st.tuples(*(extreme_values(kind, world.known) for kind in declared.args)),
        cycles=st.sampled_from(CYCLES),
        seconds=st.sampled_from([0, 1, 11, 100_000]),
    )
    def call(arguments: tuple[Any, ...], cycles: int, seconds: int) -> None:
        arg = encode(declared.args, arguments)
        target = arguments[0].get("canister_id") if arguments and isinstance(arguments[0], dict) else None
        with suppress(CanisterError):
            bench.check(callee, method, arg, target=target.bytes if target and callee == MANAGEMENT else None)
        bench.submit(callee, method, arg)
        bench.run()
        if world.relay in bench.subnet.canisters:
            bench.submit(world.relay, "relay", relayed(callee, method, arg, cycles))
            bench.run()
        with suppress(CallRejectedError):
            bench.query(callee, method, arg)
        world.check()
        bench.clock.advance(seconds)
        bench.run()
        world.check()

    call()


@pytest.mark.parametrize("method", ["provisional_create_canister_with_cycles", "provisional_top_up_canister"])
def test_provisional_cycles_fill_a_balance_and_no_more(method: str) -> None:
    bench = Bench()
    if method == "provisional_top_up_canister":
        canister_id = bench.create(1000)
        bench.on(method, canister_id, amount=10**5000)
    else:
        canister_id = bench.create(10**5000)
    state = bench.subnet.state
    assert bench.canister(canister_id).balance == state.cycles_minted == MAX_CYCLES
    bench.on("stop_canister", canister_id)
    bench.on("delete_canister", canister_id)
    other = bench.create(5)
    bench.on("stop_canister", other)
    bench.on("delete_canister", other)
    assert bench.subnet.consumed_cycles == MAX_CYCLES


def test_a_number_of_a_setting_that_nobody_could_write_down_is_refused_by_its_size() -> None:
    with pytest.raises(CallRejectedError, match="compute_allocation is a number of 16610 bits, the largest possible"):
        Bench().create(compute_allocation=10**5000)


def test_a_deposit_into_a_full_balance_is_consumed() -> None:
    bench = Bench()
    giver, full = bench.puppet(relay(), MAX_CYCLES), bench.puppet()
    bench.on("provisional_top_up_canister", full, amount=MAX_CYCLES)
    deposit = relayed(MANAGEMENT, "deposit_cycles", encode_deposit(full), 10**30)
    bench.call(giver, "relay", deposit)
    assert bench.canister(full).balance == MAX_CYCLES
    assert bench.canister(giver).balance < MAX_CYCLES - 10**30
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted


def encode_deposit(canister_id: bytes) -> bytes:
    (declared,) = [func for callee, name, func in all_methods() if (callee, name) == (MANAGEMENT, "deposit_cycles")]
    return encode(declared.args, ({"canister_id": Principal(canister_id)},))
