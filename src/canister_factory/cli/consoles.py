"""The consoles of stdout and stderr: how wide they are, and whether a person looks at them.

Owns the consoles. Does not own: the streams below them (`streams`), and what is printed (`output`).
"""

from __future__ import annotations

import sys
from typing import TextIO, cast

from rich.console import Console
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType

from canister_factory.cli.streams import Notes

_UNWRAPPED = 400

_consoles: dict[str, tuple[TextIO, Console]] = {}


def stdout() -> Console:
    """The console for results."""
    return _console("stdout", sys.stdout)


def stderr() -> Console:
    """The console for everything that isn't a result.

    Lines, log records and bars are drawn by this one, so that a line never lands on a bar.
    """
    return _console("stderr", sys.stderr)


def _console(name: str, stream: TextIO) -> Console:
    """One console for each stream, made anew when a test has replaced the stream.

    While a bar is drawn, rich has put something before the stream.
    """
    if isinstance(stream, FileProxy):
        stream = cast(TextIO, stream.rich_proxied_file)
    if isinstance(stream, Notes):
        stream = stream.stream
    known = _consoles.get(name)
    if known is None or known[0] is not stream:
        file = cast(TextIO, Notes(stream)) if name == "stderr" else stream
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


def begin_line() -> None:
    """Overwrites the `^C` that a terminal may have written on the current line when it sent the signal."""
    console = stderr()
    if is_terminal(console):
        console.control(Control((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2)))
