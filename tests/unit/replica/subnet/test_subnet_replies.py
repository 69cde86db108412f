"""Answers are kept up to a number of bytes; the requests that came first are "done" then."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet import statuses
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import Bench, engine

SIZE = 1000


@pytest.fixture(autouse=True)
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "MAX_REPLY_BYTES", 10 * SIZE)
    monkeypatch.setattr(statuses, "_LEFT_BY_PRUNING", 8 * SIZE)


def answered(bench: Bench, canister: bytes, count: int) -> list[bytes]:
    return [bench.submit(canister, "echo", bytes(SIZE)) for _ in range(count)]


def states(bench: Bench, requests: list[bytes]) -> list[RequestState]:
    return [bench.subnet.request_statuses[request].state for request in requests]


def kept_bytes(bench: Bench) -> int:
    kept = bench.subnet.request_statuses.values()
    return sum(len(status.response.data) for status in kept if status.response is not None)


def test_the_first_answers_go_when_there_are_too_many_bytes() -> None:
    told: dict[bytes, RequestStatus | None] = {}
    bench = Bench(listeners=Listeners(request_status=told.__setitem__))
    canister = bench.puppet()
    requests = answered(bench, canister, 30)
    bench.run()
    assert states(bench, requests) == [RequestState.REPLIED] * 30, "all are answered first"
    requests += answered(bench, canister, 1)
    bench.run()
    assert states(bench, requests) == [RequestState.DONE] * 22 + [RequestState.REPLIED] * 9
    assert kept_bytes(bench) <= 10 * SIZE
    assert {request: told[request] for request in requests} == {
        request: bench.subnet.request_statuses[request] for request in requests
    }


def test_a_request_that_is_done_is_forgotten_as_others_are_and_not_executed_again() -> None:
    bench = Bench()
    canister = bench.puppet()
    message = bench.message(canister, "echo", bytes(SIZE))
    bench.subnet.submit(message)
    answered(bench, canister, 30)
    bench.run()
    bench.run()
    assert bench.subnet.request_statuses[message.request_id].state is RequestState.DONE
    bench.subnet.submit(message)
    bench.run()
    assert bench.subnet.request_statuses[message.request_id].state is RequestState.DONE
    bench.clock.advance(600)
    bench.run()
    assert message.request_id not in bench.subnet.request_statuses


def test_a_restart_and_an_anchor_know_how_much_is_kept(tmp_path: Path) -> None:
    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Checkpoint(tmp_path, engine())))
    canister = bench.puppet()
    requests = answered(bench, canister, 9)
    bench.run()
    bench.subnet.close()
    bench.restart()
    requests += answered(bench, canister, 4)
    bench.run()
    bench.run()
    assert states(bench, requests).count(RequestState.DONE) > 0
    assert kept_bytes(bench) <= 10 * SIZE


def test_going_back_brings_forgotten_answers_back() -> None:
    bench = Bench()
    canister = bench.puppet()
    requests = answered(bench, canister, 9)
    bench.run()
    anchor = bench.subnet.anchor()
    answered(bench, canister, 9)
    bench.run()
    bench.run()
    assert RequestState.DONE in states(bench, requests)
    bench.subnet.revert(anchor)
    assert states(bench, requests) == [RequestState.REPLIED] * 9
    assert bench.subnet.state.statuses.answer_bytes >= 9 * SIZE
