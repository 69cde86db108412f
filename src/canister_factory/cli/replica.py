"""`replica start|status|stop|logs`: the embedded replica as a process; `check|repair|export|import`: its directory.

Owns the options. Does not own: the process (`replica_control`), running it in the foreground (`replica_server`), what
is done with a directory (`replica_store`), or the replica itself, whose Wasm runtime is an optional dependency
(`canister_factory.replica`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from canister_factory import interrupts
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import F, output_options, prices_option

_DEFAULT_PORT: Final = 4944
_STOP_TIMEOUT_S: Final = 15.0


def _state_dir_option(help_text: str) -> Callable[[F], F]:
    return click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path), help=help_text)


def _which_replica(command: F) -> F:
    return _state_dir_option("State directory of the replica.  [default: that of the replica started last]")(command)


@click.group(cls=CommandGroup)
def replica() -> None:
    """Run a network of your own, the embedded replica.

    The network is for development and tests.

    \b
    Example:
      canister-factory replica start --background
      canister-factory replica status
      canister-factory replica stop
    """


@replica.command()
@click.option(
    "--port",
    default=_DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on. 0 takes a free one.",
)
@_state_dir_option("Directory for keys, canisters and their state.  [default: ~/.canister-factory/replica]")
@click.option(
    "--background", is_flag=True, help="Return when the replica is ready. 'replica logs' and 'replica stop' reach it."
)
@prices_option
@click.option("--exit-with-parent", is_flag=True, help="Stop when stdin closes, as it does when the parent ends.")
@click.option(
    "--durability",
    type=click.Choice(["power", "process"]),
    default="power",
    show_default=True,
    help="What answered calls survive: a power failure, or just the end of the process, which is a bit faster.",
)
@output_options
def start(
    port: int,
    state_dir: Path | None,
    background: bool,
    prices: str | None,
    exit_with_parent: bool,
    durability: str,
) -> None:
    """Start the replica.

    The replica runs in the foreground until Ctrl-C or SIGTERM, or in the background. With --json the command prints
    one line when the replica is ready: url, root_key (DER as hexadecimal digits), pid and state_dir.
    """
    from canister_factory.cli import replica_control

    if background and exit_with_parent:
        raise click.UsageError(
            "--background and --exit-with-parent exclude each other: a replica in the background outlives its parent"
        )
    directory = replica_control.state_directory(state_dir)
    if background:
        replica_control.announce(replica_control.start_in_background(directory, port, prices, durability))
        return
    from canister_factory.cli.replica_server import serve

    power = durability == "power"
    interrupts.run(lambda: serve(port, directory, prices, exit_with_parent, power, replica_control.announce))


@replica.command()
@_which_replica
@output_options
def status(state_dir: Path | None) -> None:
    """Show whether the replica runs, and where.

    The exit code is 3 when no replica answers, and 1 when it isn't healthy.
    """
    from canister_factory.cli import replica_control

    replica_control.show_status(state_dir)


@replica.command()
@_which_replica
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=_STOP_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="Time to wait for the end of the replica.",
)
@output_options
def stop(state_dir: Path | None, timeout_s: float) -> None:
    """Stop the replica, and wait until it has ended."""
    from canister_factory.cli import replica_control

    replica_control.stop(state_dir, timeout_s)


@replica.command()
@_which_replica
@click.option("-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="Number of lines.")
@click.option("-f", "--follow", is_flag=True, help="Show new lines as they come, until the replica ends or Ctrl-C.")
@output_options
def logs(state_dir: Path | None, lines: int, follow: bool) -> None:
    """Show the log of a replica in the background.

    A replica in the foreground logs to its terminal. With --json each line is an object.
    """
    from canister_factory.cli import replica_control

    try:
        replica_control.show_logs(state_dir, lines, follow)
    except interrupts.Interrupted as stop:  # how one leaves --follow: there is nothing to say of it
        click.get_current_context().exit(stop.exit_code)


_DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
_FILE = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))


@replica.command()
@_DIRECTORY
@output_options
def check(directory: Path) -> None:
    """Look for damage in a state directory.

    All files in DIR are read and compared with their checksums. Nothing is changed. The replica must be stopped. The
    exit code is 1 when something is damaged.
    """
    from canister_factory.cli import replica_store

    replica_store.check(directory.absolute())


@replica.command()
@_DIRECTORY
@click.option("--accept-loss", is_flag=True, help="Give up what can't be saved.")
@output_options
def repair(directory: Path, accept_loss: bool) -> None:
    """Make a damaged state directory usable again.

    The command says what will be lost, and changes nothing without --accept-loss. The damaged files are kept in
    DIR/damaged-1. The replica must be stopped.
    """
    from canister_factory.cli import replica_store

    replica_store.repair(directory.absolute(), accept_loss)


@replica.command("export")
@_FILE
@_state_dir_option("State directory to export.  [default: ~/.canister-factory/replica]")
@output_options
def export_(file: Path, state_dir: Path | None) -> None:
    """Write a network into a file.

    FILE holds canisters, their state and the private keys of the network: nobody else should read it. It can be
    imported on any computer. The replica must be stopped.
    """
    from canister_factory.cli import replica_control, replica_store

    replica_store.export(replica_control.state_directory(state_dir), file)


@replica.command("import")
@_FILE
@_state_dir_option("New state directory.  [default: ~/.canister-factory/replica]")
@output_options
def import_(file: Path, state_dir: Path | None) -> None:
    """Make a state directory of an exported network.

    The directory must be empty or missing. A damaged FILE is refused. 'replica start' starts the network afterwards.
    """
    from canister_factory.cli import replica_control, replica_store

    replica_store.import_(file, replica_control.state_directory(state_dir))
