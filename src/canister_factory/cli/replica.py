"""`replica start|status|stop|logs`: the embedded replica as a process that a person or another program runs.

Owns the commands and what they say. Does not own: running it in the foreground (`replica_server`), its log
(`replica_logs`), or the replica itself, whose Wasm runtime is an optional dependency (`canister_factory.replica`).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from canister_factory import interrupts
from canister_factory.cli import output, replica_logs
from canister_factory.cli.errors import UNREACHABLE, CommandError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import F, output_options
from canister_factory.ic.home import STATE_FILE_NAME
from canister_factory.replica.node.launch import LOG_NAME, ReplicaProcessError, launch
from canister_factory.replica.node.observation import is_alive, is_recorded_process, status_at
from canister_factory.replica.node.state_file import (
    ReplicaRecord,
    default_state_directory,
    home_directory,
    read_record,
    remove_record,
)
from canister_factory.replica.node.state_lock import StateDirectoryError

_DEFAULT_PORT: Final = 4944
_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 15.0
_NOTICE: Final = (
    "The embedded replica is for development and tests: it listens on this machine only, with its own root key."
)


def _state_dir_option(help_text: str) -> Callable[[F], F]:
    return click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path), help=help_text)


def _which_replica(command: F) -> F:
    return _state_dir_option("Of which replica.  [default: the one that was started last]")(command)


@click.group(cls=CommandGroup)
def replica() -> None:
    """The embedded replica: a network of your own, for development and tests.

    \b
    Example:
      canister-factory replica start --background
      canister-factory replica status
      canister-factory replica stop
    """


@replica.command()
@click.option(
    "--port", default=_DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@_state_dir_option("Where keys, canisters and their state are kept.  [default: ~/.canister-factory/replica]")
@click.option("--background", is_flag=True, help="Return when it is ready; 'replica logs' and 'replica stop' reach it.")
@click.option("--exit-with-parent", is_flag=True, help="Stop when stdin closes, as it does when the parent ends.")
@output_options
def start(port: int, state_dir: Path | None, background: bool, exit_with_parent: bool) -> None:
    """Run the replica: in the foreground until Ctrl-C or SIGTERM, or in the background.

    With --json it prints one line when it is ready: url, root_key (hexadecimal, DER), pid and state_dir.
    """
    if background and exit_with_parent:
        raise click.UsageError("--background outlives its parent: leave out --exit-with-parent, or --background")
    try:
        directory = (state_dir or default_state_directory()).absolute()
    except StateDirectoryError as error:
        raise CommandError(str(error)) from None
    if background:
        announce(_in_background(directory, port))
        return
    from canister_factory.cli.replica_server import serve

    interrupts.run(lambda: serve(port, directory, exit_with_parent, announce))


def _in_background(directory: Path, port: int) -> ReplicaRecord:
    level = logging.getLogger("canister_factory").getEffectiveLevel()
    options = ("-vv",) if level <= logging.DEBUG else ("-v",) if level <= logging.INFO else ()
    try:
        with interrupts.at_once():  # it ends what it has begun
            child, record = launch(directory, port=port, timeout_s=_START_TIMEOUT_S, detached=True, options=options)
    except ReplicaProcessError as error:
        raise CommandError(str(error)) from None
    assert child.stdout is not None
    child.stdout.close()
    child.returncode = 0  # it is no longer ours to wait for
    status = status_at(record.url)
    if status is None or status.health != "healthy":
        reason = "it doesn't answer" if status is None else status.reason or status.health
        raise CommandError(
            f"The embedded replica (process {record.pid}) started, but is not healthy: {reason}. "
            f"Its log is {directory / LOG_NAME}"
        )
    return record


def announce(record: ReplicaRecord) -> None:
    """Says where a replica is that just became ready."""
    if output.settings.json:
        print(record.to_json(), flush=True)
        return
    rows = [("url", record.url), ("root key", record.root_key), ("process", record.pid), ("state", record.state_dir)]
    output.text("\n".join([_NOTICE, *(f"{name:<10}{value}" for name, value in rows)]))
    sys.stdout.flush()


@replica.command()
@_which_replica
@output_options
def status(state_dir: Path | None) -> None:
    """Whether the replica runs, and where. Exit code 3 when none answers, 1 when it isn't healthy."""
    record = read_record(_directory(state_dir))
    if record is None:
        raise _unreachable("No embedded replica is running; start one with 'canister-factory replica start'")
    found = status_at(record.url)
    if found is None and is_recorded_process(record):
        raise _unreachable(
            f"The embedded replica (process {record.pid}) runs but doesn't answer at {record.url}: it may be in a long "
            "execution; 'canister-factory replica logs' shows what it said",
            record,
        )
    if found is None:
        raise _unreachable(
            f"No embedded replica answers at {record.url}; start one with 'canister-factory replica start'", record
        )
    if found.root_key is None or found.root_key.hex() != record.root_key:
        raise _unreachable(
            f"Another network answers at {record.url} (its root key differs from the recorded one)", record
        )
    if found.health != "healthy":
        why = found.reason or found.health
        raise CommandError(
            f"The embedded replica at {record.url} (process {record.pid}) is not healthy: {why}; afterwards restart it",
            status=found.health,
            url=record.url,
            pid=record.pid,
        )
    fields: dict[str, object] = {"status": "healthy", "url": record.url, "root_key": record.root_key, "pid": record.pid}
    if record.state_dir:
        fields["state_dir"] = record.state_dir
    if output.settings.json:
        output.json_object(fields)
    else:
        names = {"root_key": "root key", "pid": "process", "state_dir": "state"}
        output.table("", [(names.get(name, name), value) for name, value in fields.items()])


@replica.command()
@_which_replica
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=_STOP_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until it has ended.",
)
@output_options
def stop(state_dir: Path | None, timeout_s: float) -> None:
    """Stop the replica that 'replica start' started, and wait until it has ended."""
    directory = _directory(state_dir)
    record = read_record(directory)
    ours = is_recorded_process(record) if record is not None else False
    if record is None or ours is False:
        if record is not None:
            _forget(directory, record)
        _say("No embedded replica is running", None)
        return
    if ours is None:
        raise CommandError(
            f"Process {record.pid} is not known to be the embedded replica that was recorded; it was left alone. "
            f"Remove {directory / STATE_FILE_NAME} if no replica runs",
            pid=record.pid,
        )
    try:
        os.kill(record.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise CommandError(
            f"The embedded replica (process {record.pid}) belongs to another user, who can stop it", pid=record.pid
        ) from None
    deadline = time.monotonic() + timeout_s
    while is_alive(record.pid):
        if time.monotonic() > deadline:
            raise CommandError(
                f"The embedded replica (process {record.pid}) did not end within {timeout_s:g} seconds; it may be in a "
                f"long execution: wait, or end it with 'kill -9 {record.pid}' (calls that were answered are kept)",
                pid=record.pid,
            )
        time.sleep(0.02)
    _forget(directory, record)
    _say(f"The embedded replica (process {record.pid}) has stopped", record.pid)


@replica.command()
@_which_replica
@click.option("-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="How many lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the replica ends or Ctrl-C.")
@output_options
def logs(state_dir: Path | None, lines: int, follow: bool) -> None:
    """Show the log of a replica that runs, or ran, in the background.

    One in the foreground logs to its own terminal. With --json each line is an object.
    """
    record = read_record(_directory(state_dir))
    try:
        directory = state_dir or (Path(record.state_dir) if record and record.state_dir else default_state_directory())
    except StateDirectoryError as error:
        raise CommandError(str(error)) from None
    ended = record is None or is_recorded_process(record) is False

    def runs() -> bool:
        return not ended and record is not None and is_alive(record.pid)

    try:
        with interrupts.at_once():
            replica_logs.show(directory / LOG_NAME, lines, runs if follow else None)
    except interrupts.Interrupted as stop:  # how one leaves --follow: there is nothing to say of it
        click.get_current_context().exit(stop.exit_code)


def _directory(state_dir: Path | None) -> Path:
    try:
        return state_dir.absolute() if state_dir is not None else home_directory()
    except StateDirectoryError as error:
        raise CommandError(str(error)) from None


def _unreachable(message: str, record: ReplicaRecord | None = None) -> CommandError:
    if record is None:
        return CommandError(message, exit_code=UNREACHABLE)
    return CommandError(message, exit_code=UNREACHABLE, url=record.url, pid=record.pid)


def _forget(directory: Path, record: ReplicaRecord) -> None:
    """What a replica that was killed leaves behind."""
    for place in {directory, Path(record.state_dir)} if record.state_dir else {directory}:
        with suppress(OSError):
            remove_record(place, record)


def _say(message: str, pid: int | None) -> None:
    if output.settings.json:
        output.json_object({"status": "stopped", "pid": pid})
    else:
        output.text(message)
