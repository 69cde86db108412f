"""A command on a pseudo-terminal, as a person sees it: the screen is rendered, and the scrolled lines are kept.

Owns the terminal, and pressing keys at chosen moments. Does not own: what a screen should look like (the tests).
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte

ROWS = 30
COMMAND = (sys.executable, "-m", "canister_factory")


@dataclass
class Seen:
    """How a command ended (`code`: 128 + the signal that killed it) and what its terminal shows then."""

    code: int
    lines: list[str]
    """All lines from the first one, the scrolled ones too, without what is blank at the end."""
    raw: bytes
    cursor_is_shown: bool
    frames: list[list[str]]
    """The screen after each piece of output, for what was there for a while only."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def on_terminal(
    arguments: Sequence[str],
    *,
    columns: int = 80,
    when: Callable[[str], bool] = lambda text: False,
    keys: bytes = b"\x03",
    number: int | None = None,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Seen:
    """Runs a command on a terminal of `columns` until it ends.

    Once, as soon as `when` says so of all that was written, control sequences included, `keys` are typed (Ctrl-C unless
    said), or with `number` that signal is sent to the command alone, with `-number` to all processes of the terminal.
    """
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        variables.pop(name, None)
    size = struct.pack("HHHH", ROWS, columns, 0, 0)
    child, terminal = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the tests themselves may have been started with it ignored
            os.chdir(directory or os.getcwd())
            os.execvpe(command[0], [*command, *arguments], variables)
        finally:
            os._exit(127)
    screen = pyte.HistoryScreen(columns, ROWS, history=10_000, ratio=0.5)
    stream = pyte.ByteStream(screen)
    raw, frames, pressed = b"", [], False
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # how Linux says that nobody has the other end open any more
            break
        if not data:
            break
        raw += data
        stream.feed(data)
        frames.append(_rendered(screen))
        if not pressed and when(raw.decode(errors="replace")):
            pressed = True
            if number is None:
                os.write(terminal, keys)
            elif number > 0:
                os.kill(child, number)
            else:
                os.killpg(child, -number)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return Seen(code if code >= 0 else 128 - code, _rendered(screen), raw, not screen.cursor.hidden, frames)


def _rendered(screen: Any) -> list[str]:
    above = ["".join(line[column].data for column in range(screen.columns)) for line in screen.history.top]
    lines = [line.rstrip() for line in [*above, *screen.display]]
    while lines and not lines[-1]:
        lines.pop()
    return lines
