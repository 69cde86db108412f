"""What a worker tells of several creations at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import main, worker
from canister_factory.cli.worker_report import Report
from canister_factory.cli.worker_standing import Standing
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.errors import InstallError
from canister_factory.factory.events import Claimed, HandedOver, StageDone, Transferred
from canister_factory.factory.worker_events import Looked, Unlisted
from canister_factory.ic.identity import Identity
from support.backend_looks import T, look, open_request
from support.backend_script import Clock
from support.cli_settings import printing, run_alone, signals_in_hand
from support.ic_test_support import ROOT

__all__ = ["signals_in_hand"]

OWNERS = [Principal(bytes((number,)) * 10) for number in (1, 2)]


@pytest.fixture(autouse=True)
def as_json() -> Iterator[None]:
    """Events as objects."""
    with printing(json=True):
        yield


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_events_of_creations_that_run_at_once_name_their_owner(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()

    async def creation(owner: Principal) -> None:
        report.event(Claimed(owner, 1, CreationStatus.NotStarted))
        await asyncio.sleep(0)

        async def stage() -> None:
            await asyncio.sleep(0)
            report.event(StageDone(CreationStatus.Exporting, f"of {owner}"))

        await asyncio.create_task(stage())

    await asyncio.gather(*map(creation, OWNERS))
    stages = [line for line in lines(capsys) if line["event"] == "StageDone"]
    assert {(line["owner"], line["detail"]) for line in stages} == {(str(o), f"of {o}") for o in OWNERS}


@pytest.mark.usefixtures("signals_in_hand")
@pytest.mark.parametrize(("failure", "code"), [(None, 0), (InstallError("the lease can't be given back"), 1)])
def test_a_worker_that_is_stopped_succeeds_unless_something_fails_meanwhile(
    failure: Exception | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            if failure is not None:
                raise failure

    run_alone(monkeypatch)
    monkeypatch.setattr(worker, "run_with_agent", lambda *_, on_stop, **__: interrupts.run(work, on_stop=on_stop))
    Identity.generate().write_pem(tmp_path / "operator.pem")
    arguments = ["worker", "--identity", str(tmp_path / "operator.pem"), "--backend", str(OWNERS[0])]
    ran = CliRunner().invoke(main, [*arguments, "--network", "http://127.0.0.1:1", "--root-key", ROOT.der.hex()])
    assert (ran.exit_code, "the lease can't be given back" in ran.output) == (code, code == 1)


def test_progress_is_told_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.5, 0.99, 1.0, 1.5, 2.1])
    report = Report(clock=lambda: next(times))
    report.event(Claimed(OWNERS[0], 1, CreationStatus.Importing))
    for done in range(6):
        report.event(Transferred(done, 6, 0, 1, 4))
    told = [line["bytes_done"] for line in lines(capsys) if line["event"] == "Transferred"]
    assert told == [0, 3, 5]


def test_sets_of_principals_are_lists_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Report().event(HandedOver(OWNERS[0], frozenset(OWNERS), b"\x01\x02"))
    (line,) = lines(capsys)
    assert line["controllers"] == sorted(map(str, OWNERS))
    assert line["module_hash"] == "0102"


def test_a_failure_is_counted_and_told_with_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.finished(OWNERS[0], InstallError("another module", canister_id=OWNERS[1]))
    (line,) = lines(capsys)
    assert line["event"] == "Failed"
    assert line["kind"] == "InstallError"
    assert line["context"]["canister_id"] == str(OWNERS[1])
    assert (report.completed, report.failed) == (0, 1)


def test_a_person_reads_each_line_with_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with printing():
        report.event(Claimed(OWNERS[0], 1, CreationStatus.NotStarted))
        report.event(StageDone(CreationStatus.Exporting, "3 memories"))
        report.finished(OWNERS[0], InstallError("another module"))
    assert capsys.readouterr().err.splitlines() == [
        f"{OWNERS[0]}: claimed at NotStarted",
        f"{OWNERS[0]}: Exporting: 3 memories",
        f"{OWNERS[0]}: failed: another module",
    ]


def idle_standing(*, reserve_known: bool = True, requests: int = 2) -> Standing:
    standing = Standing(10, lambda: 0, back=lambda seconds: None, clock=lambda: 0.0, now_ns=lambda: 7_200 * 10**9)
    standing.event(Looked((open_request(),) * requests, 0))
    if reserve_known:
        standing.looked(look(available=8 * T, consumed=14 * T))
    return standing


def test_a_worker_without_work_says_what_it_waits_for_and_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    Report().idle(idle_standing())
    assert lines(capsys) == [
        {
            "event": "Idle",
            "waits_for": "other workers and operators",
            "open_requests": 2,
            "oldest_open_request_seconds": 7200.0,
            "unreachable_seconds": None,
            "reserve_available": str(8 * T),
            "reserve_level": "Normal",
            "reserve_days_left": 4.0,
        }
    ]
    with printing():
        Report().idle(idle_standing())
        Report().idle(idle_standing(reserve_known=False, requests=0))
    assert capsys.readouterr().err.splitlines() == [
        "waiting for other workers and operators: 2 open, the oldest for 2 h, the reserve has 8.000 T cycles available "
        "(Normal, 4 days at the pace of the last week)",
        "waiting for requests: 0 open",
    ]


def test_a_worker_without_a_network_says_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    standing = Standing(10, lambda: 0, back=lambda seconds: None, clock=clock)
    standing.event(Unlisted("cut"))
    clock.now = 34
    Report().idle(standing)
    (line,) = lines(capsys)
    assert (line["waits_for"], line["unreachable_seconds"], line["reserve_level"]) == ("the network", 34.0, None)
    with printing():
        Report().idle(standing)
    assert capsys.readouterr().err == "waiting for the network: no answer for 34 s\n"


def test_a_network_that_is_back_is_said_to_be_with_the_time_that_it_was_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Report().back(34.04)
    assert lines(capsys) == [{"event": "BackAgain", "seconds": 34.0}]
    with printing():
        Report().back(34.04)
    assert capsys.readouterr().err == "back again after 34 s: the network answers\n"
