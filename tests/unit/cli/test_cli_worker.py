"""What a worker tells of several creations at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.worker_report import Report
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.errors import InstallError
from canister_factory.factory.events import Claimed, HandedOver, StageDone, Transferred
from support.cli_settings import printing

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
