"""Options that commands share: the network, the identity, JSON, verbosity; and how they become an agent.

Owns their names and meaning. Does not own: what a network or an identity is (`ic`), and how groups hand them down
(`parameters`, `groups`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from canister_factory import interrupts
from canister_factory.candid.hexadecimal import from_hex
from canister_factory.cli import settings
from canister_factory.cli.identity_source import PASSWORD_FILE_VARIABLE, IdentitySource
from canister_factory.cli.parameter_types import IDENTITY_FILE, PRINCIPAL, SECRET_FILE
from canister_factory.cli.parameters import CommonOption, naming_the_variable

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

PRICES = ("configured", "documented")
"""The tables of prices by name; here so that no command loads the replica for its help."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

NETWORK_VARIABLE = "CANISTER_FACTORY_NETWORK"
IDENTITY_VARIABLE = "CANISTER_FACTORY_IDENTITY"
IDENTITY_NAME_VARIABLE = "CANISTER_FACTORY_IDENTITY_NAME"
BACKEND_VARIABLE = "CANISTER_FACTORY_BACKEND"

_FILE_FROM = ("identity_file", IDENTITY_VARIABLE)
_NAME_FROM = ("identity_name", IDENTITY_NAME_VARIABLE)


# --- What is shown --------------------------------------------------------------------------------------------------


def _turn_on(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and param.name is not None:
        settings.turn_on(ctx, param.name)


def _start_logging(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if not ctx.resilient_parsing:
        from canister_factory.cli import logs

        logs.start(value)


def _common_option(*names: str, **attributes: Any) -> Callable[[F], F]:
    return click.option(*names, cls=CommonOption, **attributes)


def output_options(command: F) -> F:
    """`--json`, `--full`, `--debug`, `-v`. They act by themselves, through `settings`."""
    for name, explained in (
        ("--json", "Print JSON on stdout. Everything else goes to stderr."),
        ("--full", "Show principals and hashes in full."),
        ("--debug", "Show tracebacks."),
    ):
        command = _common_option(
            name, is_flag=True, is_eager=True, expose_value=False, callback=_turn_on, help=explained
        )(command)
    return _common_option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_start_logging,
        help="Log each call. -vv logs each attempt, -vvv also what libraries log.",
    )(command)


# --- Network, identity, backend -------------------------------------------------------------------------------------


def network_name_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key` as they were typed: what `resolve_network` takes."""
    command = _common_option(
        "--fetch-root-key",
        is_flag=True,
        help="Ask the network at a URL for its root key. For test networks only.",
    )(command)
    command = _common_option(
        "--root-key",
        "root_key_hex",
        metavar="HEX",
        help="Root key of the network at a URL: DER as hexadecimal digits.",
    )(command)
    return _common_option(
        "--network",
        "network_name",
        metavar="NETWORK",
        default="embedded",
        show_default=True,
        envvar=NETWORK_VARIABLE,
        show_envvar=True,
        help="Network: embedded, local (dfx, icp-cli), ic (mainnet), or a URL.",
    )(command)


def network_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key`: passed to the command as `network: Network`.

    Raises:
        click.BadParameter: the root key isn't hexadecimal; by the decorated command.
        NetworkConfigError: the network is none; by the decorated command.
    """

    @network_name_options
    @wraps(command)
    def with_network(*args: Any, network_name: str, root_key_hex: str | None, fetch_root_key: bool, **rest: Any) -> Any:
        with naming_the_variable("network_name", NETWORK_VARIABLE):
            network = resolve_network(network_name, root_key_hex, fetch_root_key)
        return command(*args, network=network, **rest)

    return with_network  # type: ignore[return-value]  # the signature changes, click looks at the options only


def prices_option(command: F) -> F:
    """`--prices`: what the embedded replica charges (`replica.subnet.cycles` has the tables)."""
    return click.option(
        "--prices",
        type=click.Choice(PRICES),
        help="What the replica charges: as the official replica is configured, or as the developer documentation "
        "says. A state directory keeps its prices.  [default: configured, which is dearer]",
    )(command)


password_file_option = _common_option(
    "--identity-password-file",
    "password_file",
    metavar="FILE",
    type=SECRET_FILE,
    envvar=PASSWORD_FILE_VARIABLE,
    show_envvar=True,
    help="File whose first line is the password of an encrypted key.  [default: ask]",
)
"""Passed to the command as `password_file: Path | None`."""


def identity_source_options(command: F) -> F:
    """`--identity`, `--identity-name`, `--identity-password-file`: passed to the command as `source: IdentitySource`.

    Raises:
        click.UsageError: both a file and a name were typed; by the decorated command.
    """

    @_common_option(
        "--identity",
        "identity_file",
        metavar="FILE",
        type=IDENTITY_FILE,
        envvar=IDENTITY_VARIABLE,
        show_envvar=True,
        help="PEM file with the caller's private key, '-' for stdin. Without it the caller is anonymous.",
    )
    @_common_option(
        "--identity-name",
        metavar="NAME",
        envvar=IDENTITY_NAME_VARIABLE,
        show_envvar=True,
        help="Identity that icp-cli or dfx keeps in a file, by its name there.",
    )
    @password_file_option
    @wraps(command)
    def with_source(
        *args: Any, identity_file: Path | None, identity_name: str | None, password_file: Path | None, **rest: Any
    ) -> Any:
        if identity_file is not None and identity_name is not None:
            typed = {name for name in ("identity_file", "identity_name") if _is_typed(name)}
            if len(typed) != 1:
                raise click.UsageError("give --identity or --identity-name, not both")
            if "identity_file" in typed:
                identity_name = None
            else:
                identity_file = None
        return command(*args, source=IdentitySource(identity_file, identity_name, password_file), **rest)

    return with_source  # type: ignore[return-value]


def _is_typed(parameter: str) -> bool:
    return click.get_current_context().get_parameter_source(parameter) == ParameterSource.COMMANDLINE


def identity_option(command: F) -> F:
    """The options of `identity_source_options`, passed to the command as `identity: Identity`, perhaps anonymous."""

    @identity_source_options
    @wraps(command)
    def with_identity(*args: Any, source: IdentitySource, **rest: Any) -> Any:
        with naming_the_variable(*(_FILE_FROM if source.name is None else _NAME_FROM)):
            identity = source.load()
        return command(*args, identity=identity, **rest)

    return with_identity  # type: ignore[return-value]


def backend_option(command: F, *, required: bool = True) -> F:
    """`--backend ID`: passed to the command as `backend: Principal`, or `None` where it isn't required."""
    return _common_option(
        "--backend",
        metavar="CANISTER",
        type=PRINCIPAL,
        required=required,
        envvar=BACKEND_VARIABLE,
        show_envvar=True,
        help="Id of the backend canister.",
    )(command)


def resolve_network(name: str, root_key_hex: str | None = None, fetch_root_key: bool = False) -> Network:
    """The network of these options.

    Raises:
        click.BadParameter: the root key isn't hexadecimal.
        NetworkConfigError: the name is none, or the root key is missing.
    """
    from canister_factory.ic.network import Network

    try:
        root_key = from_hex(root_key_hex) if root_key_hex else None
    except ValueError:
        raise click.BadParameter("must be hexadecimal digits", param_hint="--root-key") from None
    return Network.resolve(name, root_key=root_key, fetch_root_key=fetch_root_key)


def with_options(command: Any, *options: Callable[[Any], Any]) -> Any:
    """The command with these options, which its help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command


# --- Running --------------------------------------------------------------------------------------------------------


def run_with_agent(
    identity: Identity,
    network: Network,
    work: Callable[[Agent], Coroutine[Any, Any, T]],
    *,
    watch: bool = True,
    on_stop: Callable[[], object] = lambda: None,
) -> T:
    """Runs `work` with an agent that is closed afterwards; the synchronous face of our async code.

    With `watch`, an embedded replica that ends or fails meanwhile ends the work too, with the cause (`watch`).
    `on_stop` is called when a signal is about to cancel the work.

    Raises:
        Exception: what `work` raises, with a note when the caller may be the reason (`roles`).
        Interrupted: a signal ended the work.
    """
    from canister_factory.cli.command_agent import CommandAgent
    from canister_factory.cli.watch import watched_if_embedded

    async def main() -> T:
        async with CommandAgent(identity, network) as agent:
            return await (watched_if_embedded(work(agent), network) if watch else work(agent))

    try:
        return interrupts.run(main, on_stop=on_stop)
    except Exception as error:
        from canister_factory.cli.refusals import note_caller  # with the contract's models, which a call needn't load

        note_caller(error, identity.sender())
        raise
