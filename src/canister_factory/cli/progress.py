"""Long work as a person sees it: bars on a terminal, plain lines elsewhere; always on stderr.

Owns how progress looks. Does not own: what is going on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from canister_factory.cli import output

_LINE_SECONDS = 2.0

Advance = Callable[[int], None]


def step(message: str) -> None:
    """Something was done, or begins."""
    output.note(message)


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator[Advance]:
    """Progress over `total` bytes; the yielded function is told how many more are done."""
    console = output.stderr()
    started = time.monotonic()
    done = 0
    if console.is_terminal and not output.settings.json:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=total)

            def advance_bar(count: int) -> None:
                nonlocal done
                done += count
                progress.update(task, completed=done)

            yield advance_bar
    else:
        said_at = started

        def advance_line(count: int) -> None:
            nonlocal done, said_at
            done += count
            if time.monotonic() - said_at >= _LINE_SECONDS:
                said_at = time.monotonic()
                output.note(f"{what}: {output.size(done)} of {output.size(total)}")

        yield advance_line
    seconds = time.monotonic() - started
    output.note(f"{what}: {output.size(done)} in {seconds:.1f} s" + (f", {rate(done, seconds)}" if done else ""))


def rate(count: int, seconds: float) -> str:
    """Bytes a second for a person."""
    return f"{output.size(count / max(seconds, 1e-9))}/s"
