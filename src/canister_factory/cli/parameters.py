"""Options and arguments that groups hand down, and that name their environment variable when they are missing or wrong.

Owns this behaviour. Does not own: which options there are (`options`), and what their values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import click
from click.core import ParameterSource

_COMES_FROM = "The value comes from the environment variable"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A question with what is spelled most like `given`, to be put behind an error message; empty when nothing is."""
    names = {name.lower(): name for name in known}
    near = [names[name] for name in get_close_matches(given.lower(), names)]
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


@contextmanager
def naming_the_variable(parameter: str, variable: str) -> Iterator[None]:
    """Adds where a value came from to an error about it, when it was the environment: nobody typed it just now. What is
    within names its own first.
    """
    try:
        yield
    except Exception as error:
        context = click.get_current_context(silent=True)
        is_named = any(note.startswith(_COMES_FROM) for note in getattr(error, "__notes__", ()))
        if (
            context is not None
            and not is_named
            and context.get_parameter_source(parameter) == ParameterSource.ENVIRONMENT
        ):
            error.add_note(f"{_COMES_FROM} {variable}")
        raise


class Choice(click.Choice[str]):
    """One of a few words, in any case; a misspelt one is answered with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        in_any_case = {choice.lower(): choice for choice in self.choices}
        try:
            return super().convert(in_any_case.get(str(value).lower(), value), param, ctx)
        except click.BadParameter as wrong:
            raise click.BadParameter(wrong.message + did_you_mean(str(value), self.choices), ctx, param) from None


class _HandedDown(click.Parameter):
    """What is typed counts for every command within; what is typed nearest to the command wins.

    The values lie in click's `Context.meta`, which a context shares with those within, and which is filled from the
    outermost to the innermost. What was typed anywhere wins over the environment.
    """

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        key = f"{__name__}.{self.name}"
        if source == ParameterSource.COMMANDLINE:
            ctx.meta[key] = value
        elif key in ctx.meta:
            return ctx.meta[key], ParameterSource.COMMANDLINE
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter as missing:
            if self.envvar:
                missing.param_hint = f"{self._quoted_name()} (or set {self.envvar})"
            raise
        except click.BadParameter as wrong:
            named = self._quoted_name()
            if self.name is not None and ctx.get_parameter_source(self.name) == ParameterSource.ENVIRONMENT:
                named += f" (from the environment variable {self.envvar})"
            wrong.param_hint = named
            raise

    def _quoted_name(self) -> str:
        return f"'{self.opts[0] if isinstance(self, click.Option) else self.human_readable_name}'"


class CommonOption(_HandedDown, click.Option):
    """An option that works before the command as well: in a group it only keeps what was typed."""


class CommonArgument(_HandedDown, click.Argument):
    """An argument that may be given as the common option of the same name, before the command."""
