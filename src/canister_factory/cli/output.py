"""All that commands print: results on stdout (tables, or JSON with --json), everything else on stderr.

Owns the two streams and the words for ids, sizes, amounts and times. Does not own: what is said, and the form of tables
(`tables`).
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TextIO, cast

from rich.console import Console
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType
from rich.text import Text

from canister_factory import interrupts
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


# --- The streams ----------------------------------------------------------------------------------------------------


class _Notes:
    """stderr for notes: when nobody can read them any more (a closed pipe, a full disk), the work goes on without."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            silence(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            silence(self._stream)


_consoles: dict[str, tuple[TextIO, Console]] = {}


def stdout() -> Console:
    """The console for results."""
    return _console("stdout", sys.stdout)


def stderr() -> Console:
    """The console for everything that isn't a result: lines, log records and bars are drawn by this one, so that a
    line never lands on a bar."""
    return _console("stderr", sys.stderr)


def _console(name: str, stream: TextIO) -> Console:
    """One console for each stream, made anew when a test has replaced the stream. While a bar is drawn, rich has put
    something before the stream."""
    if isinstance(stream, FileProxy):
        stream = cast(TextIO, stream.rich_proxied_file)
    if isinstance(stream, _Notes):
        stream = stream._stream
    known = _consoles.get(name)
    if known is None or known[0] is not stream:
        file = cast(TextIO, _Notes(stream)) if name == "stderr" else stream
        # Lines are wrapped for a terminal only; who reads a file or a pipe wants them whole.
        console = Console(file=file, highlight=False, width=None if stream.isatty() else _UNWRAPPED)
        _consoles[name] = known = (stream, console)
    return known[1]


def is_terminal(console: Console) -> bool:
    """Whether a person looks at a screen that lines can be drawn over on: not so in pipes and dumb terminals."""
    return console.file.isatty() and console.is_interactive


def columns(console: Console) -> int:
    """How many characters fit on a line: no limit where nobody looks at a screen."""
    return console.width if console.file.isatty() else sys.maxsize


def silence(stream: TextIO) -> None:
    """What is written to `stream` from here on is lost, what its buffers hold included."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def accept_any_text() -> None:
    """Consoles of any encoding: what theirs lacks is escaped, and our own ellipsis written as three dots."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the rest of the process
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ESCAPE)


def finish(code: int) -> int:
    """Writes out what stdout's buffer holds. The exit code: `code`, or 1 when that failed, which has been said."""
    try:
        sys.stdout.flush()
    except OSError as failure:
        return lost(failure)
    return code


def can_write_results() -> bool:
    """Whether stdout takes what is in its buffer."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def lost(failure: OSError) -> int:
    """Says why results can't be written, unless the reader has left (`| head`) and knows; the exit code."""
    silence(sys.stdout)
    if failure.errno != errno.EPIPE:
        settings.json = False  # there is no stdout to put it on
        error("OSError", f"the output can't be written: {failure.strerror or failure}")
    return 1


_ESCAPE = "canister-factory-escape"


def _escape(failure: UnicodeError) -> tuple[str, int]:
    assert isinstance(failure, UnicodeEncodeError)
    text = failure.object[failure.start : failure.end]
    escaped_text = "".join("..." if c == "…" else c.encode("ascii", "backslashreplace").decode() for c in text)
    return escaped_text, failure.end


codecs.register_error(_ESCAPE, _escape)


def start_logging(verbosity: int) -> None:
    """Sends log records to stderr (`logs`): warnings, or with `verbosity` 1 information, with 2 everything."""
    from canister_factory.cli import logs

    logs.start(verbosity)


# --- What is printed ------------------------------------------------------------------------------------------------


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
        Text("\n").join(wrapped(Text(printable(asked)), columns(console))) + Text(" "), end="", soft_wrap=True
    )


def _say(line: Text) -> None:
    if interrupts.arrived():
        begin_line()
    _print_wrapped(stderr(), line)


def _print_wrapped(console: Console, line: Text, end: str = "\n") -> None:
    console.print(Text("\n").join(wrapped(line, columns(console))), end=end, soft_wrap=True)


def begin_line() -> None:
    """After a signal: overwrites the `^C` that the terminal may have written on the current line."""
    console = stderr()
    if is_terminal(console):
        console.control(Control((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2)))


def wrapped(line: Text, width: int) -> list[Text]:
    """`line` in pieces of at most `width` characters, cut between words; a longer word stands alone, whole."""
    pieces = textwrap.wrap(line.plain, width, break_long_words=False, break_on_hyphens=False) or [""]
    found, position = [], 0
    for piece in pieces:
        begin = line.plain.find(piece, position)
        if begin < 0:
            return [line]
        position = begin + len(piece)
        found.append(line[begin:position])
    return found


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
    text = printable(str(value)) if isinstance(value, Principal | str) else bytes(value).hex()
    if settings.full or settings.json or len(text) <= _WHOLE_CHARACTERS:
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
    from canister_factory.cli import tables

    cells = [[Text(printable(str(cell))) for cell in row] for row in rows]
    tables.show(stdout(), printable(title), cells, headers)


def error(
    kind: str, message: str, *, context: Mapping[str, object] | None = None, retry_helps: bool | None = None
) -> None:
    """An error: one line on stderr, or with --json one object `{"error": {...}}` on stdout.

    The message is cut in both forms; `context` is whole.
    """
    message = quoted(message, _LONGEST_ERROR) if len(message) > _LONGEST_ERROR else message
    if not settings.json:
        _say(Text("error: ", style="bold red") + Text(" ".join(printable(message).split())))
        return
    body: dict[str, object] = {"kind": kind, "message": message}
    if context:
        body["context"] = dict(context)
    if retry_helps is not None:
        body["retry_helps"] = retry_helps
    json_object({"error": body})


# --- Sizes, amounts, times ------------------------------------------------------------------------------------------


def size(count: float) -> str:
    """A number of bytes for a person: decimal units."""
    if round(count) == 1:
        return "1 byte"
    if count < 1000:
        return f"{count:,.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:,.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def rate(count: float, seconds: float) -> str:
    """Bytes a second for a person."""
    return f"{size(count / max(seconds, 1e-9))}/s"


def duration(seconds: float) -> str:
    """A span of time for a person: in the largest unit that it has two of."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"


def cycles(amount: int) -> str:
    """An amount of cycles for a person, in trillions where it is that much."""
    if amount >= 10**9:
        return f"{amount / 10**12:,.3f} T ({amount:,})"
    return f"{amount:,}"
