"""A replica started as a process of its own: the command, its first line, and why there is none.

Owns the start. Does not own the process afterwards (`process`, `cli.replica`), or what runs in it
(`cli.replica_server`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.node.private_files import LOG_NAME, open_private
from canister_factory.replica.node.state_file import ReplicaRecord, record_from_json

__all__ = ["ReplicaProcessError", "launch"]

_LOG_TAIL_BYTES: Final = 4000


class ReplicaProcessError(CanisterFactoryError):
    """The replica's process did not start; the message has what it said."""


def launch(
    state_dir: Path,
    *,
    port: int,
    timeout_s: float,
    detached: bool = False,
    log: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> tuple[subprocess.Popen[bytes], ReplicaRecord]:
    """Starts a replica and waits until it listens.

    Args:
        state_dir: made where it is missing.
        port: 0 picks a free one.
        timeout_s: seconds until the attempt is given up.
        detached: it outlives this process; otherwise it ends when its stdin is closed. Ctrl-C reaches neither.
        log: where its log goes; `replica.log` in the state directory when left out.
        environment: variables on top of this process's.
        options: further ones of `replica start`.

    Raises:
        ReplicaProcessError: it ended, or wasn't ready in time.
    """
    command = [sys.executable, "-m", "canister_factory", "replica", "start", "--json", "--port", str(port)]
    command += ["--state-dir", str(state_dir), *([] if detached else ["--exit-with-parent"]), *options]
    own_log = _prepared(state_dir, with_log=log is None)
    log_start = 0 if own_log is None else own_log.tell()
    try:
        child = _spawned(command, own_log or log, {**os.environ, **(environment or {})}, detached)
    finally:
        if own_log is not None:
            own_log.close()
    try:
        line, in_time = _first_line(child, timeout_s)
        return child, record_from_json(line)
    except BaseException as error:
        _kill(child)
        if not isinstance(error, ValueError):
            raise
        reason = _last_words(line, state_dir / LOG_NAME if log is None else None, log_start)
        if not in_time:
            reason = f"it was not ready within {timeout_s:.0f} seconds. {reason}".strip()
        raise ReplicaProcessError(
            f"the embedded replica did not start: {reason or 'it ended without a word'}"
        ) from None


def _prepared(state_dir: Path, *, with_log: bool) -> IO[bytes] | None:
    """Makes the directory, and opens the log in it to append where one is wanted."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_private(state_dir / LOG_NAME, "ab") if with_log else None
    except OSError as error:
        raise ReplicaProcessError(
            f"the state directory {state_dir} can't be used ({error.strerror}): choose another with --state-dir"
        ) from None


def _spawned(
    command: list[str], log: IO[bytes] | None, environment: dict[str, str], detached: bool
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        start_new_session=detached,
        # A terminal's Ctrl-C is for this process: what it tidies up needs the replica, which it then ends itself.
        process_group=None if detached else 0,
    )


def _kill(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _first_line(child: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bool]:
    assert child.stdout is not None
    expired = threading.Event()

    def give_up() -> None:
        expired.set()
        child.kill()

    watchdog = threading.Timer(timeout_s, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        return child.stdout.readline(), not expired.is_set()
    finally:
        watchdog.cancel()


def _last_words(line: bytes, log: Path | None, offset: int) -> str:
    """The error object's message if there is one, else the log's end since `offset`."""
    try:
        return str(json.loads(line)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        pass
    if log is not None:
        with log.open("rb") as file:
            file.seek(max(offset, log.stat().st_size - _LOG_TAIL_BYTES))
            line += file.read()
    return line.decode(errors="replace").strip()
