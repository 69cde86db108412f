"""What a person sees of an error, and the exit codes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from canister_factory import interrupts
from canister_factory.candid.errors import ParseError
from canister_factory.cli import main, output, quantities
from canister_factory.cli.errors import CommandError, InputError
from canister_factory.cli.guard import guarded
from canister_factory.contract.creation_models import CreationError, CreationErrorKind
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import InstallError
from canister_factory.ic.errors import IdentityError, NetworkUnreachableError, RejectedError
from canister_factory.interrupts import Interrupted
from support.cli_settings import printing

REFUSED = CreationRefused(
    "claim_creation", CreationError(kind=CreationErrorKind.Busy, message="taken", retry_helps=True)
)


def ended(run: Callable[[], object]) -> int:
    with pytest.raises(SystemExit) as stop:
        guarded(lambda **kwargs: run())
    assert isinstance(stop.value.code, int)
    return stop.value.code


def raising(error: BaseException) -> Callable[[], object]:
    def run() -> object:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("failed"), 1),
        (REFUSED, 1),
        (InstallError("another module"), 1),
        (RejectedError(5, "trapped", certified=True), 1),
        (ParseError("odd"), 1),
        (PermissionError(13, "Permission denied", "file"), 1),
        (InputError("wrong"), 2),
        (IdentityError("no key"), 2),
        (NetworkUnreachableError("nobody there"), 3),
    ],
)
def test_errors_have_one_line_and_their_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error)) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (Interrupted(signal.SIGINT), 130, "interrupted"),
        (Interrupted(signal.SIGTERM), 143, "terminated"),
    ],
)
def test_an_interruption_is_one_line_that_says_what_holds(
    error: BaseException, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupts.if_interrupted("the creation stays open")
    assert ended(raising(error)) == code
    assert capsys.readouterr() == ("", f"{word}; the creation stays open\n")


def test_with_json_an_interruption_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    with printing(json=True):
        assert ended(raising(Interrupted(signal.SIGINT))) == 130
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "Interrupted"


def test_with_json_an_error_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with printing(json=True):
        assert ended(raising(REFUSED)) == 1
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert (error["kind"], error["retry_helps"]) == ("CreationRefused", True)
    assert error["context"]["refused"]["kind"] == "Busy"
    assert "taken" in error["message"]
    assert shown.err == ""


def test_a_defect_says_how_to_report_it_and_shows_the_traceback_only_when_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(raising(ZeroDivisionError("oh"))) == 1
    shown = capsys.readouterr().err
    assert "unexpected error: ZeroDivisionError: oh" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown
    with printing(debug=True):
        assert ended(raising(ZeroDivisionError("oh"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_long_message_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(CommandError("word " * 400))) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_text_that_is_not_utf8_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(CommandError("no file caf\udce9.txt"))) == 1
    assert "caf\\xe9.txt" in capsys.readouterr().err


def run_main(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main.main(list(args), prog_name="canister-factory")
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("nonsense") == 2
    assert "nonsense" in capsys.readouterr().err


def test_wrong_usage_with_json_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("call", "not-a-principal", "whoami", "--json") == 2
    assert "not-a-principal" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_missing_directory_is_told_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("demo", "/no/such/place", "--json") == 2
    assert "/no/such/place" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("--help") == 0
    listed = capsys.readouterr().out
    for name in ("call", "demo", "list", "run", "status"):
        assert name in listed
        assert run_main(name, "--help") == 0


def test_sizes_and_cycles_are_written_for_people() -> None:
    assert [quantities.size(n) for n in (0, 1, 999, 1500, 999_999, 64_000_000, 5 * 10**12)] == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1.5 kB",
        "1.0 MB",
        "64.0 MB",
        "5.0 TB",
    ]
    assert quantities.rate(20_000_000, 2) == "10.0 MB/s"
    assert quantities.cycles(1_500_000_000_000) == "1.500 T (1,500,000,000,000)"
    assert quantities.cycles(12) == "12"


def test_no_integer_in_json_is_beyond_what_readers_with_float64_numbers_keep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.json_object({"cycles": 10**16, "entries": [{"bytes": 5, "far": -(2**53)}], "hash": b"\xff"})
    assert json.loads(capsys.readouterr().out) == {
        "cycles": "10000000000000000",
        "entries": [{"bytes": 5, "far": "-9007199254740992"}],
        "hash": "ff",
    }
