"""Options that commands share: the network, the identity, JSON, verbosity; and how they become an agent.

Owns their names and meaning. Does not own: what a network or an identity is (`ic`), and how groups hand them down
(`parameters`, `groups`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from canister_factory import interrupts
from canister_factory.candid.errors import PrincipalError
from canister_factory.candid.hexadecimal import from_hex
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.parameters import CommonOption

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

NETWORK_VARIABLE = "CANISTER_FACTORY_NETWORK"
IDENTITY_VARIABLE = "CANISTER_FACTORY_IDENTITY"
BACKEND_VARIABLE = "CANISTER_FACTORY_BACKEND"


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


class RoleHolderType(PrincipalType):
    """Somebody who can hold a role on a backend: everybody but the anonymous and the management canister's principal.

    Canisters can be admins (a wallet, a governance canister), but it is noted, since most often it is a mistake.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Principal:
        who = super().convert(value, param, ctx)
        if who.is_anonymous or who == Principal.management_canister():
            name = "the anonymous principal" if who.is_anonymous else "the management canister"
            self.fail(f"{who} is {name}, which can hold no role", param, ctx)
        if who.bytes.endswith(_OPAQUE):
            output.note(f"note: {who} is the id of a canister, not of a person's key: is that meant?")
        return who


_OPAQUE = b"\x01"
"""The last byte of ids that a network gave to a canister (interface specification, "Special forms of Principals")."""

PRINCIPAL = PrincipalType()
ROLE_HOLDER = RoleHolderType()


class IdentityFileType(click.Path):
    """The path of a PEM file. It is looked at when it is read: click's own checks quote what was given as it stands,
    and that may be a key in place of the name of its file."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(value)


IDENTITY_FILE = IdentityFileType()


# --- What is shown --------------------------------------------------------------------------------------------------


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.json = output.settings.json or value
    return value


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.debug = output.settings.debug or value
    return value


def _set_full(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    output.settings.full = output.settings.full or value
    return value


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    output.start_logging(value)


def output_options(command: F) -> F:
    """`--json`, `--full`, `--debug`, `-v`. They act by themselves, through `output.settings`."""
    acting: dict[str, Any] = {"cls": CommonOption, "is_flag": True, "is_eager": True, "expose_value": False}
    for name, callback, explained in (
        ("--json", _set_json, "Print JSON on stdout; everything else goes to stderr."),
        ("--full", _set_full, "Show principals and hashes whole."),
        ("--debug", _set_debug, "Show tracebacks."),
    ):
        command = click.option(name, callback=callback, help=explained, **acting)(command)
    return click.option(
        "-v",
        "--verbose",
        cls=CommonOption,
        count=True,
        expose_value=False,
        callback=_set_verbosity,
        help="Log each call; twice: each attempt; three times: what libraries say too.",
    )(command)


# --- Network, identity, backend -------------------------------------------------------------------------------------


def network_name_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key` as they were typed: what `resolve_network` takes."""
    command = click.option(
        "--fetch-root-key",
        cls=CommonOption,
        is_flag=True,
        help="Ask the network at a URL for its root key: for test networks only.",
    )(command)
    command = click.option(
        "--root-key",
        "root_key_hex",
        cls=CommonOption,
        metavar="HEX",
        help="The root key (DER) of the network at a URL.",
    )(command)
    return click.option(
        "--network",
        "network_name",
        cls=CommonOption,
        metavar="NETWORK",
        default="embedded",
        show_default=True,
        envvar=NETWORK_VARIABLE,
        show_envvar=True,
        help="embedded, local (dfx, icp-cli), ic (mainnet), or a URL.",
    )(command)


def network_options(command: F) -> F:
    """`--network`, `--root-key`, `--fetch-root-key`: passed to the command as `network: Network`."""

    @network_name_options
    @wraps(command)
    def with_network(*args: Any, network_name: str, root_key_hex: str | None, fetch_root_key: bool, **rest: Any) -> Any:
        with naming_the_variable("network_name", NETWORK_VARIABLE):
            network = resolve_network(network_name, root_key_hex, fetch_root_key)
        return command(*args, network=network, **rest)

    return with_network  # type: ignore[return-value]  # the signature changes, click looks at the options only


def identity_file_option(command: F) -> F:
    """`--identity FILE.pem`: passed to the command as `identity_file: Path | None`."""
    return click.option(
        "--identity",
        "identity_file",
        cls=CommonOption,
        metavar="FILE",
        type=IDENTITY_FILE,
        envvar=IDENTITY_VARIABLE,
        show_envvar=True,
        help="PEM file with the caller's private key; without it the caller is anonymous.",
    )(command)


def identity_option(command: F) -> F:
    """`--identity FILE.pem`: passed to the command as `identity: Identity`, anonymous when not given."""

    @identity_file_option
    @wraps(command)
    def with_identity(*args: Any, identity_file: Path | None, **rest: Any) -> Any:
        with naming_the_variable("identity_file", IDENTITY_VARIABLE):
            identity = load_identity(identity_file)
        return command(*args, identity=identity, **rest)

    return with_identity  # type: ignore[return-value]


def backend_option(command: F, *, required: bool = True) -> F:
    """`--backend ID`: passed to the command as `backend: Principal`, or `None` where it isn't required."""
    return click.option(
        "--backend",
        cls=CommonOption,
        metavar="CANISTER",
        type=PRINCIPAL,
        required=required,
        envvar=BACKEND_VARIABLE,
        show_envvar=True,
        help="The backend canister.",
    )(command)


def resolve_network(name: str, root_key_hex: str | None = None, fetch_root_key: bool = False) -> Network:
    """The network of these options. Raises `click.BadParameter` and `NetworkConfigError`."""
    from canister_factory.ic.network import Network

    try:
        root_key = from_hex(root_key_hex) if root_key_hex else None
    except ValueError:
        raise click.BadParameter("must be hexadecimal digits", param_hint="--root-key") from None
    return Network.resolve(name, root_key=root_key, fetch_root_key=fetch_root_key)


def load_identity(path: Path | None, warn: Callable[[str], object] | None = None) -> Identity:
    """The identity of a PEM file, or the anonymous one. Raises `IdentityError`, which quotes nothing of the file.

    `warn` is told when others can read the file; without it that is a line on stderr, once for each file.
    """
    from canister_factory.ic.identity import Identity

    return Identity.anonymous() if path is None else Identity.from_pem_file(path, warn=warn or _warn_once)


def _warn_once(message: str) -> None:
    context = click.get_current_context(silent=True)
    said: set[str] = set() if context is None else context.meta.setdefault(f"{__name__}.warnings", set())
    if message not in said:
        said.add(message)
        output.note(f"warning: {message}")


@contextmanager
def naming_the_variable(parameter: str, variable: str) -> Iterator[None]:
    """Adds where a value came from to an error about it, when it was the environment: nobody typed it just now."""
    try:
        yield
    except Exception as error:
        context = click.get_current_context(silent=True)
        if context is not None and context.get_parameter_source(parameter) == ParameterSource.ENVIRONMENT:
            error.add_note(f"It was given by the environment variable {variable}")
        raise


# --- Running --------------------------------------------------------------------------------------------------------


def run_with_agent(
    identity: Identity, network: Network, work: Callable[[Agent], Coroutine[Any, Any, T]], *, watch: bool = True
) -> T:
    """Runs `work` with an agent that is closed afterwards; the synchronous face of our async code.

    With `watch`, an embedded replica that ends or fails meanwhile ends the work too, with the cause (`watch`).
    What `work` raises carries a note when who called may be why (`roles`).
    """
    from canister_factory.cli.command_agent import CommandAgent
    from canister_factory.cli.roles import note_caller
    from canister_factory.cli.watch import watched_if_embedded

    async def main() -> T:
        async with CommandAgent(identity, network) as agent:
            return await (watched_if_embedded(work(agent), network) if watch else work(agent))

    try:
        return interrupts.run(main)
    except Exception as error:
        note_caller(error, identity.sender())
        raise
