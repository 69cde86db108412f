"""How results are shown, and lists followed page by page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from canister_factory.cli.backend import PAGE_ITEMS, follow
from canister_factory.cli.errors import CommandError, InputError
from canister_factory.cli.results import Check, Verdict, confirm, duration, listing, moment, show_checks
from canister_factory.contract.admin_models import ErrorRate
from canister_factory.contract.errors import PagingError
from support.cli_settings import printing


@dataclass
class Numbers:
    """A page of whole numbers, `size` of `total` from `start`."""

    items: list[int]
    next: int | None


class Pages:
    """Serves the numbers below `total` in pages of at most `largest`, and remembers what it was asked."""

    def __init__(self, total: int, largest: int) -> None:
        self.total, self.largest = total, largest
        self.asked: list[tuple[int | None, int]] = []

    async def fetch(self, after: int | None, count: int) -> Numbers:
        self.asked.append((after, count))
        start = 0 if after is None else after + 1
        end = min(self.total, start + min(count, self.largest))
        return Numbers(list(range(start, end)), end - 1 if end < self.total else None)


@pytest.mark.parametrize("total", [0, 1, 3, 4, 10])
async def test_a_list_is_followed_to_its_end(total: int) -> None:
    pages = Pages(total, largest=3)
    assert [item async for item in follow(pages.fetch)] == list(range(total))
    assert {count for _, count in pages.asked} == {PAGE_ITEMS}


@pytest.mark.parametrize("limit", [1, 3, 4, 9, 10, 99])
async def test_a_limit_ends_a_list_and_asks_for_no_more_than_needed(limit: int) -> None:
    pages = Pages(10, largest=3)
    assert [item async for item in follow(pages.fetch, limit)] == list(range(min(10, limit)))
    assert pages.asked[0] == (None, limit)
    assert len(pages.asked) <= (limit + 2) // 3


async def test_a_page_that_points_to_itself_is_an_error() -> None:
    async def fetch(after: int | None, count: int) -> Numbers:
        return Numbers([1], 1)

    with pytest.raises(PagingError, match="the list of the backend"):
        [item async for item in follow(fetch)]


async def rates() -> AsyncIterator[ErrorRate]:
    for count in (1, 2):
        yield ErrorRate(window_ns=10**9, attempts=count, failures=0)


async def test_a_list_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with printing(json=True):
        await listing(rates(), ("attempts",), lambda rate: (rate.attempts,), "nothing")
    assert [json.loads(line)["attempts"] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]


async def test_an_empty_list_says_so_to_a_person_and_nothing_to_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    async def nothing() -> AsyncIterator[ErrorRate]:
        return
        yield

    await listing(nothing(), ("attempts",), lambda rate: (rate.attempts,), "no rates")
    assert capsys.readouterr() == ("", "no rates\n")
    with printing(json=True):
        await listing(nothing(), ("attempts",), lambda rate: (rate.attempts,), "no rates")
    assert capsys.readouterr() == ("", "")


def test_checks_show_advice_and_tell_whether_one_failed(capsys: pytest.CaptureFixture[str]) -> None:
    fine = Check("clock", Verdict.OK, "right")
    odd = Check("reserve", Verdict.WARNING, "low", "add cycles")
    assert show_checks("", [fine, odd])
    assert "low; add cycles" in capsys.readouterr().out
    assert not show_checks("", [fine, Check("backend", Verdict.FAILED, "gone")])
    capsys.readouterr()
    with printing(json=True):
        show_checks("", [odd], owner="me")
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] is True
    assert shown["owner"] == "me"
    assert shown["checks"] == [{"name": "reserve", "verdict": "warn", "found": "low", "advice": "add cycles"}]


class Terminal:
    """A standard input with or without a person."""

    def __init__(self, person: bool, answer: str = "") -> None:
        self.person = person
        self.answer = answer

    def readline(self) -> str:
        return self.answer

    def isatty(self) -> bool:
        return self.person


def test_nobody_to_ask_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(person=False))
    with pytest.raises(InputError, match="--yes"):
        confirm("Delete it?", yes=False)
    confirm("Delete it?", yes=True)


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n", ""])
def test_anything_but_a_yes_is_a_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(person=True, answer=answer))
    with pytest.raises(CommandError, match="nothing was changed"):
        confirm("Delete it?", yes=False)


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(person=True, answer=answer))
    confirm("Delete it?", yes=False)
    assert capsys.readouterr().err == "Delete it? [y/N]: "


def test_times_and_spans_are_shown_in_words() -> None:
    assert moment(1_700_000_000_123_456_789) == "2023-11-14 22:13:20 UTC"
    assert moment(None) == "-"
    assert duration(86_400 * 10**9) == "24 h"
    assert duration(15 * 10**7) == "0.15 s"
    assert duration(1_500_000_000) == "1.5 s"
    assert duration(7 * 86_400 * 10**9) == "7 days"
    assert duration(1_389 * 86_400 * 10**9) == "1,389 days"
    assert duration(999 * 86_400 * 10**9) == "999 days"
    assert duration(90 * 10**9) == "90 s"
    assert duration(30 * 60 * 10**9) == "30 min"
