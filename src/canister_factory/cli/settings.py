"""How a run prints, as its common options say: a value in click's context.

Owns the settings and where they are kept. Does not own: the options (`options`), and what they change (`output`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import click


@dataclass(frozen=True, slots=True)
class Settings:
    """`Context.obj` of every context of a run."""

    json: bool = False
    debug: bool = False
    full: bool = False
    """Ids and hashes whole in what people read; JSON always has them whole."""


def current() -> Settings:
    """The settings of the run in this thread; the defaults outside of a run."""
    context = click.get_current_context(silent=True)
    return context.obj if context is not None and isinstance(context.obj, Settings) else Settings()


def turn_on(context: click.Context, name: str) -> None:
    """Turns the setting `name` on for the whole run: in `context` and in those around it.

    Whoever shows an error does so after the contexts of the commands have ended, in the outermost one.
    """
    around: click.Context | None = context
    while around is not None:
        around.obj = replace(around.obj if isinstance(around.obj, Settings) else Settings(), **{name: True})
        around = around.parent
