"""All that commands print: results on stdout (tables, or JSON with --json), everything else on stderr.

Owns lines, JSON, and the form of ids. Does not own: what is said, tables (`tables`), and the consoles (`consoles`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.text import Text

from canister_factory import interrupts
from canister_factory.cli import settings, tables
from canister_factory.cli.consoles import begin_line, columns, stderr, stdout
from canister_factory.ic.foreign_text import escaped, quoted

if TYPE_CHECKING:
    from rich.console import Console

    from canister_factory.candid.principal import Principal

_LONGEST_ERROR = 4_000  # characters; what is quoted in it is cut before, where it is known what is foreign
_WHOLE_CHARACTERS = 27  # a canister's id: ten bytes


def note(message: str) -> None:
    """A line for the person, on stderr. A terminal gets it wrapped between words: an id is never torn."""
    _say(Text(printable(message)))


def verbatim(line: str) -> None:
    """A line on stderr that a person may paste: never wrapped, so that it is copied as one."""
    stderr().print(Text(printable(line)), soft_wrap=True)


def question(asked: str) -> None:
    """What a person is to answer, on stderr; the cursor stays behind it."""
    console = stderr()
    console.print(
        Text("\n").join(tables.wrapped(Text(printable(asked)), columns(console))) + Text(" "), end="", soft_wrap=True
    )


def _say(line: Text) -> None:
    if interrupts.arrived():
        begin_line()
    _print_wrapped(stderr(), line)


def _print_wrapped(console: Console, line: Text, end: str = "\n") -> None:
    console.print(Text("\n").join(tables.wrapped(line, columns(console))), end=end, soft_wrap=True)


def sentence(message: str) -> None:
    """A result that is a sentence, on stdout; a terminal gets it wrapped between words."""
    _print_wrapped(stdout(), Text(printable(message)))


def text(message: str) -> None:
    """A result that is text, on stdout."""
    print(printable(message, keep_lines=True))


def printable(value: str, *, keep_lines: bool = False) -> str:
    """`value` without what could repaint a terminal or forge a line, and without what can't be written as UTF-8."""
    return escaped(value, keep_lines=keep_lines)


def ident(value: Principal | bytes | str) -> str:
    """A principal or a hash for a person: shortened in one way everywhere, whole with `--full` or `--json`.

    A canister's id stays whole, since people copy it: only what is longer than that is shortened, a principal to its
    first and last group (`rstmr-…-uqe`), a hash to eight digits at both ends (`fb24cd06…4420322e`).
    """
    text = bytes(value).hex() if isinstance(value, bytes) else printable(str(value))
    present = settings.current()
    if present.full or present.json or len(text) <= _WHOLE_CHARACTERS:
        return text
    if "-" in text:
        first, *_, last = text.split("-")
        return f"{first}-…-{last}"
    return f"{text[:8]}…{text[-8:]}"


def json_object(value: Mapping[str, Any] | Sequence[Any], *, flush: bool = False) -> None:
    """One JSON value on one line of stdout; texts are whole, integers that float64 numbers would round are text.

    `flush`: whoever reads a pipe gets it at once. A reader who has left ends what runs, as a signal would; a creation
    isn't marked as failed by it.
    """
    from canister_factory.candid.json_form import exact

    try:
        print(as_json(exact(value)), flush=flush)
    except OSError as failure:
        interrupts.end_with(failure)


def as_json(value: object) -> str:
    """JSON on one line, in printable ASCII alone."""
    return json.dumps(value, default=_plain, ensure_ascii=True).replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    return str(value)


def table(title: str, rows: Iterable[Sequence[object]], headers: Sequence[str] = ()) -> None:
    """A table on stdout; without `headers` the first column holds the names."""
    cells = [[Text(printable(str(cell))) for cell in row] for row in rows]
    tables.show(stdout(), printable(title), cells, headers)


def error_line(message: str) -> None:
    """An error as a line on stderr."""
    _say(Text("error: ", style="bold red") + Text(" ".join(printable(message).split())))


def error(
    kind: str, message: str, *, context: Mapping[str, object] | None = None, retry_helps: bool | None = None
) -> None:
    """An error: one line on stderr, or with --json one object `{"error": {...}}` on stdout.

    The message is cut in both forms; `context` is whole.
    """
    message = quoted(message, _LONGEST_ERROR) if len(message) > _LONGEST_ERROR else message
    if not settings.current().json:
        error_line(message)
        return
    body: dict[str, object] = {"kind": kind, "message": message}
    if context:
        body["context"] = dict(context)
    if retry_helps is not None:
        body["retry_helps"] = retry_helps
    json_object({"error": body})
