"""Canisters take turns: what one does holds up nobody, whether it is executed once or again from a journal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.compiled import AT_ONCE_BYTES
from canister_factory.replica.runtime.engine import Engine, Module
from canister_factory.replica.runtime.execution import MAX_CYCLES, RejectCode
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.messages import Message
from canister_factory.replica.subnet.processing import Processing
from canister_factory.replica.subnet.request_status import RequestState
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.subnet.work import Work
from support.anchored_subnet import everything
from support.replica_bench import MANAGEMENT, OWNER, Bench, CallRejectedError, Clock, engine, management_argument
from support.replica_puppet import puppet, with_custom_section
from support.slicing import slices_of

SLICE = 10_000
TURN = 4
PACE = Pace(turn_slices=TURN, round_slices=6 * TURN)

# 40 instructions a turn of the loop: `work` takes some 100 slices of 10,000, and changes memory before and after.
WORKER = """
  (func $spin (param $left i32)
    (loop $next
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left))))
  (func (export "canister_update work") (call $count) (call $spin (i32.const 150000)) (call $count) (call $reply_count))
  (func (export "canister_update endless") (call $count) (loop $again (br $again)))
  (func (export "canister_query endless_query") (loop $again (br $again)))
  (func (export "canister_post_upgrade") (call $spin (i32.const 150000)))
"""


@pytest.fixture(autouse=True)
def short_slices() -> Iterator[None]:
    with slices_of(SLICE):
        yield


@pytest.fixture
def bench() -> Bench:
    return Bench(lambda clock: Subnet(engine(), clock_ns=clock, pace=PACE))


def durable(directory: Path) -> Bench:
    def opened(clock: Clock) -> Subnet:
        return Subnet(engine(), clock_ns=clock, pace=PACE, checkpoint=Checkpoint(directory, engine()))

    return Bench(opened)


def worker(bench: Bench) -> bytes:
    return bench.puppet(puppet(WORKER))


def rounds_until_answered(bench: Bench, request: bytes) -> int:
    for number in range(1, 1000):
        bench.subnet.execute_round()
        if bench.outcome(request) is not None:
            return number
    raise AssertionError("it is not answered")


def test_others_are_answered_in_the_round_in_which_endless_messages_begin(bench: Bench) -> None:
    busy, quiet = [worker(bench) for _ in range(2)], bench.puppet()
    endless = [bench.submit(canister, "endless") for canister in busy for _ in range(3)]
    request = bench.submit(quiet, "count")
    assert rounds_until_answered(bench, request) == 1
    for _ in range(5):
        assert rounds_until_answered(bench, bench.submit(quiet, "count")) == 1
    assert all(bench.outcome(message) is None for message in endless)
    assert set(bench.subnet.state.begun) == set(busy)


def test_a_message_that_has_begun_goes_on_beyond_its_expiry(bench: Bench) -> None:
    canister = worker(bench)
    begun, waiting = bench.submit(canister, "work"), bench.submit(canister, "work")
    bench.subnet.execute_round()
    assert bench.outcome(begun) is None
    bench.clock.advance(241)
    rounds_until_answered(bench, begun)
    assert bench.outcome(begun).is_reply  # type: ignore[union-attr]
    bench.run()
    assert bench.outcome(waiting).error_code == "IC0202"  # type: ignore[union-attr]


def test_each_of_the_busy_gets_the_same_number_of_slices(bench: Bench) -> None:
    canisters = [worker(bench) for _ in range(3)]
    requests = [bench.submit(canister, "work") for canister in canisters]
    ends: dict[bytes, int] = {}
    for number in range(1000):
        if not bench.subnet.execute_round():
            break
        for request in requests:
            if bench.outcome(request) is not None:
                ends.setdefault(request, number)
    alone = rounds_until_answered(bench, bench.submit(canisters[0], "work"))
    assert max(ends.values()) - min(ends.values()) <= 2
    assert 2 * alone < min(ends.values())


def test_what_executes_alone_is_processed_once_a_round_and_with_others_in_each_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, other = worker(bench), worker(bench)
    processed: list[object] = []
    process = Processing.process

    def noted(self: Processing, message: Message, work: Work | None = None) -> Work | None:
        processed.append(message)
        return process(self, message, work)

    monkeypatch.setattr(Processing, "process", noted)

    def in_a_round() -> int:
        processed.clear()
        bench.subnet.execute_round()
        return len(processed)

    bench.submit(busy, "endless")
    bench.submit(busy, "endless")  # it can't begin before the first one ends
    assert in_a_round() == 2
    assert [in_a_round() for _ in range(3)] == [1, 1, 1]
    bench.submit(other, "endless")
    in_a_round()
    assert in_a_round() == PACE.round_slices // TURN


def test_a_flood_of_messages_to_one_canister_holds_up_no_other(bench: Bench) -> None:
    flooded, quiet = bench.puppet(), bench.puppet()
    for _ in range(500):
        bench.submit(flooded, "count")
    request = bench.submit(quiet, "count")
    bench.subnet.execute_round(max_messages=2)
    assert bench.outcome(request) is not None


def test_messages_of_one_canister_keep_their_order_around_a_long_one(bench: Bench) -> None:
    canister = worker(bench)
    requests = [bench.submit(canister, method) for method in ("count", "work", "count", "work", "count")]
    bench.run()
    counts = [bench.outcome(request).data[0] for request in requests]  # type: ignore[union-attr]
    assert counts == [1, 3, 4, 6, 7]


def test_until_a_message_ends_nothing_of_it_is_seen_but_that_it_is_being_processed(bench: Bench) -> None:
    canister = worker(bench)
    bench.call(canister, "count")
    before = bench.canister(canister).balance
    request = bench.submit(canister, "work")
    bench.subnet.execute_round()
    status = bench.subnet.request_status(request)
    assert status is not None
    assert status.state is RequestState.PROCESSING
    assert bench.count(canister) == 1
    reserved = bench.subnet.state.begun[canister].reserved
    assert before - 2 * 10**6 < bench.canister(canister).balance + reserved < before
    bench.run()
    assert bench.count(canister) == 3
    assert not bench.subnet.state.begun


def test_what_takes_many_turns_costs_what_it_costs_in_one(bench: Bench) -> None:
    charged = []
    for subnet_bench in (bench, Bench()):
        canister = worker(subnet_bench)
        before = subnet_bench.canister(canister).balance
        subnet_bench.call(canister, "work")
        charged.append(before - subnet_bench.canister(canister).balance)
    assert charged[0] == charged[1]


def test_calls_that_would_change_a_busy_canister_wait_and_others_do_not(bench: Bench) -> None:
    canister = worker(bench)
    work = bench.submit(canister, "work")
    bench.subnet.execute_round()
    named = {"canister_id": Principal(canister)}
    stop = bench.submit(MANAGEMENT, "stop_canister", management_argument("stop_canister", named))
    status = bench.submit(MANAGEMENT, "canister_status", management_argument("canister_status", named))
    top_up = management_argument("provisional_top_up_canister", {**named, "amount": 10**15})
    given = bench.submit(MANAGEMENT, "provisional_top_up_canister", top_up)
    created = bench.submit(
        MANAGEMENT,
        "provisional_create_canister_with_cycles",
        management_argument("provisional_create_canister_with_cycles", {}),
    )
    bench.subnet.execute_round()
    assert [bench.outcome(request) is None for request in (work, stop, status, given, created)] == [
        *(True, True),
        *(False, False, False),
    ]
    bench.run()
    assert bench.outcome(work).is_reply  # type: ignore[union-attr]
    assert bench.outcome(stop).is_reply  # type: ignore[union-attr]
    assert bench.canister(canister).balance > 10**15
    with pytest.raises(CallRejectedError, match="IC0508"):
        bench.call(canister, "count")


def test_code_is_installed_in_turns_and_the_former_answers_queries_until_then(bench: Bench) -> None:
    canister, quiet = worker(bench), bench.puppet()
    bench.call(canister, "count")
    upgrade = management_argument(
        "install_code",
        {
            "mode": Case("upgrade", None),
            "canister_id": Principal(canister),
            "wasm_module": puppet(WORKER),
            "arg": b"",
        },
    )
    request = bench.submit(MANAGEMENT, "install_code", upgrade)
    assert rounds_until_answered(bench, bench.submit(quiet, "count")) == 1
    assert canister in bench.subnet.state.begun
    assert bench.count(canister) == 1
    assert rounds_until_answered(bench, request) > 2
    assert bench.count(canister) == 0
    assert len(bench.canister(canister).history) == 3


def test_others_are_executed_while_a_module_is_being_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Engine(background=True)
    gate = threading.Event()
    build = compiler._modules._build

    def build_later(wasm: bytes, digest: bytes) -> Module:
        assert gate.wait(10)
        return build(wasm, digest)

    bench = Bench(lambda clock: Subnet(compiler, clock_ns=clock, pace=PACE))
    quiet, target = bench.puppet(), bench.create()
    monkeypatch.setattr(compiler._modules, "_build", build_later)
    code = puppet(WORKER)
    while len(code) < AT_ONCE_BYTES:
        code = with_custom_section(code, "padding", bytes(100))
    argument = {"mode": Case("install"), "canister_id": Principal(target), "wasm_module": code, "arg": b""}
    request = bench.submit(MANAGEMENT, "install_code", management_argument("install_code", argument))
    assert bench.subnet.execute_round() is False, "nothing can be done just now"
    (compiling,) = bench.subnet.awaited
    assert bench.call(quiet, "count") == b"\1\0\0\0"
    assert bench.outcome(request) is None
    gate.set()
    compiling.result(10)
    assert not bench.subnet.awaited
    bench.run()
    assert bench.outcome(request).is_reply  # type: ignore[union-attr]
    assert bench.count(target) == 0


def test_a_chunk_store_may_be_cleared_while_its_code_is_being_installed(bench: Bench) -> None:
    target, store = worker(bench), bench.create()
    digest = bench.on("upload_chunk", store, chunk=puppet(WORKER))["hash"]
    install = {
        "mode": Case("upgrade", None),
        "target_canister": Principal(target),
        "store_canister": Principal(store),
        "chunk_hashes_list": [{"hash": digest}],
        "wasm_module_hash": digest,
        "arg": b"",
    }
    request = bench.submit(MANAGEMENT, "install_chunked_code", management_argument("install_chunked_code", install))
    bench.subnet.execute_round()
    bench.on("clear_chunk_store", store)
    bench.run()
    assert bench.outcome(request).is_reply  # type: ignore[union-attr]


def test_a_busy_canister_gets_no_timer_until_it_has_time(bench: Bench) -> None:
    canister = worker(bench)
    bench.call(canister, "set_timer", (bench.clock.now_ns + 1).to_bytes(8, "little"))
    work = bench.submit(canister, "work")
    bench.subnet.execute_round()
    bench.clock.advance(1)
    bench.subnet.execute_round()
    assert not bench.subnet.state.queue
    assert bench.subnet.next_wakeup_ns() is None
    rounds_until_answered(bench, work)
    bench.run()
    assert bench.count(canister) == 3, "the work's two, and the timer's"


def test_fees_that_are_charged_meanwhile_leave_no_negative_balance(bench: Bench) -> None:
    canister = worker(bench)
    bench.submit(canister, "work")
    bench.subnet.execute_round()
    held = bench.canister(canister)
    bench.subnet.state.consume(held, held.balance, "burned_cycles")
    bench.run()
    assert held.balance >= 0


def test_a_query_sees_what_was_committed_when_its_canister_was_not_busy(bench: Bench) -> None:
    canister = worker(bench)
    bench.call(canister, "count")
    bench.submit(canister, "endless")
    bench.subnet.execute_round()
    assert [bench.count(canister) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(CallRejectedError, match="IC0536"):
        bench.query(canister, "nothing")


def test_an_anchor_gives_up_what_is_in_progress_and_it_begins_again(bench: Bench) -> None:
    canister = worker(bench)
    request = bench.submit(canister, "work")
    bench.subnet.execute_round()
    anchor = bench.subnet.anchor()
    bench.run()
    assert bench.count(canister) == 2
    bench.subnet.revert(anchor)
    assert bench.count(canister) == 0
    assert bench.outcome(request) is None
    bench.run()
    assert bench.count(canister) == 2


def test_a_suspended_query_ends_when_the_state_is_set_back(bench: Bench) -> None:
    from canister_factory.ic.requests import QueryRequest
    from canister_factory.replica.runtime.execution import CanisterError

    canister = worker(bench)
    anchor = bench.subnet.anchor()
    steps = bench.subnet.querying(QueryRequest(OWNER, bench.clock.now_ns, canister, "endless_query", b""))
    for _ in range(3):
        next(steps)
    bench.subnet.revert(anchor)
    with pytest.raises(CanisterError) as ended:
        next(steps)
    assert ended.value.code is RejectCode.SYS_TRANSIENT


def test_a_restart_begins_again_what_had_not_ended_and_repeats_what_had(tmp_path: Path) -> None:
    bench = durable(tmp_path)
    canister, quiet = worker(bench), bench.puppet()
    work = bench.submit(canister, "work")
    bench.subnet.execute_round()
    bench.clock.advance(1)
    counted = [bench.submit(quiet, "count") for _ in range(3)]
    bench.subnet.execute_round()
    bench.subnet.persist()
    begun = bench.subnet.state.begun[canister]
    bench.restart()
    assert bench.subnet.state.begun[canister] == begun
    assert all(bench.outcome(request).is_reply for request in counted)  # type: ignore[union-attr]
    assert bench.count(canister) == 0
    bench.run()
    assert bench.outcome(work).is_reply  # type: ignore[union-attr]
    bench.subnet.persist()
    cycles = bench.canister(canister).balance
    bench.restart()
    assert (bench.count(canister), bench.canister(canister).balance) == (2, cycles)


def test_turns_leave_no_trace_where_the_balance_is_filled_up_meanwhile(tmp_path: Path) -> None:
    """What is reserved comes back at the end; between turns it must not be lost to a balance that can't hold more."""
    bench = durable(tmp_path)
    canister = worker(bench)
    top_up = management_argument(
        "provisional_top_up_canister", {"canister_id": Principal(canister), "amount": MAX_CYCLES}
    )
    work = bench.submit(canister, "work")
    for _ in range(3):
        bench.subnet.execute_round()
        bench.submit(MANAGEMENT, "provisional_top_up_canister", top_up)
    assert bench.outcome(work) is None
    bench.run()
    bench.subnet.persist()
    before = everything(bench.subnet)
    bench.restart()
    assert everything(bench.subnet) == before


def test_an_orderly_end_keeps_what_is_in_progress_as_begun(tmp_path: Path) -> None:
    bench = durable(tmp_path)
    canister = worker(bench)
    work = bench.submit(canister, "work")
    bench.subnet.execute_round()
    bench.subnet.close()
    bench.restart()
    assert canister in bench.subnet.state.begun
    assert rounds_until_answered(bench, work) > 2
    assert bench.count(canister) == 2
