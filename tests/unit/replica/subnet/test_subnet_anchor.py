"""Going back to an anchor: nothing of what happened since is left, and it costs what was written since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.anchor import Anchor, AnchorError
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins
from canister_factory.replica.system_canisters.cycles_ledger import CYCLES_LEDGER, LEDGER
from support.anchored_subnet import everything
from support.replica_bench import MANAGEMENT, OWNER, SECOND_NS, Bench, engine, management_argument, system_result
from support.replica_puppet import call_argument, puppet, with_custom_section
from support.runtime_harness import STRATEGIES
from support.runtime_harness import engine as engine_with

GROWING = """(func (export "canister_update grow")
    (drop (memory.grow (i32.const 3))) (i32.store (i32.const 200000) (i32.const 7)) (call $reply_count))
  (func (export "canister_query beyond")
    (if (i32.gt_u (memory.size) (i32.const 2)) (then (i32.store (i32.const 4096) (i32.load (i32.const 200000))))
      (else (i32.store (i32.const 4096) (i32.const -1))))
    (call $append (i32.const 4096) (i32.const 4)) (call $reply))
  (func (export "canister_update scatter")
    (i32.store (i32.const 70000) (i32.const 1)) (i32.store (i32.const 120000) (i32.const 1)) (call $reply_count))"""


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.__name__)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(lambda clock: Subnet(engine_with(request.param), clock_ns=clock, builtins=builtins()))


def test_memories_and_counters_go_back(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.call(canister, "remember", b"anchored")
    before = everything(bench.subnet)
    anchor = bench.subnet.anchor()
    bench.call(canister, "count")
    bench.call(canister, "remember", b"forgotten")
    bench.call(canister, "certify", b"root")
    bench.subnet.revert(anchor)
    assert everything(bench.subnet) == before
    assert (bench.count(canister), bench.query(canister, "recall")) == (1, b"anchored")
    bench.call(canister, "count")
    assert bench.count(canister) == 2


def test_the_same_happens_again_after_a_revert(bench: Bench) -> None:
    """Ids, randomness and numbers of requests come again."""

    def story() -> object:
        created = bench.create()
        return created, bench.manage("raw_rand"), bench.subnet.state.last_id, bench.subnet.state.canisters_created

    anchor = bench.subnet.anchor()
    requests = bench._requests
    first = story()
    bench.subnet.revert(anchor)
    bench._requests = requests
    assert story() == first


def test_a_memory_that_grew_is_as_short_as_before(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROWING))
    before = everything(bench.subnet)
    anchor = bench.subnet.anchor()
    bench.call(canister, "grow")
    bench.subnet.revert(anchor)
    assert everything(bench.subnet) == before
    assert bench.query(canister, "beyond") == b"\xff\xff\xff\xff"
    bench.call(canister, "grow")
    assert bench.query(canister, "beyond") == b"\7\0\0\0"


@pytest.mark.parametrize("method", ["uninstall_code", "delete_canister", "install_code", "update_settings"])
def test_code_that_was_replaced_or_removed_is_back(bench: Bench, method: str) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    before = everything(bench.subnet)
    anchor = bench.subnet.anchor()
    bench.call(canister, "count")
    if method == "install_code":
        bench.install(canister, with_custom_section(puppet(), "other"), mode=Case("upgrade", None))
    elif method == "update_settings":
        bench.on(method, canister, settings={"wasm_memory_limit": 1 << 20})
    else:
        bench.on("stop_canister", canister)
        bench.on(method, canister)
    bench.subnet.revert(anchor)
    assert everything(bench.subnet) == before
    assert bench.call(canister, "count") == b"\2\0\0\0"


def test_timers_and_time_go_back(bench: Bench) -> None:
    canister = bench.puppet()
    due = bench.clock.now_ns + 60 * SECOND_NS
    bench.call(canister, "set_timer", due.to_bytes(8, "little"))
    anchor = bench.subnet.anchor()
    anchored_ns = bench.clock.now_ns
    bench.clock.advance(61)
    bench.run()
    assert bench.count(canister) == 1
    bench.clock.now_ns = anchored_ns
    bench.subnet.revert(anchor)
    assert (bench.count(canister), bench.subnet.next_wakeup_ns()) == (0, due)
    assert bench.subnet.state.time_ns == anchored_ns


def test_calls_in_flight_go_on_from_the_anchor(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    request = bench.submit(first, "forward_best_effort", call_argument(second, "echo", b"late", cycles=10**9))
    bench.subnet.execute_round(max_messages=1)
    deadline, anchored_ns = bench.subnet.next_wakeup_ns(), bench.clock.now_ns
    before = everything(bench.subnet)
    anchor = bench.subnet.anchor()
    bench.clock.advance(11)
    bench.run()
    assert (bench.outcome(request) is not None, bench.subnet.next_wakeup_ns()) == (True, None)
    bench.clock.now_ns = anchored_ns
    bench.subnet.revert(anchor)
    assert everything(bench.subnet) == before
    assert (bench.outcome(request), bench.subnet.next_wakeup_ns()) == (None, deadline)
    bench.run()
    assert bench.outcome(request).data == b"late"  # type: ignore[union-attr]


def test_a_call_that_waits_still_has_its_cycles(bench: Bench) -> None:
    creator = bench.puppet()
    argument = management_argument("create_canister", {})
    bench.submit(creator, "forward", call_argument(MANAGEMENT, "create_canister", argument, 10**12))
    bench.subnet.execute_round(max_messages=1)
    before = everything(bench.subnet)
    anchor = bench.subnet.anchor()
    bench.run()
    assert len(bench.subnet.canisters) == 2
    bench.subnet.revert(anchor)
    assert everything(bench.subnet) == before


def test_balances_of_the_cycles_ledger_go_back(bench: Bench) -> None:
    def balance() -> int:
        account = {"owner": Principal(OWNER), "subaccount": None}
        reply = bench.query(CYCLES_LEDGER, "icrc1_balance_of", _encoded("icrc1_balance_of", account))
        cycles: int = system_result(LEDGER, "icrc1_balance_of", reply)
        return cycles

    before = balance()
    anchor = bench.subnet.anchor()
    argument = {"amount": 10**13, "created_at_time": None, "from_subaccount": None, "creation_args": None}
    bench.call(CYCLES_LEDGER, "create_canister", _encoded("create_canister", argument))
    assert balance() < before
    bench.subnet.revert(anchor)
    assert (balance(), len(bench.subnet.canisters)) == (before, 0)


def _encoded(method: str, argument: object) -> bytes:
    from canister_factory.candid.encoding import encode

    return encode(LEDGER.method_type(method).args, (argument,))


def test_anchors_nest_and_the_outer_one_goes_back_further(bench: Bench) -> None:
    canister = bench.puppet()
    outer = bench.subnet.anchor()
    bench.call(canister, "count")
    inner = bench.subnet.anchor()
    bench.call(canister, "count")
    bench.subnet.revert(inner)
    assert bench.count(canister) == 1
    bench.subnet.revert(outer)
    assert bench.count(canister) == 0


def test_a_released_anchor_leaves_the_state_and_the_way_back_of_the_outer_one(bench: Bench) -> None:
    canister = bench.puppet()
    outer = bench.subnet.anchor()
    inner = bench.subnet.anchor()
    bench.call(canister, "count")
    bench.install(canister, with_custom_section(puppet(), "other"), mode=Case("reinstall"))
    bench.subnet.release(inner)
    assert bench.count(canister) == 0
    bench.call(canister, "count")
    bench.subnet.revert(outer)
    assert bench.count(canister) == 0
    assert bench.canister(canister).module.hash == engine().compile(puppet()).hash  # type: ignore[union-attr]


@pytest.mark.parametrize("end", [Subnet.revert, Subnet.release])
def test_an_anchor_ends_once_and_with_the_one_around_it(bench: Bench, end: Callable[[Subnet, Anchor], None]) -> None:
    outer = bench.subnet.anchor()
    inner = bench.subnet.anchor()
    end(bench.subnet, outer)
    for ended in (outer, inner):
        with pytest.raises(AnchorError, match="has ended"):
            bench.subnet.revert(ended)
    assert bench.subnet.execute_round() is False, "a refused revert breaks nothing"


def test_memories_of_what_is_undone_are_freed(bench: Bench) -> None:
    anchor = bench.subnet.anchor()
    bench.puppet()
    (canister,) = bench.subnet.canisters.values()
    instance = canister.instance
    assert instance is not None
    bench.subnet.revert(anchor)
    with pytest.raises(RuntimeError, match="closed"):
        instance.ready()


def test_a_subnet_with_a_state_directory_refuses_anchors(tmp_path: Path) -> None:
    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Checkpoint(tmp_path, engine())))
    with pytest.raises(AnchorError, match="a replica with a state directory can't be anchored"):
        bench.subnet.anchor()
    bench.subnet.close()


def test_a_broken_subnet_is_not_mended_by_a_revert() -> None:
    breaking = False

    def break_off(*_: object) -> None:
        if breaking:
            raise MemoryError

    bench = Bench(listeners=Listeners(canister_changed=break_off))
    canister = bench.puppet()
    anchor = bench.subnet.anchor()
    breaking = True
    with pytest.raises(MemoryError):
        bench.call(canister, "certify", b"root")
    with pytest.raises(SubnetBrokenError):
        bench.subnet.revert(anchor)
    with pytest.raises(SubnetBrokenError):
        bench.subnet.anchor()


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_only_what_was_touched_is_copied(bench: Bench) -> None:
    """Twenty canisters, of which three write two pages each: six pages, and the page of the counter, are copied."""
    canisters = [bench.puppet(puppet(GROWING)) for _ in range(20)]
    anchor = bench.subnet.anchor()
    assert anchor.copied_bytes == 0
    for canister in canisters[:3]:
        bench.call(canister, "scatter")
        bench.call(canister, "scatter")
        bench.query(canisters[5], "read")
    # 70000 and 120000 lie on different pages; pages less than 16 KiB apart are written as one run.
    assert 3 * 2 * 4096 <= anchor.copied_bytes <= 3 * 3 * 4096
    instances = [bench.canister(canister).instance for canister in canisters]
    live = [instance._live for instance in instances if instance is not None]
    bench.subnet.revert(anchor)
    assert [bench.canister(canister).instance for canister in canisters] == instances
    assert [instance._live for instance in instances if instance is not None] == live, "restored in place"
