"""Groups of commands: common options before the command, and an answer to a misspelt command.

Owns how groups behave. Does not own: which commands there are, and what the common options mean (`options`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from canister_factory.cli.options import backend_option, identity_source_options, network_name_options, output_options
from canister_factory.cli.parameter_types import IDENTITY_FILE, SECRET_FILE
from canister_factory.cli.parameters import CommonOption, did_you_mean


class CommandGroup(click.Group):
    """A group that takes the common options and hands them down to its commands.

    A common option before a command that doesn't take it has no effect, so that a person can keep them in an alias.
    """

    group_class = type

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(_common_options())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was typed. Fails with a hint when there is none."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}.{self._suggestion(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def commands_by_group(self, ctx: click.Context) -> Mapping[str, Collection[str]]:
        """The names of this group's commands; to each the names of the commands in it, when it is a group."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return {name: one.commands if isinstance(one, click.Group) else () for name, one in commands.items()}

    def _suggestion(self, ctx: click.Context, given: str) -> str:
        """What was meant: a command of this group, or one of that name in a group within."""
        known = self.commands_by_group(ctx)
        within = [repr(f"{name} {given}") for name, commands in known.items() if given in commands]
        return f" Did you mean {' or '.join(within)}?" if within else did_you_mean(given, known)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the group's own options, the common ones, and the commands."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            shown = parameter.get_help_record(ctx)
            if shown is not None:
                (common if isinstance(parameter, CommonOption) else own).append(shown)
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Common options, before or after the command"):
            formatter.write_dl(common)
        self.format_commands(ctx, formatter)


def run_default(ctx: click.Context, command: click.Command) -> None:
    """Runs `command` as if it had been typed, in a group that was called without one."""
    if ctx.invoked_subcommand is None:
        with command.make_context(command.name, [], parent=ctx) as within:
            command.invoke(within)


def _common_options() -> list[click.Option]:
    """The common options as a group takes them: kept as typed. The command that takes them looks at their values."""

    @backend_option
    @network_name_options
    @identity_source_options
    @output_options
    def carrier() -> None:
        """Nothing but what the decorators leave on it."""

    options: list[click.Option] = carrier.__click_params__  # type: ignore[attr-defined]
    for option in options:
        option.required = False
        option.expose_value = False
        if option.metavar is not None and option.type not in (IDENTITY_FILE, SECRET_FILE):
            option.type = click.STRING
        if option.count:
            option.callback = None
    return options[::-1]
