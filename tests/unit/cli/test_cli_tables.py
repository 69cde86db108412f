"""The layout of tables on screens of any width, and lines that share a console with bars."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text

from canister_factory.candid.principal import Principal
from canister_factory.cli import consoles, output, progress, tables
from support.cli_settings import printing

PERSON = str(Principal(bytes(range(29))))
CANISTER = "lqy7q-dh777-77777-aaaaq-cai"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(width: int, rows: Sequence[tuple[str, ...]], headers: tuple[str, ...] = ()) -> list[str]:
    screen = Screen()
    console = Console(file=screen, width=width, color_system=None, force_terminal=True)
    tables.show(console, "", [[Text(cell) for cell in row] for row in rows], headers)
    return screen.getvalue().splitlines()


def test_a_value_stands_beside_its_name_and_is_wrapped_between_words() -> None:
    assert drawn(30, [("status", "Completed"), ("note", "several words that are long")]) == [
        "status  Completed",
        "note    several words that are",
        "        long",
    ]


def test_an_id_that_does_not_fit_beside_its_name_stands_whole_below_it() -> None:
    assert drawn(70, [("controllers", f"{PERSON} (certified)"), ("canister", CANISTER)]) == [
        "controllers",
        f"  {PERSON}",
        "  (certified)",
        f"canister     {CANISTER}",
    ]


def test_a_row_that_does_not_fit_becomes_a_list() -> None:
    rows = [("aaaaa-…-aaa", "Completed", CANISTER, "1.000 T"), ("bbbbb-…-bbb", "Failed", "-", "0")]
    headers = ("owner", "status", "canister", "cycles")
    assert drawn(80, rows, headers) == [
        "owner        status     canister                     cycles",
        f"aaaaa-…-aaa  Completed  {CANISTER}  1.000 T",
        "bbbbb-…-bbb  Failed     -                            0",
    ]
    assert drawn(50, rows, headers) == [
        "owner     aaaaa-…-aaa",
        "status    Completed",
        f"canister  {CANISTER}",
        "cycles    1.000 T",
        "",
        "owner     bbbbb-…-bbb",
        "status    Failed",
        "canister  -",
        "cycles    0",
    ]


def test_running_text_in_the_last_column_is_wrapped_while_there_is_room() -> None:
    rows = [("1", "Failed", "the canister could not be created: too little in the reserve")]
    assert drawn(50, rows, ("id", "kind", "message")) == [
        "id  kind    message",
        "1   Failed  the canister could not be created: too",
        "            little in the reserve",
    ]


def test_nothing_is_wrapped_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    long = " ".join(["word"] * 1000)
    output.table("", [("name", long)])
    output.note(long)
    assert capsys.readouterr() == (f"name  {long}\n", f"{long}\n")


def test_lines_and_bars_are_drawn_by_one_console_even_while_a_bar_stands_before_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setenv("TERM", "xterm")
    before = consoles.stderr()
    with progress.bytes_bar("copying", 10) as advance:
        assert sys.stderr is not before.file
        assert consoles.stderr() is before
        advance(5)
    monkeypatch.setattr(sys, "stderr", Screen())
    assert consoles.stderr() is not before


def test_ids_are_short_for_people_and_whole_when_asked_for_or_in_json() -> None:
    short = f"{PERSON[:5]}-…-{PERSON[-3:]}"
    assert [output.ident(one) for one in (PERSON, CANISTER, bytes(32))] == [short, CANISTER, "00000000…00000000"]
    for settings in (printing(full=True), printing(json=True)):
        with settings:
            assert output.ident(PERSON) == PERSON
