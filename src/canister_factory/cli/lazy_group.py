"""A group that imports a command's module when the command is asked for.

Owns what is known of commands without their modules: name, summary, and what a group holds. Does not own: which
commands there are (`canister_factory.cli`), and how groups behave otherwise (`groups`).
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from canister_factory.cli.groups import CommandGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that isn't imported yet."""

    place: str
    """`module:attribute`; the module is below `canister_factory.cli`."""
    summary: str
    """The first sentence of its help."""
    commands: tuple[str, ...] = ()
    """The names of the commands in it, when it is a group."""

    def load(self) -> click.Command:
        """Imports the command."""
        module, attribute = self.place.split(":")
        command: click.Command = getattr(importlib.import_module(f"canister_factory.cli.{module}"), attribute)
        return command


class LazyGroup(CommandGroup):
    """A group whose help, completion and hints need no module of its commands."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in alphabetical order."""
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported; `None` when there is none."""
        entry = self._entries.get(cmd_name)
        return None if entry is None else entry.load()

    def commands_by_group(self, ctx: click.Context) -> Mapping[str, Collection[str]]:
        """As in `CommandGroup`, from the table."""
        return {name: entry.commands for name, entry in self._entries.items()}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands, from the table."""
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        stubs = {name: click.Command(name, help=self._entries[name].summary) for name in names}
        with formatter.section("Commands"):
            formatter.write_dl([(name, stubs[name].get_short_help_str(room)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes the names of commands from the table, and this group's options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self._entries[name].summary) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)
