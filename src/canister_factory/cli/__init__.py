"""The command line's root: which module holds which command, and what happens to an error that reaches the top.

Owns the names of the commands. Does not own: what they do, and output (`output`). A command's module is imported when
the command runs, so that `--help` and errors don't wait for a Wasm runtime.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import Any

import click

from canister_factory.cli import errors, output
from canister_factory.cli.groups import CommandGroup

COMMANDS: dict[str, str] = {
    "admin": "canister_factory.cli.admin:admin",
    "call": "canister_factory.cli.call:call",
    "completion": "canister_factory.cli.completion:completion",
    "cleanup": "canister_factory.cli.cleanup:cleanup",
    "demo": "canister_factory.cli.demo:demo",
    "deploy": "canister_factory.cli.deploy:deploy",
    "doctor": "canister_factory.cli.doctor:doctor",
    "identity": "canister_factory.cli.identity:identity",
    "list": "canister_factory.cli.status:list_creations",
    "replica": "canister_factory.cli.replica:replica",
    "request": "canister_factory.cli.request:request",
    "reserve": "canister_factory.cli.reserve:reserve",
    "retry": "canister_factory.cli.request:retry",
    "run": "canister_factory.cli.run:run",
    "status": "canister_factory.cli.status:status",
    "upgrade": "canister_factory.cli.deploy:upgrade",
    "verify": "canister_factory.cli.verify:verify",
    "worker": "canister_factory.cli.worker:worker",
}
"""Name of a command or group, and where it is: `module:attribute`."""


class LazyGroup(CommandGroup):
    """A group whose commands are imported on first use, and whose errors become one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        arguments = list(args[0] if args and args[0] is not None else kwargs.get("args") or sys.argv[1:])
        typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
        # Known before the options are read, so that wrong usage is told as JSON too, wherever --json stands.
        output.settings.json = "--json" in typed
        output.settings.debug = output.settings.full = False
        # The process gives its memory back as a whole; to look for cycles in it first would take a call's time again.
        atexit.register(gc.freeze)
        return errors.guarded(super().main, *args, **kwargs)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canister-factory")
def main() -> None:
    """Give people their own canister on the Internet Computer."""
