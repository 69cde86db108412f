"""The end of a log file, and what is added to it while somebody watches.

Owns reading and showing lines. Does not own what is in them, or when to stop watching (`cli.replica`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from canister_factory.cli import output, settings
from canister_factory.cli.errors import CommandError

_BLOCK_BYTES: Final = 64 * 1024
_PAUSE_S: Final = 0.2


def show(path: Path, count: int, follow_while: Callable[[], bool] | None = None) -> None:
    """Prints the last `count` lines of a file; then, with `follow_while`, what is added as long as that is true.

    Raises:
        CommandError: the file can't be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(_start_of_last_lines(file.fileno(), count))
            for line in _lines(file.fileno(), follow_while):
                _print(line)
    except FileNotFoundError:
        raise CommandError(
            f"there is no log {path}. Only a replica in the background writes one; "
            "'canister-factory replica start --background' starts it"
        ) from None
    except OSError as error:
        if error.filename is None:  # it isn't the file that failed, but where the lines went
            raise
        raise CommandError(f"the log {path} can't be read: {error.strerror}") from None


def _start_of_last_lines(file: int, count: int) -> int:
    """The offset at which the last `count` lines begin; reads no more of the file than these."""
    end = os.fstat(file).st_size
    offset, breaks, last = end, 0, b""
    while offset > 0:
        start = max(0, offset - _BLOCK_BYTES)
        block = os.pread(file, offset - start, start)
        if offset == end:
            last = block[-1:]
        # The break at the very end belongs to the last line.
        wanted = count + (last == b"\n")
        at = len(block)
        while breaks < wanted and (at := block.rfind(b"\n", 0, at)) >= 0:
            breaks += 1
        if breaks == wanted:
            return start + at + 1 if wanted else end
        offset = start
    return 0


def _lines(file: int, follow_while: Callable[[], bool] | None) -> Iterator[bytes]:
    rest = b""
    while True:
        # Asked before reading: what was written before the end is still shown.
        last = follow_while is None or not follow_while()
        while block := os.read(file, _BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
        if last:
            break
        sys.stdout.flush()
        time.sleep(_PAUSE_S)
    if rest:
        yield rest


def _print(line: bytes) -> None:
    text = line.decode("utf-8", "backslashreplace")
    record = _record(text)
    if settings.current().json:
        output.json_object(record or {"message": text})
    elif record is None:
        output.text(text)
    else:
        level = str(record.get("level", "")).upper()
        output.text(f"{record.get('time', '')} {level} {record.get('logger', '')}: {record['message']}")
        if "traceback" in record:
            output.text(str(record["traceback"]))


def _record(text: str) -> dict[str, object] | None:
    """The fields of a log record (`logs.as_json`); None for a line that is something else, such as a library's."""
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "message" in fields else None
