"""The embedded replica in the foreground: signals, the state files, and an orderly end.

Owns the process around the replica. Does not own the replica (`canister_factory.replica`): that is imported when it is
started, since its Wasm runtime is an optional dependency; nor what is said when it is ready (`replica_control`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from canister_factory.cli import output
from canister_factory.cli.errors import CommandError
from canister_factory.ic.home import HOME_VARIABLE, STATE_FILE_NAME
from canister_factory.replica import LIBRARIES
from canister_factory.replica.node.garbage import look_at_new_objects_only, without_searches
from canister_factory.replica.node.observation import is_recorded_process
from canister_factory.replica.node.state_file import (
    ReplicaRecord,
    home_directory,
    read_record,
    remove_record,
    write_record,
)
from canister_factory.replica.node.state_lock import StateDirectoryError

if TYPE_CHECKING:
    from canister_factory.replica.node.server import ReplicaServer

Announce = Callable[[ReplicaRecord], None]
_THREADS_TAKE_TURNS_S = 0.000_5  # while a query calls the system all the time; Python's own are 5 ms


async def serve(
    port: int, state_dir: Path, prices: str | None, exit_with_parent: bool, power: bool, announce: Announce
) -> None:
    """Runs until SIGINT or SIGTERM, or with `exit_with_parent` until the end of stdin.

    `power`: as for `ReplicaServer`.

    Raises:
        CommandError: the replica can't be started, or stopped working.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if exit_with_parent:
        _when_stdin_closes(lambda: loop.call_soon_threadsafe(ended.set))
    server = _new_server(state_dir, prices, power)
    from canister_factory.replica.node.server import ServerError
    from canister_factory.replica.subnet.durability import CheckpointError

    try:
        await _serve_until(ended, server, port, state_dir, announce)
    except ServerError as error:
        raise CommandError(str(error)) from None
    except CheckpointError as error:
        raise CommandError(f"{error} (calls that were answered are kept)") from None
    if server.failure is not None:
        raise CommandError(f"the replica had stopped working: {server.failure} (calls that were answered are kept)")


async def _serve_until(
    ended: asyncio.Event, server: ReplicaServer, port: int, state_dir: Path, announce: Announce
) -> None:
    try:
        await server.start(port=port)
        record = ReplicaRecord(server.url, server.root_key.hex(), os.getpid(), str(state_dir))
        places = [state_dir]
        try:
            _record_in(state_dir, record)
            places += _record_at_home(record)
            announce(record)
            look_at_new_objects_only()
            sys.setswitchinterval(_THREADS_TAKE_TURNS_S)
            await ended.wait()
        finally:
            for place in places:
                with suppress(OSError):  # else it names a process that has ended, which readers notice
                    remove_record(place, record)
    finally:
        await server.stop()


def _record_in(directory: Path, record: ReplicaRecord) -> None:
    try:
        write_record(directory, record)
    except OSError as error:
        raise CommandError(
            f"{directory / STATE_FILE_NAME} can't be written ({error.strerror}). Check space and permissions, or "
            "choose another directory with --state-dir"
        ) from None


def _record_at_home(record: ReplicaRecord) -> list[Path]:
    """Makes it the replica of `--network embedded`; where there is no home, says how else to reach it."""
    try:
        home = home_directory()
        earlier = read_record(home)
        if earlier is not None and earlier.pid != record.pid and is_recorded_process(earlier):
            output.note(
                f"note: commands without --network use this replica from now on, not the one at {earlier.url} "
                f"(process {earlier.pid}, --state-dir {earlier.state_dir})"
            )
        write_record(home, record)
        return [home]
    except (OSError, StateDirectoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no home directory"
        output.note(
            f"note: commands can't find this replica by themselves ({reason}). Give them --network {record.url} "
            f"--fetch-root-key, or set {HOME_VARIABLE} to a writable directory"
        )
        return []


@contextmanager
def runtime_required() -> Iterator[None]:
    """Says how to get what is missing, where the replica is imported.

    Raises:
        CommandError: a library of the extra `replica` isn't installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in LIBRARIES:
            raise
        raise CommandError(
            f"the embedded replica needs {missing}. Install it with: pip install 'canister-factory[replica]'"
        ) from None


def _new_server(state_dir: Path, prices: str | None, power: bool) -> ReplicaServer:
    with runtime_required():
        from canister_factory.replica.node.keys import KeyFileError
        from canister_factory.replica.node.server import ReplicaServer, ServerError
        from canister_factory.replica.runtime.workers import spare_processors
        from canister_factory.replica.subnet.cycles import PricesError
        from canister_factory.replica.subnet.durability import CheckpointError
    try:
        with without_searches():
            return ReplicaServer(state_dir, prices=prices, power=power, beside=spare_processors() > 0)
    except (ServerError, KeyFileError, CheckpointError, PricesError, StateDirectoryError) as error:
        raise CommandError(str(error)) from None


def _when_stdin_closes(then: Callable[[], object]) -> None:
    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        then()

    # A thread, since stdin may be of a kind that an event loop can't watch.
    threading.Thread(target=watch, name="stdin", daemon=True).start()
