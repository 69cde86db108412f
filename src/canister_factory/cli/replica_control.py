"""What `replica start --background`, `status`, `stop` and `logs` do with a replica's process.

Owns finding the process, and what is said of it. Does not own: the options (`replica`), the foreground
(`replica_server`), the log (`replica_logs`), or the replica itself (`canister_factory.replica`).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from canister_factory import interrupts
from canister_factory.cli import output, replica_logs, settings
from canister_factory.cli.errors import UNREACHABLE, CommandError
from canister_factory.cli.results import done
from canister_factory.ic.home import STATE_FILE_NAME
from canister_factory.replica.node.launch import ReplicaProcessError, launch
from canister_factory.replica.node.observation import is_alive, is_recorded_process, status_at
from canister_factory.replica.node.private_files import LOG_NAME
from canister_factory.replica.node.state_file import (
    ReplicaRecord,
    default_state_directory,
    home_directory,
    read_record,
    remove_record,
)
from canister_factory.replica.node.state_lock import StateDirectoryError

_START_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.02
_START: Final = "start one with 'canister-factory replica start'"
_NOTICE: Final = (
    "The embedded replica is for development and tests. It listens on this machine only, and has its own root key."
)


def state_directory(given: Path | None) -> Path:
    """Where a replica that is started keeps its state.

    Raises:
        CommandError: there is no home directory for the default.
    """
    try:
        return (given or default_state_directory()).absolute()
    except StateDirectoryError as error:
        raise CommandError(str(error)) from None


def start_in_background(directory: Path, port: int, prices: str | None, durability: str) -> ReplicaRecord:
    """Starts a replica that outlives this process, and waits until it is ready.

    Raises:
        CommandError: it did not start, or is not healthy.
        Interrupted: a signal came; nothing is left running.
    """
    level = logging.getLogger("canister_factory").getEffectiveLevel()
    options: tuple[str, ...] = ("-vv",) if level <= logging.DEBUG else ("-v",) if level <= logging.INFO else ()
    options += ("--durability", durability, *(() if prices is None else ("--prices", prices)))
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
            f"the embedded replica (process {record.pid}) started, but is not healthy: {reason}. "
            f"Its log is {directory / LOG_NAME}"
        )
    return record


def announce(record: ReplicaRecord) -> None:
    """Shows where a replica is that just became ready."""
    if settings.current().json:
        print(record.to_json(), flush=True)
        return
    rows = [("url", record.url), ("root key", record.root_key), ("process", record.pid), ("state", record.state_dir)]
    output.sentence(_NOTICE)
    output.text("\n".join(f"{name:<10}{value}" for name, value in rows))
    sys.stdout.flush()


def show_status(given: Path | None) -> None:
    """Shows the replica of a state directory, or the one that was started last.

    Raises:
        CommandError: none answers (exit code 3), or it isn't healthy (exit code 1).
    """
    record = read_record(_record_directory(given))
    if record is None:
        raise CommandError(f"no embedded replica is running; {_START}", exit_code=UNREACHABLE)
    _require_healthy(record)
    fields: dict[str, object] = {"status": "healthy", "url": record.url, "root_key": record.root_key, "pid": record.pid}
    if record.state_dir:
        fields["state_dir"] = record.state_dir
    if settings.current().json:
        output.json_object(fields)
    else:
        names = {"root_key": "root key", "pid": "process", "state_dir": "state"}
        output.table("", [(names.get(name, name), value) for name, value in fields.items()])


def _require_healthy(record: ReplicaRecord) -> None:
    status = status_at(record.url)
    if status is None:
        problem = f"no embedded replica answers at {record.url}; {_START}"
        if is_recorded_process(record):
            problem = (
                f"the embedded replica (process {record.pid}) runs but doesn't answer at {record.url}: it may be in a "
                "long execution. 'canister-factory replica logs' shows its log"
            )
        raise CommandError(problem, exit_code=UNREACHABLE, url=record.url, pid=record.pid)
    if status.root_key is None or status.root_key.hex() != record.root_key:
        raise CommandError(
            f"another network answers at {record.url}: its root key differs from the recorded one",
            exit_code=UNREACHABLE,
            url=record.url,
            pid=record.pid,
        )
    if status.health != "healthy":
        afterwards = "" if status.health == "waiting_for_room" else "; afterwards restart it"
        raise CommandError(
            f"the embedded replica at {record.url} (process {record.pid}) is not healthy: "
            f"{status.reason or status.health}{afterwards}",
            status=status.health,
            url=record.url,
            pid=record.pid,
        )


def stop(given: Path | None, timeout_s: float) -> None:
    """Stops a replica, and waits until its process has ended. None that runs is a success.

    Raises:
        CommandError: it is not ours to stop, or did not end in time.
    """
    directory = _record_directory(given)
    record = read_record(directory)
    is_replica = is_recorded_process(record) if record is not None else False
    if record is None or is_replica is False:
        if record is not None:
            _forget(directory, record)
        done("No embedded replica is running.", status="stopped", pid=None)
        return
    if is_replica is None:
        raise CommandError(
            f"process {record.pid} can't be identified as the recorded embedded replica; it was left alone. "
            f"If no replica runs, remove {directory / STATE_FILE_NAME}",
            pid=record.pid,
        )
    _terminate(record, timeout_s)
    _forget(directory, record)
    done(f"The embedded replica (process {record.pid}) has stopped.", status="stopped", pid=record.pid)


def _terminate(record: ReplicaRecord, timeout_s: float) -> None:
    try:
        os.kill(record.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise CommandError(
            f"the embedded replica (process {record.pid}) belongs to another user, who can stop it", pid=record.pid
        ) from None
    deadline = time.monotonic() + timeout_s
    while is_alive(record.pid):
        if time.monotonic() > deadline:
            raise CommandError(
                f"the embedded replica (process {record.pid}) did not end within {timeout_s:g} seconds. It may be in a "
                f"long execution: wait, or end it with 'kill -9 {record.pid}'. Calls that were answered are kept",
                pid=record.pid,
            )
        time.sleep(_POLL_S)


def show_logs(given: Path | None, lines: int, follow: bool) -> None:
    """Prints the last `lines` of a replica's log; with `follow` also what is added until it ends.

    Raises:
        CommandError: there is no log, or it can't be read.
        Interrupted: a signal came.
    """
    record = read_record(_record_directory(given))
    directory = given or (Path(record.state_dir) if record and record.state_dir else state_directory(None))
    ended = record is None or is_recorded_process(record) is False

    def runs() -> bool:
        return not ended and record is not None and is_alive(record.pid)

    with interrupts.at_once():
        replica_logs.show(directory / LOG_NAME, lines, runs if follow else None)


def _record_directory(given: Path | None) -> Path:
    try:
        return given.absolute() if given is not None else home_directory()
    except StateDirectoryError as error:
        raise CommandError(str(error)) from None


def _forget(directory: Path, record: ReplicaRecord) -> None:
    """Removes what a replica that was killed leaves behind."""
    for place in {directory, Path(record.state_dir)} if record.state_dir else {directory}:
        with suppress(OSError):
            remove_record(place, record)
