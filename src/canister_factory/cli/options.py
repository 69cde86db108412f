"""Options that commands share: the network, the identity, JSON, verbosity; and how they become an agent.

Owns their names and meaning. Does not own: what a network or an identity is (`ic`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from canister_factory.candid.errors import PrincipalError
from canister_factory.candid.principal import Principal
from canister_factory.cli import output

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class PrincipalType(click.ParamType[Principal]):
    """A principal's text form on the command line."""

    name = "principal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Principal:
        if isinstance(value, Principal):
            return value
        try:
            return Principal.from_str(str(value))
        except PrincipalError as error:
            self.fail(str(error), param, ctx)


PRINCIPAL = PrincipalType()


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.json = value
    return value


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.debug = value
    return value


def _set_full(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.full = value
    return value


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    output.start_logging(value)


def output_options(command: F) -> F:
    """`--json`, `--full`, `--debug`, `-v`. They act by themselves, through `output.settings`."""
    command = click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_json,
        help="Print JSON on stdout; everything else goes to stderr.",
    )(command)
    command = click.option(
        "--full",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_full,
        help="Show principals and hashes whole.",
    )(command)
    command = click.option(
        "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_set_debug, help="Show tracebacks."
    )(command)
    return click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_set_verbosity, help="More log lines; twice: all."
    )(command)


def network_name_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key` as they were typed: what `resolve_network` takes."""
    command = click.option(
        "--fetch-root-key", is_flag=True, help="Ask the network at a URL for its root key: for test networks only."
    )(command)
    command = click.option(
        "--root-key", "root_key_hex", metavar="HEX", help="The root key (DER) of the network at a URL."
    )(command)
    return click.option(
        "--network",
        "network_name",
        default="embedded",
        show_default=True,
        envvar="CANISTER_FACTORY_NETWORK",
        help="embedded, local (dfx, icp-cli), ic (mainnet), or a URL.",
    )(command)


def network_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key`: passed to the command as `network: Network`."""

    @network_name_options
    @wraps(command)
    def with_network(*args: Any, network_name: str, root_key_hex: str | None, fetch_root_key: bool, **rest: Any) -> Any:
        return command(*args, network=resolve_network(network_name, root_key_hex, fetch_root_key), **rest)

    return with_network  # type: ignore[return-value]  # the signature changes, click looks at the options only


def identity_option(command: F) -> F:
    """`--identity FILE.pem`: passed to the command as `identity: Identity`, anonymous when not given."""

    @click.option(
        "--identity",
        "identity_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="CANISTER_FACTORY_IDENTITY",
        help="PEM file with the caller's private key; without it the caller is anonymous.",
    )
    @wraps(command)
    def with_identity(*args: Any, identity_file: Path | None, **rest: Any) -> Any:
        return command(*args, identity=load_identity(identity_file), **rest)

    return with_identity  # type: ignore[return-value]


def backend_option(command: F) -> F:
    """`--backend ID`: passed to the command as `backend: Principal`."""
    return click.option(
        "--backend", type=PRINCIPAL, required=True, envvar="CANISTER_FACTORY_BACKEND", help="The backend canister."
    )(command)


def resolve_network(name: str, root_key_hex: str | None = None, fetch_root_key: bool = False) -> Network:
    """The network of these options. Raises `click.BadParameter` and `NetworkConfigError`."""
    from canister_factory.ic.network import Network

    try:
        root_key = bytes.fromhex(root_key_hex) if root_key_hex else None
    except ValueError:
        raise click.BadParameter("must be hexadecimal digits", param_hint="--root-key") from None
    return Network.resolve(name, root_key=root_key, fetch_root_key=fetch_root_key)


def load_identity(path: Path | None) -> Identity:
    """The identity of a PEM file, or the anonymous one. Raises `IdentityError`."""
    from canister_factory.ic.identity import Identity

    return Identity.anonymous() if path is None else Identity.from_pem(path.read_bytes())


def run_with_agent(identity: Identity, network: Network, work: Callable[[Agent], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with an agent that is closed afterwards; the synchronous face of our async code."""
    from canister_factory.ic.agent import Agent

    async def main() -> T:
        async with Agent(identity, network) as agent:
            return await work(agent)

    return asyncio.run(main())
