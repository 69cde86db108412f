"""Log records on stderr: one line each for people and files, or one JSON object each.

Owns their form, and whose work a record belongs to. Does not own: what is logged. A traceback is shown for our own
defects only, or with `--debug`: an expected failure is one line.
"""

from __future__ import annotations

import logging
import textwrap
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime

from rich.text import Text

from canister_factory.candid.principal import Principal
from canister_factory.cli import consoles, failures, output, settings

WORKER: ContextVar[str | None] = ContextVar("worker", default=None)
"""The worker that the running task belongs to; on the JSON lines of the records it logs."""

OWNER: ContextVar[Principal | None] = ContextVar("owner", default=None)
"""The owner whose creation the running task works on."""

_OURS = "canister_factory"
_LIBRARIES_FROM = 3
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineHandler(logging.Handler):
    """Writes each record to what is stderr at that moment, as `chosen` says.

    It keeps the settings, since records come from threads that have no context of click's.
    """

    def __init__(self, chosen: settings.Settings) -> None:
        super().__init__()
        self._chosen = chosen

    def emit(self, record: logging.LogRecord) -> None:
        """Writes `record`."""
        try:
            if self._chosen.json:
                line = Text(as_json(record, debug=self._chosen.debug))
            else:
                line = Text(as_line(record, debug=self._chosen.debug), _STYLES.get(record.levelno, ""))
            consoles.stderr().print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


def start(verbosity: int) -> None:
    """Sends records to stderr: warnings; with `verbosity` 1 our information, 2 all of ours, 3 that of libraries too."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.basicConfig(
        level=logging.DEBUG if verbosity >= _LIBRARIES_FROM else logging.WARNING,
        handlers=[LineHandler(settings.current())],
        force=True,
    )
    logging.getLogger(_OURS).setLevel(level)


def as_line(record: logging.LogRecord, *, debug: bool = False) -> str:
    """`time level logger: message` on one line; for a defect of ours, or with `debug`, the traceback follows."""
    head = f"{_time(record)} {record.levelname} {record.name}: {_one_line(record.getMessage())}"
    trace = _traceback(record, debug)
    if trace is None:
        return head
    # Indented, since a message with line feeds could make one of its lines look like a record.
    return f"{head}\n{textwrap.indent(output.printable(trace, keep_lines=True), '  ')}"


def as_json(record: logging.LogRecord, *, debug: bool = False) -> str:
    """One object on one line: time (RFC 3339, UTC), level, logger, message, and what is known of whose work it is.

    What a record carries besides (`extra={"request_id": ...}`) is in it under its own name.
    """
    worker, owner, trace = WORKER.get(), OWNER.get(), _traceback(record, debug)
    fields: dict[str, object] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
    if worker is not None:
        fields["worker"] = worker
    if owner is not None:
        fields["owner"] = owner
    fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
    fields["message"] = record.getMessage()
    if trace is not None:
        fields["traceback"] = trace
    return output.as_json(fields)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(message: str) -> str:
    return output.printable(" ".join(message.splitlines()))


def _traceback(record: logging.LogRecord, debug: bool) -> str | None:
    if not record.exc_info:
        return None
    error = record.exc_info[1]
    if isinstance(error, Exception) and failures.exit_code(error) is not None and not debug:
        return None
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()
