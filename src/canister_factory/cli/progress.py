"""Long work as a person sees it: bars on a terminal, plain lines elsewhere; always on stderr.

Owns how progress looks. Does not own: what is going on, and the console, which lines share with bars (`output`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from canister_factory.cli import consoles, output, quantities, settings
from canister_factory.factory.events import Event, HandedOver, PassDone, Provisioned, StageDone, Transferred, Verified

_LINE_SECONDS = 2.0
_NUMBERS = len(" 999.9 MB of 999.9 MB, 999.9 MB/s ")
_MARGIN = 4
"""Characters that stay free on the right: the terminal's `^C` must not begin another line."""
_SHORTEST_BAR, _LONGEST_BAR = 5, 40

Advance = Callable[[int], None]


def step(message: str) -> None:
    """Says on stderr that something was done, or begins."""
    output.note(message)


class _Done(ProgressColumn):
    """`8.3 MB of 20.0 MB`, and how fast: in the same units as everything else."""

    def __init__(self, *, with_rate: bool) -> None:
        super().__init__(Column(no_wrap=True))
        self._with_rate = with_rate

    def render(self, task: Task) -> Text:
        of_total = "" if task.total is None else f" of {quantities.size(task.total)}"
        speed = f", {quantities.rate(task.speed, 1)}" if self._with_rate and task.speed else ""
        return Text(f"{quantities.size(task.completed)}{of_total}{speed}")


@contextmanager
def bytes_bar(what: str, total: int | None) -> Iterator[Advance]:
    """Progress over `total` bytes (`None`: not known); the yielded function takes how many more are done.

    Nothing of the bar remains. At the end a line says how much was done, unless the work broke off.
    """
    started = time.monotonic()
    done = 0
    shown_at = started
    with _bar(what, total) as show:

        def advance(count: int) -> None:
            nonlocal done, shown_at
            done += count
            if show is not None:
                show(done)
            elif time.monotonic() - shown_at >= _LINE_SECONDS:
                shown_at = time.monotonic()
                of_total = "" if total is None else f" of {quantities.size(total)}"
                output.note(f"{what}: {quantities.size(done)}{of_total}")

        yield advance
    seconds = time.monotonic() - started
    speed = f", {quantities.rate(done, seconds)}" if done else ""
    output.note(f"{what}: {quantities.size(done)} in {quantities.duration(seconds)}{speed}")


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, and what moves it; `None` elsewhere."""
    console = consoles.stderr()
    if settings.current().json or not consoles.is_terminal(console):
        yield None
        return
    room = console.width - cell_len(what) - _NUMBERS - _MARGIN
    wide = room >= _SHORTEST_BAR
    bar = [BarColumn(bar_width=min(room, _LONGEST_BAR))] if wide else []
    columns = [TextColumn("{task.description}", markup=False), *bar, _Done(with_rate=wide)]
    # stdout isn't redirected: results must not end up on stderr.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(output.printable(what), total=total)
        yield lambda done: progress.update(task, completed=done)


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
                self._say(f"{stage}: {'done before: ' if skipped else ''}{detail or 'done'}")
            case Provisioned(canister_id=canister_id, controllers=controllers, cycles=cycles, is_new=is_new):
                which = f"created {canister_id} with" if is_new else f"goes on with {canister_id}, created with"
                self._say(
                    f"{which} {quantities.cycles(cycles)} cycles, controllers "
                    f"{', '.join(output.ident(one) for one in sorted(controllers, key=str))}"
                )
            case PassDone(number=number, bytes_moved=moved, locked=True):
                self._say(f"pass {number}, while the owner's writes are locked: {quantities.size(moved)}")
            case Verified(source_manifest=manifest):
                self._say(f"verified: both canisters have the manifest {output.ident(manifest)} (certified)")
            case HandedOver(controllers=controllers):
                self._say(f"handed over: the only controller is {', '.join(map(output.ident, controllers))}")
