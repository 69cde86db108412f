"""`replica start|status|stop`: the embedded replica as a process that a person or another program runs.

Owns signals, the state files, and what is printed. Does not own the replica (`canister_factory.replica`): that is
imported when it is started, since its Wasm runtime is an optional dependency.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from canister_factory import interrupts
from canister_factory.cli import output
from canister_factory.cli.errors import UNREACHABLE, CommandError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import output_options
from canister_factory.replica.state_file import (
    ReplicaRecord,
    home_directory,
    read_record,
    remove_record,
    write_record,
)

if TYPE_CHECKING:
    from canister_factory.replica.server import ReplicaServer

_DEFAULT_PORT: Final = 4944
_STOP_TIMEOUT_S: Final = 15.0
_REQUEST_TIMEOUT_S: Final = 3.0
_NOTICE: Final = (
    "The embedded replica is for development and tests: it listens on this machine only, with its own root key."
)


@click.group(cls=CommandGroup)
def replica() -> None:
    """The embedded replica: a network of your own, for development and tests."""


@replica.command()
@click.option(
    "--port", default=_DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where keys, canisters and their state are kept.  [default: ~/.canister-factory/replica]",
)
@click.option("--exit-with-parent", is_flag=True, help="Stop when stdin closes, as it does when the parent ends.")
@output_options
def start(port: int, state_dir: Path | None, exit_with_parent: bool) -> None:
    """Run the replica in the foreground until Ctrl-C or SIGTERM.

    With --json it prints one line when it is ready: url, root_key (hexadecimal, DER) and pid.
    """
    interrupts.run(lambda: _serve(port, state_dir or home_directory() / "replica", exit_with_parent))


@replica.command()
@output_options
def status() -> None:
    """Whether the replica runs, and where. Exit code 3 when it doesn't."""
    record = read_record(home_directory())
    root_key = _root_key_at(record.url) if record else None
    if record is None or root_key is None:
        where = f" at {record.url}" if record else ""
        raise CommandError(
            f"No embedded replica answers{where}; start one with 'canister-factory replica start'",
            exit_code=UNREACHABLE,
        )
    healthy = root_key.hex() == record.root_key
    if not healthy:
        raise CommandError(
            f"Another network answers at {record.url} (its root key differs from the recorded one)",
            exit_code=UNREACHABLE,
        )
    if output.settings.json:
        output.json_object({"status": "healthy", "url": record.url, "root_key": record.root_key, "pid": record.pid})
    else:
        output.table(
            "", [("status", "healthy"), ("url", record.url), ("root key", record.root_key), ("pid", record.pid)]
        )


@replica.command()
@output_options
def stop() -> None:
    """Stop the replica that 'replica start' started, and wait until it has ended."""
    record = read_record(home_directory())
    if record is None or not _is_alive(record.pid):
        _say("stopped", "No embedded replica is running", None)
        return
    if not _is_ours(record):
        raise CommandError(
            f"Process {record.pid} is not the embedded replica that was recorded; it was left alone. "
            f"Remove {home_directory() / 'replica.json'} if no replica runs"
        )
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while _is_alive(record.pid):
        if time.monotonic() > deadline:
            raise CommandError(
                f"The embedded replica (process {record.pid}) did not end within {_STOP_TIMEOUT_S:.0f} seconds; it may "
                f"be in a long execution: wait, or end it with 'kill -9 {record.pid}' (executed calls are durable)"
            )
        time.sleep(0.02)
    _say("stopped", f"The embedded replica (process {record.pid}) has stopped", record.pid)


def _say(status_name: str, message: str, pid: int | None) -> None:
    if output.settings.json:
        output.json_object({"status": status_name, "pid": pid})
    else:
        output.text(message)


# --- running it -----------------------------------------------------------------------------------------------------


async def _serve(port: int, state_dir: Path, exit_with_parent: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if exit_with_parent:
        _when_stdin_closes(lambda: loop.call_soon_threadsafe(ended.set))
    server = _new_server(state_dir)
    from canister_factory.replica.checkpoint import CheckpointError
    from canister_factory.replica.server import ServerError

    try:
        await _serve_until(ended, server, port, state_dir)
    except (ServerError, CheckpointError) as error:
        raise CommandError(str(error)) from None


async def _serve_until(ended: asyncio.Event, server: ReplicaServer, port: int, state_dir: Path) -> None:
    try:
        await server.start(port=port)
        record = ReplicaRecord(server.url, server.root_key.hex(), os.getpid())
        directories = {home_directory(), state_dir}
        for directory in directories:
            write_record(directory, record)
        try:
            _announce(record, state_dir)
            await ended.wait()
        finally:
            for directory in directories:
                remove_record(directory, record)
    finally:
        await server.stop()


def _new_server(state_dir: Path) -> ReplicaServer:
    try:
        from canister_factory.replica.checkpoint import CheckpointError
        from canister_factory.replica.keys import KeyFileError
        from canister_factory.replica.server import ReplicaServer, ServerError
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "wasmtime":
            raise
        raise CommandError(
            "The embedded replica needs the package wasmtime; add it with: pip install 'canister-factory[replica]'"
        ) from None
    try:
        return ReplicaServer(state_dir)
    except (ServerError, KeyFileError, CheckpointError) as error:
        raise CommandError(str(error)) from None


def _announce(record: ReplicaRecord, state_dir: Path) -> None:
    if output.settings.json:
        print(record.to_json(), flush=True)
        return
    output.text(f"{_NOTICE}\nurl       {record.url}\nroot key  {record.root_key}\nstate     {state_dir}")
    sys.stdout.flush()


def _when_stdin_closes(then: Callable[[], object]) -> None:
    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        then()

    # A thread, since stdin may be of a kind that an event loop can't watch.
    threading.Thread(target=watch, name="stdin", daemon=True).start()


# --- asking it ------------------------------------------------------------------------------------------------------


def _root_key_at(url: str) -> bytes | None:
    """The root key of the network at a URL; None where none answers."""
    from urllib.request import urlopen

    from canister_factory.ic.cbor import loads_map
    from canister_factory.ic.errors import MalformedCborError

    try:
        with urlopen(f"{url}/api/v2/status", timeout=_REQUEST_TIMEOUT_S) as response:  # noqa: S310 - our own record
            key = loads_map(response.read(65_536), "status").get("root_key")
    except (OSError, ValueError, MalformedCborError):
        return None
    return key if isinstance(key, bytes) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # One that has ended, but whose parent hasn't noticed yet, still has its id.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def _is_ours(record: ReplicaRecord) -> bool:
    """Process ids are used again: the recorded one must still be a replica, by its command line or what it answers."""
    try:
        command = Path(f"/proc/{record.pid}/cmdline").read_bytes().replace(b"-", b"_")
        return b"canister_factory" in command and b"replica" in command
    except OSError:
        root_key = _root_key_at(record.url)
        return root_key is not None and root_key.hex() == record.root_key
