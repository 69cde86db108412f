"""Log records as lines for people and files, and as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli import logs
from canister_factory.cli.worker_report import Report
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.errors import InstallError
from canister_factory.factory.events import Claimed
from support.cli_settings import printing

LOGGER = logging.getLogger("canister_factory.test_of_logs")
OWNERS = [Principal(bytes((number,)) * 29) for number in (1, 2)]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def started() -> Iterator[None]:
    """Our logging for one test; what was there before comes back."""
    root, ours = logging.getLogger(), logging.getLogger("canister_factory")
    before = root.handlers[:], root.level, ours.level
    root.handlers[:] = []  # pytest's own would be closed by `start`
    logs.start(0)
    yield
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])


def fail(error: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        LOGGER.error("creation of %s failed: %s", OWNERS[0], caught, exc_info=caught)


def test_a_record_is_one_unpadded_line_with_time_level_and_logger(capsys: pytest.CaptureFixture[str]) -> None:
    LOGGER.warning("word " * 200)
    err = capsys.readouterr().err
    assert re.fullmatch(rf"{TIME} WARNING canister_factory\.test_of_logs: (word ){{200}}\n", err), err


def test_an_expected_failure_is_one_line_and_has_its_traceback_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    fail(InstallError("another module"))
    shown = capsys.readouterr().err
    assert shown.endswith("failed: another module\n")
    assert shown.count("\n") == 1
    with printing(debug=True):
        logs.start(0)
    fail(InstallError("another module"))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_defect_of_ours_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    fail(ZeroDivisionError("oh"))
    shown = capsys.readouterr().err
    assert "failed: oh\n  Traceback (most recent call last)" in shown
    assert "ZeroDivisionError: oh" in shown


def test_foreign_text_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    LOGGER.error("said: %s", "done\n2025-01-01T00:00:00.000Z INFO x: all is well\x1b[2J")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("verbosity", "ours", "theirs"),
    [
        (0, logging.WARNING, logging.WARNING),
        (1, logging.INFO, logging.WARNING),
        (2, logging.DEBUG, logging.WARNING),
        (3, logging.DEBUG, logging.DEBUG),
    ],
)
def test_libraries_speak_only_when_asked_three_times(
    verbosity: int, ours: int, theirs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.start(verbosity)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        LOGGER.log(level, "ours %d", level)
        logging.getLogger("httpx").log(level, "theirs %d", level)
    said = capsys.readouterr().err.splitlines()
    shown = [line.rpartition(": ")[2] for line in said]
    levels = (logging.DEBUG, logging.INFO, logging.WARNING)
    expected = [f"{who} {at}" for at in levels for who, least in (("ours", ours), ("theirs", theirs)) if at >= least]
    assert shown == expected


# --- JSON -----------------------------------------------------------------------------------------------------------


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    shown = capsys.readouterr()
    assert shown.out == ""
    return [json.loads(line) for line in shown.err.splitlines()]


@pytest.fixture
def as_json() -> Iterator[None]:
    """Log records and events as objects."""
    with printing(json=True):
        logs.start(0)
        yield


@pytest.mark.usefixtures("as_json")
def test_json_lines_have_time_level_worker_owner_and_request_id(capsys: pytest.CaptureFixture[str]) -> None:

    async def creation(owner: Principal) -> None:
        logs.WORKER.set("w1")
        logs.OWNER.set(owner)
        await asyncio.sleep(0)
        LOGGER.warning("slow", extra={"request_id": b"\xab\xcd", "attempt": 2})

    async def both() -> None:
        await asyncio.gather(*map(creation, OWNERS))
        LOGGER.warning("nobody's")

    asyncio.run(both())
    *of_owners, of_nobody = json_lines(capsys)
    assert [line["owner"] for line in of_owners] == list(map(str, OWNERS))
    for line in of_owners:
        assert re.fullmatch(TIME, line.pop("time"))
        del line["owner"]
        assert line == {
            "level": "warning",
            "logger": "canister_factory.test_of_logs",
            "worker": "w1",
            "request_id": "abcd",
            "attempt": 2,
            "message": "slow",
        }
    assert {"worker", "owner", "request_id"}.isdisjoint(of_nobody)


@pytest.mark.usefixtures("as_json")
def test_a_record_of_another_thread_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=LOGGER.warning, args=("from afar",))
    thread.start()
    thread.join()
    (line,) = json_lines(capsys)
    assert line["message"] == "from afar"


@pytest.mark.usefixtures("as_json")
def test_json_has_a_traceback_for_defects_only(capsys: pytest.CaptureFixture[str]) -> None:
    fail(InstallError("another module"))
    fail(ZeroDivisionError("oh"))
    expected, defect = json_lines(capsys)
    assert "traceback" not in expected
    assert "ZeroDivisionError: oh" in defect["traceback"]


@pytest.mark.usefixtures("as_json")
def test_what_a_worker_logs_of_a_creation_names_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()

    async def creation(owner: Principal) -> None:
        report.event(Claimed(owner, 1, CreationStatus.NotStarted))
        await asyncio.create_task(later())

    async def later() -> None:
        LOGGER.warning("in a task of its own")

    async def both() -> None:
        await asyncio.gather(*(asyncio.create_task(creation(owner)) for owner in OWNERS))

    asyncio.run(both())
    logged = [json.loads(line)["owner"] for line in capsys.readouterr().err.splitlines()]
    assert logged == list(map(str, OWNERS))
