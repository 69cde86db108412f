"""Long work as a person sees it: bars on a terminal, plain lines elsewhere; always on stderr.

Owns how progress looks. Does not own: what is going on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from canister_factory.cli import output
from canister_factory.factory.events import Event, HandedOver, PassDone, Provisioned, StageDone, Transferred, Verified

_LINE_SECONDS = 2.0

Advance = Callable[[int], None]


def step(message: str) -> None:
    """Something was done, or begins."""
    output.note(message)


@contextmanager
def bytes_bar(what: str, total: int | None) -> Iterator[Advance]:
    """Progress over `total` bytes (`None`: not known); the yielded function is told how many more are done."""
    console = output.stderr()
    started = time.monotonic()
    done = 0
    if console.is_terminal and not output.settings.json:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(output.printable(what), total=total)

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
                of_total = "" if total is None else f" of {output.size(total)}"
                output.note(f"{what}: {output.size(done)}{of_total}")

        yield advance_line
    seconds = time.monotonic() - started
    output.note(f"{what}: {output.size(done)} in {seconds:.1f} s" + (f", {rate(done, seconds)}" if done else ""))


def rate(count: int, seconds: float) -> str:
    """Bytes a second for a person."""
    return f"{output.size(count / max(seconds, 1e-9))}/s"


class EventLines:
    """An event hook that turns a creation's events into lines, and into movements of a bar."""

    def __init__(self, advance: Advance, say: Callable[[str], None] = step) -> None:
        self._advance = advance
        self._say = say
        self._shown = 0

    def __call__(self, event: Event) -> None:
        match event:
            case Transferred(bytes_done=done):
                self._advance(max(0, done - self._shown))
                self._shown = max(self._shown, done)
            case StageDone(stage=stage, detail=detail, skipped=skipped):
                self._say(f"{stage}: {'there already: ' if skipped else ''}{detail or 'done'}")
            case Provisioned(canister_id=canister_id, controllers=controllers, cycles=cycles):
                self._say(
                    f"created {canister_id} with {output.cycles(cycles)} cycles, controllers "
                    f"{', '.join(sorted(map(str, controllers)))}"
                )
            case PassDone(number=number, bytes_moved=moved, locked=True):
                self._say(f"pass {number}, with the owner's writes locked: {output.size(moved)}")
            case Verified(source_manifest=manifest):
                self._say(f"both sides have the manifest {manifest.hex()}, certified for the target")
            case HandedOver(controllers=controllers):
                self._say(f"handed over: the only controller is {', '.join(map(str, controllers))}")
