"""Commands of an owner about their own canister: how it's found, and who may ask.

Owns their options. Does not own: what is asked of the canister.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from canister_factory.cli.capsule_place import canister_or_backend
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import F, run_with_agent

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.import_models import PersonalInfo
    from canister_factory.contract.personal_client import PersonalClient
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """The canister that the options name. Nothing was asked of it: it may be frozen, stopped or deleted."""

    agent: Agent
    canister_id: Principal
    by_backend: Principal | None
    """The backend that named it, if one did."""

    @property
    def caller(self) -> Principal:
        """Who asks."""
        return self.agent.principal


@dataclass(frozen=True, slots=True)
class Own:
    """The caller's canister. `client` repeats what fails in passing."""

    agent: Agent
    client: PersonalClient
    info: PersonalInfo

    @property
    def canister_id(self) -> Principal:
        """Its id."""
        return self.client.canister_id


C = TypeVar("C", covariant=True)


class Ask(Protocol[C]):
    """Runs calls about the caller's canister, and returns what they return."""

    def __call__(self, work: Callable[[C], Awaitable[T]]) -> T:
        """Runs `work` to its end.

        Raises:
            Exception: what the calls raise.
        """


def own_canister_command(command: F) -> F:
    """`--canister` and the common options: passed to the command as `ask: Ask[Own]`. The canister has been asked whose
    it is.
    """
    return _command(command, _own)


def found_canister_command(command: F) -> F:
    """The same, as `ask: Ask[Found]`: for what concerns also a canister that can't answer, or isn't the caller's."""
    return _command(command, find)


def _command(command: F, found: Callable[[Agent, Principal | None, Principal | None], Awaitable[Any]]) -> F:
    @canister_or_backend("your canister", "Your personal canister.  [default: the one that the backend made for you]")
    @wraps(command)
    def with_canister(
        *args: Any,
        canister: Principal | None,
        backend: Principal | None,
        network: Network,
        identity: Identity,
        **rest: Any,
    ) -> Any:
        def ask(work: Callable[[Any], Awaitable[T]]) -> T:
            async def at_the_canister(agent: Agent) -> T:
                return await work(await found(agent, canister, backend))

            return run_with_agent(identity, network, at_the_canister)

        return command(*args, ask=ask, **rest)

    return cast(F, with_canister)


async def find(agent: Agent, canister: Principal | None, backend: Principal | None) -> Found:
    """The canister of the options.

    Raises:
        CommandError: the backend has made none for the caller.
    """
    from canister_factory.cli.backend_check import CheckedBackend

    if canister is not None:
        return Found(agent, canister, None)
    assert backend is not None
    canister = await CheckedBackend(agent, backend).get_my_personal_canister_id()
    if canister is None:
        raise CommandError(
            f"you have no personal canister on {backend}: 'status' says how far it is, 'request' asks for one. One of "
            "an undone creation, or that another key of yours gave you, is found by --canister"
        )
    return Found(agent, canister, backend)


async def _own(agent: Agent, canister: Principal | None, backend: Principal | None) -> Own:
    """The caller's canister.

    Raises:
        CommandError: there is none, or it's somebody else's.
    """
    from canister_factory.contract.clients import PersonalClient
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.retry import Retry
    from canister_factory.ic.errors import OUT_OF_CYCLES, RejectedError

    found = await find(agent, canister, backend)
    client = PersonalClient(agent, found.canister_id, repeat=Retry(FactoryConfig()))
    try:
        info = await client.get_personal_info()
    except RejectedError as error:
        if error.error_code == OUT_OF_CYCLES:
            error.add_note("It is frozen: 'owner top-up' gives it cycles, 'owner status' says how many it has")
        raise
    if info.owner != found.caller:
        raise CommandError(f"{found.canister_id} belongs to {info.owner}, and you are {found.caller}")
    return Own(agent, client, info)
