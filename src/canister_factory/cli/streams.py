"""stdout and stderr as they may be: closed, full, in another encoding.

Owns what is done about it. Does not own: how lines look (`consoles`), and what is printed (`output`).
"""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class Notes:
    """stderr for notes: when nobody can read them any more (a closed pipe, a full disk), the work goes on without."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes `text`; the number of its characters also when it was lost."""
        try:
            return self.stream.write(text)
        except (OSError, ValueError):
            silence(self.stream)
            return len(text)

    def flush(self) -> None:
        """Flushes the stream, or gives it up."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            silence(self.stream)


def silence(stream: TextIO) -> None:
    """Discards what is written to `stream` from here on, and what its buffers hold."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def accept_any_text() -> None:
    """Prepares both streams for any text: what their encoding lacks is escaped, our own ellipsis becomes three dots."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the rest of the process
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ESCAPE)


def can_write_results() -> bool:
    """Whether stdout takes what is in its buffer."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


_ESCAPE = "canister-factory-escape"


def _escape(failure: UnicodeError) -> tuple[str, int]:
    assert isinstance(failure, UnicodeEncodeError)
    text = failure.object[failure.start : failure.end]
    escaped_text = "".join("..." if c == "…" else c.encode("ascii", "backslashreplace").decode() for c in text)
    return escaped_text, failure.end


codecs.register_error(_ESCAPE, _escape)
