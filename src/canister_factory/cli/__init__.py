"""The command line's root: which module holds which command, and the frame around a run.

Owns the table of the commands. Does not own: what they do, and how errors are shown (`failures`). `--help`, shell
completion and usage errors of the root load no command, so that they don't wait for libraries.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from typing import Any

import click

from canister_factory.cli.guard import guarded
from canister_factory.cli.lazy_group import Entry, LazyGroup
from canister_factory.cli.settings import Settings

COMMANDS: dict[str, Entry] = {
    "admin": Entry(
        "admin:admin",
        "Manage a backend: its roles, releases and failures.",
        (
            "abort",
            "ack",
            "admins",
            "admission",
            "audit",
            "canisters",
            "capsules",
            "clear",
            "disable",
            "enable",
            "error-rate",
            "errors",
            "limits",
            "notifications",
            "operators",
            "pay-rest",
            "quotas",
            "registry",
            "releases",
            "requests",
            "stats",
            "status",
        ),
    ),
    "backend": Entry(
        "backend_copies:backend",
        "Keep copies of a backend, and restore one that is lost.",
        ("backup", "check", "restore"),
    ),
    "alerts": Entry("alerts:alerts", "Send the notifications for admins to a webhook."),
    "call": Entry("call:call", "Call METHOD of CANISTER with ARGS in textual Candid."),
    "cancel": Entry("request:cancel", "Cancel the creation of your personal canister, as its owner."),
    "cleanup": Entry("cleanup:cleanup", "Delete what a failed creation left behind."),
    "completion": Entry("completion:completion", "Print the completion script for SHELL."),
    "demo": Entry("demo:demo", "Create a personal canister from the files in DIR."),
    "deploy": Entry("deploy:deploy", "Install a backend on a network, ready for creations."),
    "doctor": Entry("doctor:doctor", "Check what commands need, and say what to do."),
    "events": Entry(
        "events:events",
        "Record and revoke the events that memories wait for.",
        ("list", "record", "revoke", "wait"),
    ),
    "executors": Entry(
        "executors:executors",
        "List, name and remove executors, who record events for you.",
        ("add", "list", "remove"),
    ),
    "fleet": Entry("fleet:fleet", "List the personal canisters, the first whose cycles end first."),
    "identity": Entry(
        "identity:identity",
        "Create, import and show the keys that sign calls.",
        ("import", "new", "principal", "show"),
    ),
    "list": Entry("status:list_creations", "List the creations of all owners."),
    "owner": Entry(
        "owner:owner",
        "Look after your personal canister, and keep copies of it.",
        (
            "accept",
            "add",
            "backend",
            "backup",
            "check",
            "controllers",
            "delete",
            "download",
            "erase",
            "events",
            "get",
            "ls",
            "move-back",
            "move-to",
            "restore",
            "share",
            "status",
            "top-up",
            "undo",
            "upgrade",
        ),
    ),
    "plan": Entry("plan:plan", "Show what OWNER's creation would do and cost."),
    "quota": Entry("quota:quota", "Show what you use of a backend, and how much you may."),
    "replica": Entry(
        "replica:replica",
        "Run a network of your own, the embedded replica.",
        ("check", "export", "import", "logs", "repair", "start", "status", "stop"),
    ),
    "request": Entry("request:request", "Ask for a personal canister, as its owner."),
    "reserve": Entry(
        "reserve:reserve",
        "Show and fund the cycles for personal canisters.",
        ("consumption", "report", "settings", "status", "top-up"),
    ),
    "retry": Entry("request:retry", "Retry a failed creation, as its owner."),
    "run": Entry("run:run", "Run the creation that OWNER asked for."),
    "status": Entry("status:status", "Show the progress of a creation."),
    "upgrade": Entry("deploy:upgrade", "Upgrade a backend and keep its data."),
    "verify": Entry("verify:verify", "Check a personal canister against the backend's records."),
    "worker": Entry("worker:worker", "Create what owners ask for, until stopped."),
}
"""Name of a command or group, and what is known of it before its module is imported."""


class Root(LazyGroup):
    """The program: errors become one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **kwargs: Any) -> Any:
        """Runs the command of `args`, those of the process by default, as `click.Command.main` does."""
        arguments = list(sys.argv[1:] if args is None else args)
        typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
        # Known before the options are read, so that wrong usage is told as JSON too, wherever --json stands.
        settings = Settings(json="--json" in typed)
        # The process gives its memory back as a whole; to look for cycles in it first would take a call's time again.
        atexit.register(gc.freeze)
        # Around the contexts of the commands, which end before an error of theirs is shown.
        with click.Context(self, obj=settings) as around:
            return guarded(super().main, args, *more, parent=around, **kwargs)


@click.group(cls=Root, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canister-factory", prog_name="canister-factory")
def main() -> None:
    """Give people their own canister on the Internet Computer."""
