"""Everything that is printed or logged is escaped where it leaves, whoever put it there."""

from __future__ import annotations

import io
import json
import logging

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli import logs, main, output, results
from canister_factory.cli.errors import CommandError
from canister_factory.cli.guard import guarded
from canister_factory.cli.progress import bytes_bar
from canister_factory.cli.results import Check, Verdict, show_checks
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationError, CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.errors import MAX_RECORDED_CHARACTERS, InstallError, to_creation_error
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.foreign_text import MAX_QUOTED_CHARACTERS
from canister_factory.ic.transport import Response
from support.cli_settings import printing

ATTACK = "a\x1b[2J\x07\rb\x9b31m\u202ec\x7f[bold]d[/]\nerror: forged"
SAFE = "a\\x1b[2J\\x07\\rb\\x9b31m\\u202ec\\x7f[bold]d[/]\\nerror: forged"
FLOOD = ATTACK + "A" * 1_000_000


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> logging.Logger:
    """A logger with the command line's own set-up, which is taken down again at once."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.start(3)
    ours = root.handlers[:]
    root.handlers[:], root.level = handlers, level
    logger = logging.Logger("test")
    logger.handlers = ours
    return logger


# --- What is printed ------------------------------------------------------------------------------------------------


def test_lines_tables_and_checks_are_escaped_in_all_their_parts(capsys: pytest.CaptureFixture[str]) -> None:
    output.note(ATTACK)
    output.error("Odd", ATTACK)
    output.table(ATTACK, [(ATTACK, ATTACK)])
    output.table("", [(ATTACK,)], headers=("name",))
    show_checks(ATTACK, [Check(ATTACK, Verdict.OK, ATTACK, ATTACK)])
    shown = capsys.readouterr()
    for stream, count in ((shown.err, 2), (shown.out, 8)):
        assert stream.count(SAFE) == count
        assert not set(stream) & set("\x1b\x07\r\x9b\u202e\x7f")
    assert "\nerror: forged" not in shown.err + shown.out


def test_json_escapes_what_is_not_printable_ascii_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.json_object({"text": ATTACK})
    shown = capsys.readouterr().out
    assert all(" " <= character < "\x7f" for character in shown.rstrip("\n"))
    assert json.loads(shown) == {"text": ATTACK}


@pytest.mark.parametrize(
    "args", [["a\x1b[31m\u202eb"], ["status", "--a\x1b[31m\u202eb"], ["status", "a\x1b[31m\u202eb"]]
)
def test_wrong_usage_is_told_escaped(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(args, prog_name="canister-factory")
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert "a\\x1b[31m\\u202eb" in shown
    assert not set(shown) & set("\x1b\u202e")


def test_a_traceback_is_escaped_with_all_that_is_chained_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        try:
            raise ValueError(ATTACK)
        except ValueError as error:
            raise CommandError("it failed") from error

    with pytest.raises(SystemExit), printing(debug=True):
        guarded(fail)
    shown = capsys.readouterr().err
    assert "a\\x1b[2J\\x07\\rb" in shown
    assert not set(shown) & set("\x1b\x07\r\x9b\u202e\x7f")


def test_a_question_and_the_name_of_a_long_work_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = io.StringIO("y\n")
    monkeypatch.setattr(answer, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answer)
    results.confirm(ATTACK, yes=False)
    assert capsys.readouterr().err == f"{SAFE} [y/N]: "
    with bytes_bar(ATTACK, 1) as advance:
        advance(1)
    assert SAFE in capsys.readouterr().err


# --- What is logged -------------------------------------------------------------------------------------------------


def test_a_record_is_one_line_whatever_is_put_into_it(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.warning("creation of %s failed: %s", ATTACK, ATTACK)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.count("a\\x1b[2J\\x07") == shown.count("[bold]d[/] error: forged") == 2
    assert not set(shown) & set("\x1b\x07\r\x9b\u202e\x7f")


def test_a_traceback_in_a_log_is_escaped_and_none_of_its_lines_looks_like_a_record(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError(ATTACK)
    except ValueError:
        log.exception("it failed")
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("  ") for line in lines[1:])
    assert any("a\\x1b[2J\\x07\\rb" in line for line in lines)
    assert not set("".join(lines)) & set("\x1b\x07\r\x9b\u202e\x7f")


# --- How much of it -------------------------------------------------------------------------------------------------

REFUSALS = [
    RejectedError(4, FLOOD, FLOOD, certified=False),
    CapsuleRefused("get_capsule", CapsuleError(Unauthorized=FLOOD)),
    CreationRefused("claim", CreationError(kind=CreationErrorKind.Busy, message=FLOOD, retry_helps=True)),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_an_error_quotes_at_most_500_characters_of_a_canister_and_counts_the_rest(error: Exception) -> None:
    said = str(error)
    assert SAFE in said
    assert "more characters)" in said
    assert said.count("A") <= MAX_QUOTED_CHARACTERS
    assert len(said) < 2 * MAX_QUOTED_CHARACTERS


def test_programs_have_the_whole_text() -> None:
    rejected, _, refused = REFUSALS
    assert isinstance(rejected, RejectedError)
    assert rejected.message == FLOOD
    assert isinstance(refused, CreationRefused)
    assert refused.error.message == FLOOD
    context = refused.context["refused"]
    assert isinstance(context, dict)
    assert context["message"] == FLOOD


@pytest.mark.parametrize("error", [*REFUSALS, InstallError(FLOOD)], ids=lambda error: type(error).__name__)
def test_what_is_put_on_record_of_a_failure_is_cut_and_escaped(error: Exception) -> None:
    told = to_creation_error(error, CreationStatus.Installing, Principal(b"\x01"))
    assert SAFE in told.message
    assert told.message.count("A") <= MAX_RECORDED_CHARACTERS
    assert len(told.message) < 1_000  # what the backend keeps


def test_an_error_of_any_origin_ends_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    output.error("Odd", "A" * 1_000_000)
    assert len(capsys.readouterr().err) < 5_000


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"  bad\r\n\n request\t\x1b[2J ", "bad request \\x1b[2J"),
        (b"", "(empty body, HTTP 502)"),
        (
            b"<!DOCTYPE html>\n<html><head><title>502 Bad\nGateway</title>",
            "an HTML page with the title 502 Bad Gateway",
        ),
        (b"<HTML><body>" + b"A" * 10_000, "an HTML page"),
        (b"caf\xe9", "caf\ufffd"),
    ],
    ids=["lines", "empty", "html", "html without a title", "not UTF-8"],
)
def test_an_http_body_is_quoted_in_one_line_and_a_page_by_its_title(body: bytes, said: str) -> None:
    assert Response(502, body).text == said


def test_a_long_http_body_is_cut_and_the_rest_is_counted() -> None:
    assert Response(400, b"A" * 1_500).text == "A" * 500 + "… (1,000 more characters)"
