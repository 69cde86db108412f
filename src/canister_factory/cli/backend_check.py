"""Whether the canister given as a backend is one, by what the network certifies.

Owns the check, when it is made, and its words. Does not own: what a backend is by its interface (`factory.deployment`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canister_factory.candid.principal import Principal
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import BACKEND_VARIABLE
from canister_factory.cli.parameters import naming_the_variable
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import ContractMismatchError
from canister_factory.factory.deployment import is_backend
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    IcError,
    ProtocolError,
    TransportError,
)

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent

_ADVICE = "give the id of a backend ('canister-factory deploy' creates one)"
_PERSONAL_METHOD = b"get_personal_info"


class NotABackendError(CommandError):
    """The canister given as a backend is not one."""


async def why_no_backend(agent: Agent, canister_id: Principal) -> str | None:
    """What a canister is instead of a backend, certified; `None` for a backend of any version.

    It takes one request when it is a backend.

    Raises:
        IcError: what `Agent.canister_info` raises, but for a canister that does not exist.
    """
    url = agent.network.url
    if _is_nobodys(canister_id):
        return f"{canister_id} can't be the id of a backend"
    interface: bytes | None = None
    try:
        try:
            if await is_backend(agent, canister_id):
                return None
            interface = await agent.metadata(canister_id, "candid:service")
        except ProtocolError as refusal:
            if refusal.status != 403:  # 403: its interface is shown to its controllers only
                raise
        info = await agent.canister_info(canister_id)
    except (CanisterNotFoundError, CertificateScopeError):
        return f"there is no canister {canister_id} on {url}: it was deleted, or it is on another network"
    except ProtocolError as refusal:
        # The network doesn't say in a code of its own whether it is the id that it can't do anything with.
        refusal.add_note(f"Is {canister_id} the id of a canister on {url}? If not, {_ADVICE}")
        raise
    if info.module_hash is None:
        return f"{canister_id} is an empty canister, not a backend"
    if interface is not None and _PERSONAL_METHOD in interface:
        return f"{canister_id} is a personal canister, not a backend"
    return f"{canister_id} is not a backend, by its certified interface"


def _is_nobodys(canister_id: Principal) -> bool:
    """Whether it is one of the principals that no canister can have, and that can't even be asked."""
    return canister_id.is_anonymous or canister_id == Principal.management_canister()


async def require_backend(agent: Agent, canister_id: Principal) -> None:
    """For commands with effects, before the first effect.

    Raises:
        NotABackendError: the canister is no backend.
        IcError: the network fails.
    """
    with naming_the_variable("backend", BACKEND_VARIABLE):
        problem = await why_no_backend(agent, canister_id)
        if problem is not None:
            raise NotABackendError(f"{problem}; {_ADVICE}")


class CheckedBackend(BackendClient):
    """A client that makes sure of its canister: before the first update, and when a query failed.

    So what only looks stays quick, and what changes something never reaches another canister.
    """

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        super().__init__(agent, canister_id)
        self.ic = agent
        self._is_backend = False

    async def call(self, name: str, values: tuple[Any, ...]) -> Any:
        """As `Client.call`.

        Raises:
            NotABackendError: the canister is no backend.
            Exception: what `Client.call` raises.
        """
        if not self.method(name).is_query or _is_nobodys(self.canister_id):
            await self.make_sure()
        try:
            return await super().call(name, values)
        except (IcError, ContractMismatchError) as error:
            if not isinstance(error, TransportError):
                await self._explain(error)
            raise

    async def make_sure(self) -> None:
        """Checks the canister, unless that was done before.

        Raises:
            NotABackendError: the canister is no backend.
            IcError: the network fails.
        """
        if not self._is_backend:
            await require_backend(self.ic, self.canister_id)
            self._is_backend = True

    async def _explain(self, failure: Exception) -> None:
        """Looks whether a call failed because the canister is no backend; else the failure says what is wrong.

        Raises:
            NotABackendError: the canister is no backend.
        """
        try:
            await self.make_sure()
        except NotABackendError as reason:
            raise reason from failure
        except IcError:
            return
