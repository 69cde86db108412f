"""Commands about one capsule, wherever it is: on a backend, or on its owner's personal canister after the move.

Owns their options, and how the canister and the capsule are found. Does not own: what is asked of them (`contract`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

from canister_factory.cli import output
from canister_factory.cli.errors import CommandError, InputError
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import (
    BACKEND_VARIABLE,
    F,
    backend_option,
    network_options,
    output_options,
    run_with_agent,
    with_options,
)
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.capsule_client import CapsuleClient
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A capsule where it is, as the caller asks for it."""

    client: CapsuleClient
    capsule_id: str

    @property
    def options(self) -> str:
        """The options by which somebody else finds the capsule."""
        return f"--canister {self.client.canister_id} --capsule {self.capsule_id}"


class AskCapsule(Protocol):
    """Runs calls about the command's capsule, and returns what they return."""

    def __call__(self, work: Callable[[Place], Awaitable[T]]) -> T:
        """Runs `work` to its end.

        Raises:
            Exception: what the calls raise.
        """


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the options say of the place."""

    canister: Principal | None
    backend: Principal | None
    owner: Principal
    capsule_id: str | None
    caller: Principal


def canister_or_backend(what: str, explained: str, *more: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`--canister`, which `explained` says, or `--backend`, by which `what` is found; and the common options. Passed to
    the command as `canister`, `backend`, `network` and `identity`. `more`: options of the command's own.
    """

    def decorated(command: Any) -> Any:
        @wraps(command)
        def with_either(*args: Any, canister: Principal | None, backend: Principal | None, **rest: Any) -> Any:
            if canister is None and backend is None:
                raise InputError(f"give --canister, or --backend (or set {BACKEND_VARIABLE}): one of them finds {what}")
            return command(*args, canister=canister, backend=backend, **rest)

        with_either.role = Role.OWNER  # type: ignore[attr-defined]  # executors have no role of a backend, either
        return with_options(
            with_either,
            click.option("--canister", type=PRINCIPAL, help=explained),
            *more,
            partial(backend_option, required=False),
            network_options,
            signing_identity_option,
            output_options,
        )

    return decorated


def capsule_command(command: F) -> F:
    """`--canister`, `--owner`, `--capsule` and the common options: passed to the command as `ask: AskCapsule`."""

    @canister_or_backend(
        "the capsule",
        "Canister that has the capsule.  [default: the owner's personal canister, or the backend]",
        click.option("--owner", type=PRINCIPAL, help="Owner of the capsule.  [default: you]"),
        click.option("--capsule", "capsule_id", metavar="ID", help="Id of the capsule.  [default: the owner's own]"),
    )
    @wraps(command)
    def with_capsule(
        *args: Any,
        canister: Principal | None,
        owner: Principal | None,
        capsule_id: str | None,
        backend: Principal | None,
        network: Network,
        identity: Identity,
        **rest: Any,
    ) -> Any:
        caller = identity.sender()
        wanted = _Wanted(canister, backend, owner or caller, capsule_id, caller)

        def ask(work: Callable[[Place], Awaitable[T]]) -> T:
            async def at_the_place(agent: Agent) -> T:
                return await work(await _find(agent, wanted))

            return run_with_agent(identity, network, at_the_place)

        return command(*args, ask=ask, **rest)

    return cast(F, with_capsule)


async def _find(agent: Agent, wanted: _Wanted) -> Place:
    """The capsule where it is now.

    Raises:
        CommandError: it isn't known which capsule is meant.
    """
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.contract.clients import PersonalClient

    client: CapsuleClient
    canister = wanted.canister
    if canister is None:
        assert wanted.backend is not None
        client = CheckedBackend(agent, wanted.backend)
        canister = await client.get_personal_canister_id(wanted.owner)
    if canister is not None:
        client = PersonalClient(agent, canister)
    capsule_id = wanted.capsule_id or await _own_capsule(client, wanted)
    return Place(client, capsule_id)


async def _own_capsule(client: CapsuleClient, wanted: _Wanted) -> str:
    """The owner's capsule about themselves, as the caller can find it."""
    from canister_factory.contract.clients import PersonalClient
    from canister_factory.contract.person_models import PersonRef

    for header in await client.list_my_capsules():
        if header.subject == PersonRef(Principal=wanted.owner):
            return header.id
    if isinstance(client, PersonalClient) and wanted.owner != wanted.caller:
        info = await client.get_personal_info()
        if info.owner == wanted.owner and info.capsule_id is not None:
            return info.capsule_id
    whose = "you have" if wanted.owner == wanted.caller else f"{output.ident(wanted.owner)} has"
    raise CommandError(
        f"{whose} no capsule on {client.canister_id} that you can find: executors give --owner, or the --capsule "
        "that the owner told them"
    )
