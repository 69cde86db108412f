"""A message that fails by a defect of ours is taken back wholly and rejected with a reference; the round goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from canister_factory.replica.runtime.execution import RejectCode
from canister_factory.replica.runtime.system_api import SystemApi
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.subnet.transaction import STATE_NUMBERS
from support.injected_faults import DefectError
from support.replica_bench import Bench, CallRejectedError, engine
from support.replica_puppet import call_argument


def test_a_failed_message_is_rejected_with_a_reference_into_the_log_and_the_next_is_executed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    canister = bench.puppet()
    monkeypatch.setattr("canister_factory.replica.subnet.calls.Calls._send", _defect)
    failed = bench.submit(canister, "forward", call_argument(canister, "count"))
    good = bench.submit(canister, "count")
    bench.run()
    rejected = bench.outcome(failed)
    assert rejected is not None
    assert rejected.code is RejectCode.SYS_FATAL
    reference = re.search(r"reference (E\d+)", rejected.message)
    assert reference is not None
    assert reference[0] in caplog.text
    assert "DefectError: a mistake" in caplog.text
    assert "a mistake" not in rejected.message
    done = bench.outcome(good)
    assert done is not None
    assert done.is_reply
    assert bench.count(canister) == 1


def _defect(*_: object, **__: object) -> None:
    raise DefectError("a mistake")


def test_a_defect_in_a_host_function_rolls_the_memories_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    canister = bench.puppet()
    before = bench.canister(canister).balance
    monkeypatch.setattr(SystemApi, "_require_stable", _defect)  # in the middle of `remember`, which grew stable memory
    request_id = bench.submit(canister, "remember", b"12345678")
    bench.run()
    response = bench.outcome(request_id)
    assert response is not None
    assert response.code is RejectCode.SYS_FATAL
    assert bench.canister(canister).stable.size_bytes == 0
    monkeypatch.undo()
    assert bench.count(canister) == 0
    assert bench.canister(canister).balance > before - 10**8, "nothing but the ingress message is paid for"


def test_a_callers_cycles_come_back_from_a_callee_that_failed_by_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    caller, callee = bench.puppet(), bench.puppet()
    before = bench.canister(caller).balance
    monkeypatch.setattr("canister_factory.replica.subnet.state.SubnetState.existing", _unless(caller))
    with pytest.raises(CallRejectedError, match="An internal error of the replica"):
        bench.call(caller, "forward", call_argument(callee, "accept", cycles=10**12))
    assert bench.canister(caller).balance > before - 10**10


def _unless(good: bytes) -> Callable[[SubnetState, bytes], object]:
    def existing(state: SubnetState, canister_id: bytes) -> object:
        if canister_id != good:
            raise DefectError("a mistake")
        return state.canisters[canister_id]

    return existing


def test_what_cannot_be_taken_back_breaks_the_subnet(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    canister = bench.puppet()
    monkeypatch.setattr("canister_factory.replica.runtime.copy_on_write.CopyOnWriteMemory.commit", _defect)
    monkeypatch.setattr("canister_factory.replica.runtime.memory.FullCopyMemory.commit", _defect)
    bench.submit(canister, "count")
    with pytest.raises(DefectError):
        bench.run()
    with pytest.raises(SubnetBrokenError):
        bench.submit(canister, "count")


def test_numbers_and_mappings_of_the_state_are_all_taken_back_or_never_changed_by_messages() -> None:
    from dataclasses import fields

    constant = {"seed", "prices", "first_canister_id", "last_canister_id", "subnet_admins"}
    by_rounds = {"time_ns", "storage_charged_ns", "messages_executed", "node_metrics"}
    containers = {
        "canisters",
        "queue",
        "begun",
        "statuses",
        "ledger_balances",
        "ledger_withdrawals",
        "outcalls",
        "transaction",
    }
    assert {field.name for field in fields(SubnetState)} == constant | by_rounds | containers | set(STATE_NUMBERS)


def _durable(directory: Path) -> Bench:
    return Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Checkpoint(directory, engine())))


def test_a_journal_with_a_failure_is_executed_again_to_the_same_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = _durable(tmp_path)
    canister = bench.puppet()
    monkeypatch.setattr("canister_factory.replica.subnet.calls.Calls._send", _defect)
    failed = bench.submit(canister, "forward", call_argument(canister, "count"))
    bench.run()
    bench.subnet.persist()
    told = bench.outcome(failed)
    bench.restart()
    assert bench.outcome(failed) == told
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"0 messages failed by an internal error, but 1 when it was written"):
        bench.restart()


def test_a_defect_that_breaks_the_execution_of_a_journal_is_a_refusal_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = _durable(tmp_path)
    bench.puppet()
    bench.subnet.persist()
    monkeypatch.setattr("canister_factory.replica.subnet.upkeep.Upkeep.run", _defect)
    with pytest.raises(CheckpointError, match=r"can't be executed again: record \d+ .*internal error.*a mistake"):
        bench.restart()
