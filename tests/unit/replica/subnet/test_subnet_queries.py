"""Query calls: which canisters answer them, and how a composite query goes on from call to call.

Source: interface specification, "Request: Query call" and "Query call" of the abstract behavior.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.replica.runtime.execution import RejectCode
from support.replica_bench import MANAGEMENT, Bench, CallRejectedError, management_argument
from support.replica_puppet import call_argument


@pytest.fixture
def bench() -> Bench:
    return Bench()


def stopping(bench: Bench) -> bytes:
    """A canister that waits for the answer to a call while it stops."""
    canister = bench.puppet()
    bench.submit(canister, "forward", call_argument(bench.puppet(), "count"))
    bench.subnet.execute_round(max_messages=1)
    stop = management_argument("stop_canister", {"canister_id": Principal(canister)})
    bench.submit(MANAGEMENT, "stop_canister", stop)
    bench.subnet.state.queue.rotate(1)
    bench.subnet.execute_round(max_messages=1)
    assert bench.canister(canister).status.name == "STOPPING"
    return canister


def test_a_stopping_canister_answers_no_queries(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match="IC0509") as refused:
        bench.query(stopping(bench), "read")
    assert refused.value.code is RejectCode.CANISTER_ERROR


def test_a_stopping_canister_answers_no_composite_query_either(bench: Bench) -> None:
    asking, stopped = bench.puppet(), stopping(bench)
    with pytest.raises(CallRejectedError, match="is stopping"):
        bench.query(asking, "ask", call_argument(stopped, "read"))
