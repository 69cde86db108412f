"""Memory that a canister can't keep for as long as its freezing threshold says.

Sources: interface specification, "Message execution" (`Min_balance`) and "IC method install_code"; dfinity/ic,
`check_freezing_threshold_for_memory_grow`: updates and tasks are refused with IC0532, callbacks are not, and code when
its installation ends.
"""

from __future__ import annotations

import pytest

from canister_factory.replica.runtime.execution import RejectCode
from canister_factory.replica.subnet.cycles import CONFIGURED
from support.replica_bench import Bench, CallRejectedError
from support.replica_cycles_machine import TRILLION, all_cycles
from support.replica_puppet import call_argument, puppet
from support.slicing import slices_of

PAGES = 16_000  # 1 GB, which is 10 T cycles for the threshold of these canisters
YEAR_S = 365 * 86_400
GROWING = f"""
  (func $wasm (drop (memory.grow (i32.const {PAGES}))))
  (func $stable (drop (call $stable_grow (i64.const {PAGES}))))
  (func (export "canister_update wasm") (call $count) (call $wasm) (call $reply_count))
  (func (export "canister_update stable") (call $count) (call $stable) (call $reply_count))
  (func (export "canister_query stable_of_a_query") (call $stable) (call $reply_count))
"""
HEARTBEAT = '(func (export "canister_heartbeat") (call $count) (call $stable))'
AT_START = """
  (func $grow (drop (call $stable_grow (i64.const 16000))))
  (export "canister_init" (func $grow)) (export "canister_post_upgrade" (func $grow))
"""


@pytest.fixture
def bench() -> Bench:
    return Bench()


def grower(bench: Bench, cycles: int = 4 * TRILLION, code: str = GROWING) -> bytes:
    return bench.puppet(puppet(code), cycles=cycles, freezing_threshold=YEAR_S)


def sizes(bench: Bench, canister: bytes) -> tuple[int, int]:
    metrics = bench.canister(canister).memory_metrics()
    return metrics["wasm_memory_size"], metrics["stable_memory_size"]


@pytest.mark.parametrize("method", ["wasm", "stable"])
def test_an_update_that_grows_beyond_what_the_balance_keeps_is_undone(bench: Bench, method: str) -> None:
    canister = grower(bench)
    before, balance = sizes(bench, canister), bench.canister(canister).balance
    words = rf"cannot grow memory by {PAGES * 65_536} bytes due to insufficient cycles: at least \d+ additional"
    with pytest.raises(CallRejectedError, match=words) as refused:
        bench.call(canister, method)
    assert (refused.value.code, refused.value.error_code) == (RejectCode.CANISTER_ERROR, "IC0532")
    assert (sizes(bench, canister), bench.count(canister)) == (before, 0)
    assert 0 < balance - bench.canister(canister).balance < 10**8  # what it executed is paid for
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted


@pytest.mark.parametrize("method", ["wasm", "stable"])
def test_an_update_may_grow_as_far_as_the_balance_keeps(bench: Bench, method: str) -> None:
    canister = grower(bench)
    missing = bench.canister(canister).freezing_threshold_cycles(CONFIGURED, PAGES * 65_536)
    bench.on("provisional_top_up_canister", canister, amount=missing + 10**11 - bench.canister(canister).balance)
    bench.call(canister, method)
    assert sum(sizes(bench, canister)) > PAGES * 65_536
    state = bench.canister(canister)
    assert 0 < state.balance - state.freezing_threshold_cycles(CONFIGURED) < 10**11


def test_an_update_in_slices_is_undone_as_well() -> None:
    with slices_of(50):
        bench = Bench()
        canister = grower(bench)
        with pytest.raises(CallRejectedError, match="IC0532"):
            bench.call(canister, "wasm")
    assert bench.count(canister) == 0


def test_log_lines_of_what_is_undone_are_counted_though_there_was_no_room_for_them(bench: Bench) -> None:
    line = "(call $print (i32.const 64) (i32.const 6))"
    loud = f'(func (export "canister_update loud") {line * 3} (call $wasm) (call $reply_count))'
    canister = grower(bench, code=GROWING + loud)
    bench.on("update_settings", canister, settings={"log_memory_limit": 12})
    with pytest.raises(CallRejectedError, match="IC0532"):
        bench.call(canister, "loud")
    state = bench.canister(canister)
    assert ([record.index for record in state.logs], state.log_count) == ([1, 2], 3)


def test_what_a_memory_allocation_pays_for_already_may_be_used(bench: Bench) -> None:
    canister = grower(bench, cycles=40 * TRILLION)
    bench.on("update_settings", canister, settings={"memory_allocation": 2 << 30})
    state = bench.canister(canister)
    state.balance -= (spent := state.balance - state.freezing_threshold_cycles(CONFIGURED) - 10**11)
    bench.subnet.state.cycles_consumed += spent
    bench.call(canister, "stable")
    assert sizes(bench, canister)[1] == PAGES * 65_536


def test_a_query_may_grow_what_it_doesnt_keep(bench: Bench) -> None:
    canister = grower(bench)
    bench.call(canister, "stable_of_a_query")
    assert sizes(bench, canister)[1] == 0


def test_a_callback_is_not_refused_for_what_it_grows(bench: Bench) -> None:
    """It may go below the freezing threshold: "Min_balance" is 0 where a response is taken."""
    back = "(func $grow_back (param i32) (call $stable)) (elem (i32.const 4) $grow_back)"  # for the puppet's own
    canister = grower(bench, code=GROWING + back)
    bench.call(canister, "forward_and_reply_now", call_argument(canister, "echo"))
    assert sizes(bench, canister)[1] == PAGES * 65_536
    state = bench.canister(canister)
    assert 0 < state.balance < state.freezing_threshold_cycles(CONFIGURED)


def test_a_heartbeat_that_grows_too_far_is_undone(bench: Bench) -> None:
    canister = grower(bench, code=GROWING + HEARTBEAT)
    bench.clock.advance(10)
    bench.run()
    assert (sizes(bench, canister)[1], bench.count(canister)) == (0, 0)


@pytest.mark.parametrize("mode", ["install", "reinstall", "upgrade"])
def test_code_whose_memory_the_balance_does_not_keep_is_not_installed(bench: Bench, mode: str) -> None:
    canister = bench.create(4 * TRILLION, freezing_threshold=YEAR_S)
    if mode != "install":
        bench.install(canister)
    before, version = bench.canister(canister).module, bench.canister(canister).version
    with pytest.raises(CallRejectedError, match="cannot grow memory by") as refused:
        bench.install(canister, puppet(AT_START), mode)
    assert (refused.value.code, refused.value.error_code) == (RejectCode.CANISTER_ERROR, "IC0532")
    state = bench.canister(canister)
    assert (state.module, state.version, state.stable.size_bytes) == (before, version, 0)
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted
    bench.on("provisional_top_up_canister", canister, amount=10 * TRILLION)
    bench.install(canister, puppet(AT_START), mode)
    assert bench.canister(canister).stable.size_bytes == PAGES * 65_536


def test_a_chunk_that_the_balance_does_not_keep_is_not_stored(bench: Bench) -> None:
    canister = bench.create(4 * TRILLION, freezing_threshold=YEAR_S)
    state = bench.canister(canister)
    state.balance = balance = state.freezing_threshold_cycles(CONFIGURED) + 5 * 10**9  # for a year it takes 10**10
    with pytest.raises(CallRejectedError, match="cannot grow memory by 1048576 bytes") as refused:
        bench.on("upload_chunk", canister, chunk=b"a chunk counts as a whole one")
    assert (refused.value.code, refused.value.error_code) == (RejectCode.CANISTER_ERROR, "IC0532")
    assert state.chunks == {}
    assert balance - state.balance < 10**8  # the message, not the work
    bench.on("provisional_top_up_canister", canister, amount=10**10)
    bench.on("upload_chunk", canister, chunk=b"a chunk counts as a whole one")
    assert len(state.chunks) == 1
    assert state.balance > state.freezing_threshold_cycles(CONFIGURED)
