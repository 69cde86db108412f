"""All that commands print: results on stdout (tables, or JSON with --json), everything else on stderr.

Owns the two streams and their form. Does not own: what is said.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from canister_factory.candid.json_form import exact
from canister_factory.candid.principal import Principal
from canister_factory.ic.foreign_text import escaped, quoted

_UNWRAPPED = 400
_LONGEST_ERROR = 4_000  # characters; what is quoted in it is cut before, where it is known what is foreign
_WHOLE_CHARACTERS = 27  # a canister's id: ten bytes


@dataclass
class Settings:
    """How this run prints; set by the common options before a command's body runs."""

    json: bool = False
    debug: bool = False
    full: bool = False
    """Ids and hashes whole in what people read; JSON always has them whole."""


settings = Settings()


def stdout() -> Console:
    """The console for results; made when needed, since tests and pipes replace the stream."""
    return _console(sys.stdout)


def stderr() -> Console:
    """The console for everything that isn't a result."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    """Lines are wrapped for a terminal only; who reads a file or a pipe wants them whole."""
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _UNWRAPPED)


def start_logging(verbosity: int) -> None:
    """Sends log records to stderr (`logs`): warnings, or with `verbosity` 1 information, with 2 everything."""
    from canister_factory.cli import logs

    logs.start(verbosity)


def note(message: str) -> None:
    """A line for the person, on stderr."""
    stderr().print(Text(printable(message)), soft_wrap=True)


def text(message: str) -> None:
    """A result that is text, on stdout."""
    print(printable(message, keep_lines=True))


def printable(value: str, *, keep_lines: bool = False) -> str:
    """`value` without what could repaint a terminal or forge a line, and without what can't be written as UTF-8."""
    return escaped(value, keep_lines=keep_lines)


def ident(value: Principal | bytes | str) -> str:
    """A principal or a hash for a person: shortened in one way everywhere, or with `--full` whole.

    A canister's id stays whole, since people copy it: only what is longer than that is shortened, a principal to its
    first and last group (`rstmr-…-uqe`), a hash to eight digits at both ends (`fb24cd06…4420322e`).
    """
    text = printable(str(value)) if isinstance(value, Principal | str) else bytes(value).hex()
    if settings.full or len(text) <= _WHOLE_CHARACTERS:
        return text
    if "-" in text:
        first, *_, last = text.split("-")
        return f"{first}-…-{last}"
    return f"{text[:8]}…{text[-8:]}"


def json_object(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON value on one line of stdout; texts are whole, integers that float64 numbers would round are text."""
    print(as_json(exact(value)))


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
    grid = Table(
        title=Text(printable(title), "table.title") if title else None,
        title_justify="left",
        show_header=bool(headers),
        box=None,
        pad_edge=False,
    )
    if headers:
        for header in headers:
            grid.add_column(header, overflow="fold")
    else:
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(str(cell))) for cell in row))
    draw(grid)


def draw(grid: Table) -> None:
    """A table on stdout, without the padding of its last column, which is of no use to a pipe."""
    console = stdout()
    with console.capture() as drawn:
        console.print(grid)
    for line in drawn.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def error(
    kind: str, message: str, *, context: Mapping[str, object] | None = None, retry_helps: bool | None = None
) -> None:
    """An error: one line on stderr, or with --json one object `{"error": {...}}` on stdout.

    The message is cut in both forms; `context` is whole.
    """
    message = quoted(message, _LONGEST_ERROR) if len(message) > _LONGEST_ERROR else message
    if not settings.json:
        stderr().print(Text("error: ", style="bold red") + Text(" ".join(printable(message).split())), soft_wrap=True)
        return
    body: dict[str, object] = {"kind": kind, "message": message}
    if context:
        body["context"] = dict(context)
    if retry_helps is not None:
        body["retry_helps"] = retry_helps
    json_object({"error": body})


def size(count: float) -> str:
    """A number of bytes for a person: decimal units."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def cycles(amount: int) -> str:
    """An amount of cycles for a person, in trillions where it is that much."""
    if amount >= 10**9:
        return f"{amount / 10**12:,.3f} T ({amount:,})"
    return f"{amount:,}"
