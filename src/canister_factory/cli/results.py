"""What most commands end with: a record, a list, a list of checks, or one line; and questions before a change.

Owns the form of these, for people and as JSON. Does not own: the streams (`output`).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from canister_factory import interrupts
from canister_factory.cli import consoles, output, quantities, settings, tables
from canister_factory.cli.errors import CommandError, InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")


def done(message: str, **fields: object) -> None:
    """Reports a change: `message` for a person, `fields` as JSON."""
    if settings.current().json:
        output.json_object(fields)
    else:
        output.sentence(message)


def record(model: BaseModel, rows: Iterable[Sequence[object]], title: str = "", **fields: object) -> None:
    """Shows one thing: `rows` of name and value for a person, all of the model and `fields` as JSON."""
    if settings.current().json:
        output.json_object({**model.model_dump(mode="json"), **fields})
    else:
        output.table(title, rows)


async def listing(
    items: AsyncIterator[M], headers: Sequence[str], row: Callable[[M], Sequence[object]], nothing: str
) -> None:
    """Shows many things: a table for a person, one JSON object a line as they come. `nothing` notes an empty list."""
    rows = []
    async for item in items:
        if settings.current().json:
            output.json_object(item.model_dump(mode="json"))
        else:
            rows.append(row(item))
    if rows:
        output.table("", rows, headers)
    elif not settings.current().json:
        output.note(nothing)


def confirm(question: str, yes: bool) -> None:
    """Asks before what can't be undone; with `yes` it doesn't.

    Raises:
        InputError: nobody can answer.
        CommandError: the answer isn't yes.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{question} There is no terminal to answer on: repeat the command with --yes")
    output.question(f"{question} [y/N]:")
    if interrupts.await_line(sys.stdin).strip().lower() not in ("y", "yes"):
        raise CommandError("not confirmed; nothing was changed")


def announced(deed: str, yes: bool) -> None:
    """Says in one line what is about to be done, and asks whether to; with `yes` it only says so.

    Raises:
        InputError: nobody can answer.
        CommandError: the answer isn't yes.
    """
    if yes:
        output.note(f"{deed}.")
    else:
        confirm(f"{deed}?", yes=False)


def moment(time_ns: int | None) -> str:
    """A time (nanoseconds since 1970) for a person, in UTC."""
    if time_ns is None:
        return "-"
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def as_text(time_ns: int | None) -> str | None:
    """A time (nanoseconds since 1970) in JSON: RFC 3339."""
    from canister_factory.candid.binding import rfc3339

    return None if time_ns is None else rfc3339(time_ns)


def duration(span_ns: int) -> str:
    """A span of time (nanoseconds) for a person."""
    return quantities.duration(span_ns / 10**9)


class Verdict(StrEnum):
    """The result of a check. `SKIPPED`: the check could not be made, which is no fault."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "fail"
    SKIPPED = "skip"


_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red", Verdict.SKIPPED: "dim"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: what was found, and what to do about it if anything."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def show_checks(title: str, checks: Sequence[Check], **fields: object) -> bool:
    """Shows checks: a list for a person, one object with `ok`, `checks` and `fields` as JSON.

    Returns whether none failed.
    """
    passed = all(check.verdict != Verdict.FAILED for check in checks)
    if settings.current().json:
        output.json_object({**fields, "ok": passed, "checks": [asdict(check) for check in checks]})
        return passed
    rows = [
        (
            Text(check.verdict, _STYLES[check.verdict]),
            Text(output.printable(check.name), "bold"),
            Text(output.printable(check.found + (f"; {check.advice}" if check.advice else ""))),
        )
        for check in checks
    ]
    tables.show_running(consoles.stdout(), output.printable(title), rows)
    return passed
