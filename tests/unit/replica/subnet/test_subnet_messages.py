"""Messages between users and canisters: what is kept, what is undone, who gets which answer."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import FromSystem, Request
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.subnet import Builtin, Subnet
from support.replica_bench import (
    MANAGEMENT,
    OWNER,
    SECOND_NS,
    Bench,
    CallRejectedError,
    engine,
    management_argument,
)
from support.replica_cycles_machine import all_cycles
from support.replica_puppet import call_argument


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_update_changes_the_state_and_is_replied_to(bench: Bench) -> None:
    canister = bench.puppet()
    assert bench.call(canister, "count") == b"\x01\0\0\0"
    assert bench.count(canister) == 1


def test_a_trap_undoes_the_message_but_not_its_charge(bench: Bench) -> None:
    canister = bench.puppet()
    before = bench.canister(canister).balance
    with pytest.raises(CallRejectedError, match=r"IC0502.*unreachable"):
        bench.call(canister, "count_and_trap")
    assert bench.count(canister) == 0
    assert bench.canister(canister).balance <= before - 5_000_000


def test_a_query_changes_nothing_also_when_called_as_an_update(bench: Bench) -> None:
    canister = bench.puppet()
    assert bench.query(canister, "echo", b"hi") == b"hi"
    assert bench.call(canister, "echo", b"hi") == b"hi"
    assert bench.count(canister) == 0


def test_a_call_is_passed_on_and_its_answer_back(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    inner = call_argument(second, "echo", b"through two canisters")
    assert bench.call(first, "forward", call_argument(first, "forward", inner)) == b"through two canisters"
    assert bench.count(first) == 4  # two calls, two callbacks


def test_the_callee_sees_the_canister_as_caller(bench: Bench) -> None:
    canister = bench.puppet()
    assert bench.call(canister, "caller") == OWNER
    assert bench.call(canister, "forward", call_argument(canister, "caller")) == canister


def test_a_reject_travels_back_with_its_message(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    with pytest.raises(CallRejectedError, match="puppet refuses"):
        bench.call(first, "forward", call_argument(second, "refuse"))


def test_an_unknown_destination_is_rejected_and_the_cycles_come_back(bench: Bench) -> None:
    canister = bench.puppet()
    before = bench.canister(canister).balance
    with pytest.raises(CallRejectedError, match="not found"):
        bench.call(canister, "forward", call_argument(b"\0\0\0\0\0\0\0\x09\x01\x01", "count", cycles=10**12))
    assert before - bench.canister(canister).balance < 10**8


def test_a_canister_that_does_not_reply_is_answered_for(bench: Bench) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError, match=r"IC0506.*did not reply"):
        bench.call(canister, "silent")
    assert bench.count(canister) == 1


def test_a_trap_in_a_callback_keeps_what_came_before_the_call_and_runs_the_cleanup(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    with pytest.raises(CallRejectedError, match="IC0502"):
        bench.call(canister, "forward_and_trap_later", call_argument(other, "count"))
    assert bench.count(canister) == 1
    assert bench.query(canister, "cleaned") == b"\x01\0\0\0"
    assert bench.count(other) == 1


@pytest.mark.parametrize(("method", "code"), [("count", 0), ("refuse", 4), ("count_and_trap", 5)])
def test_a_cleanup_sees_the_reject_code_of_the_callback_before_it(bench: Bench, method: str, code: int) -> None:
    caller, callee = bench.puppet(), bench.puppet()
    with pytest.raises(CallRejectedError, match="unreachable"):
        bench.call(caller, "forward_and_trap_later", call_argument(callee, method))
    assert bench.query(caller, "cleaned_after")[0] == code


def test_a_trap_after_a_call_was_made_takes_the_call_back(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    with pytest.raises(CallRejectedError, match="IC0502"):
        bench.call(canister, "forward_and_trap_now", call_argument(other, "count"))
    assert (bench.count(canister), bench.count(other)) == (0, 0)


def test_an_early_reply_is_the_answer_and_the_callback_still_runs(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    assert bench.call(canister, "forward_and_reply_now", call_argument(other, "count")) == b"\x01\0\0\0"
    assert bench.count(canister) == 2
    assert not bench.canister(canister).contexts


def test_the_same_request_is_executed_once(bench: Bench) -> None:
    canister = bench.puppet()
    message = bench.message(canister, "count")
    bench.subnet.submit(message)
    bench.subnet.submit(message)
    bench.run()
    bench.subnet.submit(message)
    bench.run()
    assert bench.count(canister) == 1


def test_a_status_goes_through_its_states_and_is_forgotten_after_its_expiry() -> None:
    seen: list[tuple[bytes, RequestState | None]] = []

    def note(request_id: bytes, status: RequestStatus | None) -> None:
        seen.append((request_id, None if status is None else status.state))

    bench = Bench(listeners=Listeners(request_status=note))
    canister = bench.puppet()
    request_id = bench.submit(canister, "count")
    status = bench.subnet.request_status(request_id)
    assert status is not None
    assert status.state is RequestState.RECEIVED
    bench.run()
    bench.clock.advance(240 + 299)
    bench.run()
    assert bench.subnet.request_status(request_id) is not None
    bench.clock.advance(2)
    bench.run()
    assert bench.subnet.request_status(request_id) is None
    states = [state for key, state in seen if key == request_id]
    assert states == [RequestState.RECEIVED, RequestState.REPLIED, None]
    waiting = bench.submit(canister, "forward", call_argument(canister, "count"))
    bench.subnet.execute_round(max_messages=1)
    assert seen[-1] == (waiting, RequestState.PROCESSING)


@pytest.mark.parametrize("method", ["count", "start_canister"])
def test_what_waited_beyond_its_expiry_isnt_executed_any_more(bench: Bench, method: str) -> None:
    canister = bench.puppet()
    argument = management_argument("start_canister", {"canister_id": Principal(canister)})
    call = (canister, "count", b"") if method == "count" else (MANAGEMENT, method, argument)
    in_time, late = bench.submit(*call), bench.submit(*call)
    bench.clock.advance(240)  # when both expire
    bench.subnet.execute_round(max_messages=1)
    bench.clock.advance(0.001)
    bench.run()
    assert bench.outcome(in_time).is_reply  # type: ignore[union-attr]
    rejection = bench.outcome(late)
    assert rejection is not None
    assert (rejection.code, rejection.error_code) == (RejectCode.SYS_TRANSIENT, "IC0202")
    assert bench.canister(canister).version == 2


def test_messages_are_executed_in_order_and_a_round_may_be_limited(bench: Bench) -> None:
    canister = bench.puppet()
    requests = [bench.submit(canister, "count") for _ in range(3)]
    assert bench.subnet.execute_round(max_messages=2) is True
    assert [bench.outcome(request) is not None for request in requests] == [True, True, False]
    assert bench.subnet.execute_round() is False
    assert bench.outcome(requests[2]).data == b"\x03\0\0\0"  # type: ignore[union-attr]


def test_a_best_effort_call_gives_up_at_its_deadline_and_later_cycles_are_credited(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    request = bench.submit(canister, "forward_best_effort", call_argument(other, "count", cycles=10**12))
    bench.subnet.execute_round(max_messages=1)
    bench.clock.advance(11)
    held = bench.canister(canister).balance
    bench.run()
    response = bench.outcome(request)
    assert response is not None
    assert response.message == "Call timed out: its outcome is unknown.", "passed on by the caller's reject callback"
    assert bench.count(other) == 1, "the callee had it already"
    assert bench.canister(canister).balance > held + 10**12 - 10**9


def test_a_best_effort_call_that_is_answered_by_its_deadline_has_that_answer(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    request = bench.submit(canister, "forward_best_effort", call_argument(other, "count"))
    bench.subnet.execute_round(max_messages=1)
    bench.clock.advance(9)
    bench.run()
    assert bench.outcome(request).data == b"\x01\0\0\0"  # type: ignore[union-attr]


def test_only_updates_that_a_bounded_wait_call_made_have_a_deadline(bench: Bench) -> None:
    caller, callee = bench.puppet(), bench.puppet()
    deadline = bench.clock.now_ns + 10 * SECOND_NS

    def told(forward: str, method: str) -> int:
        return int.from_bytes(bench.call(caller, forward, call_argument(callee, method)), "little")

    assert told("forward_best_effort", "deadline") == deadline
    assert told("forward_best_effort", "deadline_in_query") == 0
    assert told("forward", "deadline") == 0
    assert int.from_bytes(bench.call(callee, "deadline"), "little") == 0


def test_calls_to_a_full_queue_fail_at_once(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    for _ in range(501):
        bench.submit(canister, "forward_and_forget", call_argument(other, "count"))
    for _ in range(501):
        bench.subnet.execute_round(max_messages=1)
        bench.subnet.state.queue.queues.pop(other, None)  # it never comes to it
    assert len(bench.canister(canister).pending_calls) == 500


def test_a_composite_query_asks_other_canisters_and_leaves_nothing_behind(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    nested = call_argument(first, "ask", call_argument(second, "echo", b"deep"))
    assert bench.query(second, "ask", nested) == b"deep"
    assert (bench.count(first), bench.count(second)) == (0, 0)


def test_a_composite_query_cannot_be_an_update(bench: Bench) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError, match="IC0527"):
        bench.call(canister, "ask", call_argument(canister, "echo"))


def test_certified_data_is_announced() -> None:
    changed: list[bytes] = []
    bench = Bench(listeners=Listeners(canister_changed=changed.append))
    canister = bench.puppet()
    changed.clear()
    bench.call(canister, "certify", b"root")
    assert bench.canister(canister).certified_data == b"root"
    assert changed == [canister]


def test_a_part_of_the_replica_may_answer_as_a_canister() -> None:
    greeter = b"\0\0\0\0\0\0\0\x09\x01\x01"

    def greet(subnet: Subnet, request: Request) -> Response:
        request.cycles = 0  # accepts them
        return Response(b"hello " + request.arg)

    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, builtins={greeter: Builtin(greet, greet)}))
    canister = bench.puppet()
    bench.check(greeter, "greet")
    assert bench.call(greeter, "greet", b"user") == b"hello user"
    assert bench.query(greeter, "greet", b"user") == b"hello user"
    before = bench.canister(canister).balance
    assert bench.call(canister, "forward", call_argument(greeter, "greet", b"canister", 10**12)) == b"hello canister"
    assert before - bench.canister(canister).balance > 10**12
    assert all_cycles(bench.subnet.state) == bench.subnet.state.cycles_minted


def test_a_part_of_the_replica_may_create_canisters_for_its_caller() -> None:
    ledger = b"\0\0\0\0\0\0\0\x09\x01\x01"

    def create(subnet: Subnet, request: Request) -> Response:
        method = "provisional_create_canister_with_cycles"
        argument = management_argument(method, None)
        return subnet.manage(Request(FromSystem(), request.caller, MANAGEMENT, method, argument))

    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, builtins={ledger: Builtin(create)}))
    bench.call(ledger, "create_canister")
    (created,) = bench.subnet.canisters.values()
    assert created.settings.controllers == (OWNER,)


@pytest.mark.parametrize("method", ["stop_canister", "take_canister_snapshot", "load_canister_snapshot"])
def test_a_part_of_the_replica_makes_no_calls_that_others_may_have_turns_before_the_end_of(method: str) -> None:
    part = b"\0\0\0\0\0\0\0\x09\x01\x01"

    def manage(subnet: Subnet, request: Request) -> Response:
        return subnet.manage(Request(FromSystem(), request.caller, MANAGEMENT, method, request.arg))

    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, builtins={part: Builtin(manage)}))
    argument = {"canister_id": Principal(bench.puppet()), "snapshot_id": bytes(18)}
    with pytest.raises(CallRejectedError, match=f"IC0406 {method} can't be called by a builtin"):
        bench.call(part, "manage", management_argument(method, argument))
