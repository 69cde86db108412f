"""HTTP outcalls of canisters: what is refused, what it costs, and what becomes of the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case, FuncRef
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.http_outcalls import MAX_BYTES
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.messages import HttpResponse, OutcallAnswer
from canister_factory.replica.subnet.outcalls import HttpRequest, Outcall
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import MANAGEMENT, SECOND_NS, Bench, CallRejectedError, engine, management_argument
from support.replica_puppet import call_argument, puppet

URL = "https://example.com/price"
CLEAN = encode(
    method_type("http_request").results,
    ({"status": 200, "headers": [{"name": "seen-by", "value": "transform"}], "body": b"clean"},),
)
CLEAN_DATA = "".join("\\" + f"{byte:02x}" for byte in CLEAN)
TRANSFORMS = f"""
  (data (i32.const 8192) "{CLEAN_DATA}")
  (func (export "canister_query clean") (call $count)
    (if (call $caller_size) (then (unreachable)))
    (call $append (i32.const 8192) (i32.const {len(CLEAN)})) (call $reply))
  (func (export "canister_query broken") (unreachable))
  (func (export "canister_query slow") (local $left i32) (local.set $left (i32.const 5000000))
    (loop (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $append (i32.const 8192) (i32.const {len(CLEAN)})) (call $reply))
  (func (export "canister_query nothing") (call $append (i32.const 0) (i32.const 0)) (call $reply))
"""

ROOMY = '(func (export "canister_update grow") (drop (memory.grow (i32.const 40))) (call $reply_count))'


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ask(bench: Bench, canister: bytes, *, cycles: int = 10**12, **argument: Any) -> bytes:
    """Makes a canister call `http_request`; the id of the ingress message that waits for it."""
    given = {"url": URL, "method": Case("get"), "headers": [], **argument}
    data = management_argument("http_request", given)
    request = bench.submit(canister, "forward", call_argument(MANAGEMENT, "http_request", data, cycles))
    bench.run()
    return request


def pending(bench: Bench) -> Outcall:
    (outcall,) = bench.subnet.outcalls.values()
    return outcall


def answer(bench: Bench, response: HttpResponse | None, problem: str = "") -> None:
    bench.subnet.submit_outcall_answer(OutcallAnswer(pending(bench).caller, pending(bench).id, response, problem))
    bench.run()


def result(bench: Bench, request: bytes) -> dict[str, Any]:
    response = bench.outcome(request)
    assert response is not None, "it wasn't answered"
    if response.code is not None:
        raise CallRejectedError(response)
    record: dict[str, Any] = decode(response.data, method_type("http_request").results)[0]
    return record


def transform(canister: bytes, method: str, context: bytes = b"") -> dict[str, Any]:
    return {"function": FuncRef(Principal(canister), method), "context": context}


# --- the request and its answer ---


def test_an_outcall_waits_until_it_is_answered(bench: Bench) -> None:
    canister = bench.puppet()
    headers = [{"name": "accept", "value": "text/plain"}]
    request = ask(bench, canister, method=Case("post"), headers=headers, body=b"question", max_response_bytes=1_000)
    assert bench.outcome(request) is None
    assert pending(bench).request == HttpRequest(URL, "POST", (("accept", "text/plain"),), b"question", 1_000)
    answer(bench, HttpResponse(404, b"nothing here", (("server", "test"),)))
    expected = {"status": 404, "headers": [{"name": "server", "value": "test"}], "body": b"nothing here"}
    assert result(bench, request) == expected
    assert bench.subnet.outcalls == {}


def test_an_answer_that_comes_twice_or_to_nobody_changes_nothing(bench: Bench) -> None:
    canister = bench.puppet()
    request = ask(bench, canister)
    outcall = pending(bench)
    answer(bench, HttpResponse(200, b"first"))
    for number in (outcall.id, 10_000):
        bench.subnet.submit_outcall_answer(OutcallAnswer(canister, number, HttpResponse(200, b"second")))
        bench.run()
    assert result(bench, request)["body"] == b"first"


def test_no_answer_is_a_passing_failure_with_its_reason(bench: Bench) -> None:
    request = ask(bench, bench.puppet())
    answer(bench, None, "the server is asleep")
    response = bench.outcome(request)
    assert response is not None
    assert response.message == "the server is asleep"


def test_after_a_minute_the_caller_is_told(bench: Bench) -> None:
    request = ask(bench, bench.puppet())
    assert bench.subnet.next_wakeup_ns() == bench.clock.now_ns + 60 * SECOND_NS
    bench.clock.advance(59)
    bench.run()
    assert bench.outcome(request) is None
    bench.clock.advance(1)
    bench.run()
    with pytest.raises(CallRejectedError, match="Canister http request timed out"):
        result(bench, request)


def test_users_can_not_ask(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match="http_request can only be called by canisters"):
        bench.manage("http_request", {"url": URL, "method": Case("get"), "headers": []})


# --- what it costs ---


def test_it_costs_by_the_request_and_by_the_largest_answer_and_the_rest_comes_back(bench: Bench) -> None:
    canister = bench.puppet(puppet(TRANSFORMS))
    before = bench.canister(canister).balance
    headers = [{"name": "a", "value": "bc"}]
    request = ask(
        bench,
        canister,
        headers=headers,
        body=b"body",
        max_response_bytes=500,
        transform=transform(canister, "clean", b"12"),
    )
    size = len(URL) + 3 + 4 + len("clean") + 2
    fee = 49_140_000 + 5_200 * size + 10_400 * 500
    assert pending(bench).refund == 10**12 - fee
    assert bench.canister(canister).consumed["http_outcalls"] == fee
    answer(bench, HttpResponse(200))
    result(bench, request)
    assert 0 < before - bench.canister(canister).balance - fee < 10**8


def test_too_few_cycles_are_said_and_given_back(bench: Bench) -> None:
    canister = bench.puppet()
    fee = 49_140_000 + 5_200 * len(URL) + 10_400 * MAX_BYTES
    request = ask(bench, canister, cycles=fee - 1)
    with pytest.raises(CallRejectedError, match=f"sent with {fee - 1} cycles, but {fee} cycles are required"):
        result(bench, request)
    assert bench.canister(canister).consumed.get("http_outcalls", 0) == 0


# --- limits ---


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ({"url": "https://" + "a" * 8_200}, "The url has 8208 characters, at most 8192"),
        ({"url": "http://example.com/"}, "must start with https://"),
        ({"url": "ftp://localhost/"}, "must start with https://"),
        ({"url": "https:///nowhere"}, "names no server"),
        ({"url": "https://[::1/"}, "malformed"),
        ({"url": "https://example.com:99999/"}, "malformed"),
        ({"max_response_bytes": 2_000_001}, r"in the range \[0..2000000\], got 2000001"),
        ({"method": Case("put")}, "PUT is for non-replicated requests only"),
        ({"method": Case("patch"), "is_replicated": True}, "PATCH is for non-replicated requests only"),
        ({"headers": [{"name": "a", "value": ""}] * 65}, "65 headers, at most 64"),
        ({"headers": [{"name": "a" * 8_193, "value": ""}]}, "a header of 8193 bytes"),
        ({"headers": [{"name": "a" * 8_192, "value": ""}] * 7}, "headers have 57344 bytes, at most 49152"),
        ({"method": Case("post"), "body": bytes(2_000_001)}, "is 2000001, at most 2000000 are allowed"),
    ],
)
def test_what_is_over_a_limit_is_refused_and_costs_nothing(
    bench: Bench, argument: dict[str, Any], problem: str
) -> None:
    canister = bench.puppet(puppet(ROOMY))
    bench.call(canister, "grow")
    request = ask(bench, canister, **argument)
    assert bench.subnet.outcalls == {}
    with pytest.raises(CallRejectedError, match=problem):
        result(bench, request)
    assert bench.canister(canister).consumed.get("http_outcalls", 0) == 0


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/x", "http://127.0.0.1/", "http://[::1]:1/", "http://a.localhost/"]
)
def test_servers_of_this_computer_need_no_certificate(bench: Bench, url: str) -> None:
    ask(bench, bench.puppet(), url=url, method=Case("put"), is_replicated=False)
    assert pending(bench).request.url == url


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (HttpResponse(200, bytes(101)), "Http body exceeds size limit of 100 bytes"),
        (HttpResponse(200, bytes(90), (("name", "value" * 2),)), "Http body exceeds size limit of 100 bytes"),
        (HttpResponse(200, b"", (("a", "b"),) * 65), "The response has 65 headers, at most 64"),
    ],
)
def test_an_answer_over_a_limit_is_a_failure(bench: Bench, response: HttpResponse, problem: str) -> None:
    request = ask(bench, bench.puppet(), max_response_bytes=100)
    answer(bench, response)
    with pytest.raises(CallRejectedError, match=problem):
        result(bench, request)


def test_only_so_many_outcalls_are_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canister_factory.replica.subnet.http_outcalls.MAX_IN_FLIGHT", 2)
    canister = bench.puppet()
    ask(bench, canister)
    ask(bench, canister)
    refused = ask(bench, canister)
    with pytest.raises(CallRejectedError, match=r"max number \(2\) of http requests in-flight reached"):
        result(bench, refused)
    assert len(bench.subnet.outcalls) == 2


# --- transform functions ---


def test_a_transform_function_sees_the_answer_first_and_leaves_no_trace(bench: Bench) -> None:
    canister = bench.puppet(puppet(TRANSFORMS))
    request = ask(bench, canister, transform=transform(canister, "clean"))
    answer(bench, HttpResponse(500, b"with the time of day", (("date", "now"),)))
    expected = {"status": 200, "headers": [{"name": "seen-by", "value": "transform"}], "body": b"clean"}
    assert result(bench, request) == expected
    assert bench.count(canister) == 2  # the call and its reply


def test_a_transform_function_is_given_the_response_and_the_context(bench: Bench) -> None:
    canister = bench.puppet(puppet(TRANSFORMS))
    request = ask(bench, canister, transform=transform(canister, "echo", b"context"))
    answer(bench, HttpResponse(200, b"body"))
    with pytest.raises(CallRejectedError, match="The transform function's answer is no http response"):
        result(bench, request)


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("nonesuch", "has no query method 'nonesuch' to transform"),
        ("count", "has no query method 'count' to transform"),
        ("broken", "unreachable"),
        ("nothing", "answer is no http response"),
    ],
)
def test_a_transform_function_that_fails_fails_the_outcall(bench: Bench, method: str, problem: str) -> None:
    canister = bench.puppet(puppet(TRANSFORMS))
    request = ask(bench, canister, transform=transform(canister, method))
    answer(bench, HttpResponse(200))
    response = bench.outcome(request)
    assert response is not None
    assert problem in response.message


def test_what_a_transform_function_makes_is_bounded_too(bench: Bench) -> None:
    canister = bench.puppet(puppet(TRANSFORMS))
    request = ask(bench, canister, transform=transform(canister, "clean"), max_response_bytes=len(CLEAN) - 1)
    answer(bench, HttpResponse(200))
    with pytest.raises(CallRejectedError, match=f"Transformed http response exceeds limit: {len(CLEAN) - 1}"):
        result(bench, request)


def test_the_transform_function_must_be_the_callers_own(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet(puppet(TRANSFORMS))
    request = ask(bench, canister, transform=transform(other, "clean"))
    with pytest.raises(CallRejectedError, match="must be the caller's own"):
        result(bench, request)


def test_a_transform_function_that_takes_long_lets_others_go_first(bench: Bench) -> None:
    canister, other = bench.puppet(puppet(TRANSFORMS)), bench.puppet()
    request = ask(bench, canister, transform=transform(canister, "slow"))
    bench.subnet.submit_outcall_answer(OutcallAnswer(canister, pending(bench).id, HttpResponse(200)))
    short = Pace(turn_slices=2, round_slices=2)
    bench.subnet.execute_round(pace=short)
    assert list(bench.subnet.state.begun) == [canister]
    counted = bench.submit(other, "count")
    while bench.outcome(counted) is None:
        bench.subnet.execute_round(pace=short)
    assert bench.outcome(request) is None
    bench.run()
    assert result(bench, request)["body"] == b"clean"


# --- determinism ---


def test_the_answer_is_part_of_the_journal(tmp_path: Path) -> None:
    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Checkpoint(tmp_path, engine())))
    canister = bench.puppet(puppet(TRANSFORMS))
    first = ask(bench, canister)
    answer(bench, HttpResponse(200, b"as it was"))
    second = ask(bench, canister, transform=transform(canister, "clean"))
    bench.subnet.persist()
    before = encode_state(bench.subnet.state)

    bench.restart()

    assert encode_state(bench.subnet.state) == before
    assert result(bench, first)["body"] == b"as it was"
    assert pending(bench).transform == "clean"
    answer(bench, HttpResponse(200, b"after the restart"))
    assert result(bench, second)["body"] == b"clean"


def test_going_back_takes_outcalls_and_answers_back(bench: Bench) -> None:
    canister = bench.puppet()
    request = ask(bench, canister)
    anchor = bench.subnet.anchor()
    answer(bench, HttpResponse(200, b"forgotten"))
    ask(bench, canister)
    bench.subnet.revert(anchor)
    assert bench.outcome(request) is None
    answer(bench, HttpResponse(200, b"kept"))
    assert result(bench, request)["body"] == b"kept"
