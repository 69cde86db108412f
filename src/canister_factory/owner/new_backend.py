"""Tells a personal canister which backend it belongs with now: one that was restored from a backup has another id.

Owns what may be told, and that whom the owner let see the status goes along. Does not own: how a backend is restored
(`operating`), and what it may ask then (`canisters/personal`). Killed anywhere, the same call goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience, CanisterSettings
from canister_factory.owner.control import Controllers
from canister_factory.owner.errors import ControlError


@dataclass(frozen=True, slots=True)
class Telling:
    """What a canister would be told. `before`: the backend that it belongs with now; `is_successor`: the new one says
    that it had that id. `viewers`: who is to see the status, where a former id of the backend's is among them.
    """

    canister_id: Principal
    before: Principal
    backend: Principal
    is_successor: bool
    viewers: tuple[Principal, ...] | None

    @property
    def is_told(self) -> bool:
        """Whether nothing is left to do."""
        return self.before == self.backend and self.viewers is None


class NewBackend:
    """One backend that a canister of the caller's is told of: `look`, then `tell`."""

    def __init__(self, agent: Agent, backend_id: Principal) -> None:
        self._agent = agent
        self._retry = Retry(FactoryConfig())
        self._backend = BackendClient(agent, backend_id, repeat=self._retry)
        self._management = ManagementCanister(agent)

    def __repr__(self) -> str:
        return f"NewBackend({self._backend.canister_id} for {self._agent.principal})"

    async def look(self, canister_id: Principal | None) -> Telling:
        """What there is to tell; `None`: the canister that the backend made for the caller.

        Raises:
            ControlError: the backend doesn't know the canister as the caller's, or it isn't in its owner's hands.
            IcError: that can't be learnt.
        """
        caller, backend_id = self._agent.principal, self._backend.canister_id
        creation = await self._backend.get_detailed_creation_status()
        known = None if creation is None else creation.canister_id
        if known is None or canister_id not in (None, known):
            whose = "no canister" if known is None else f"{known}"
            what = "any canister" if canister_id is None else f"{canister_id}"
            raise ControlError(
                f"the backend {backend_id} doesn't know {what} as yours: it has {whose} of {caller}. Nothing was "
                "changed"
            )
        info = await self._personal(known).get_personal_info()
        if info.owner != caller:
            raise ControlError(f"{known} belongs to {info.owner}, and you are {caller}. Nothing was changed")
        if not info.is_open:
            raise ControlError(
                f"{known} isn't handed over to you yet: a worker installs it for the backend that finishes its "
                "creation. Nothing was changed"
            )
        former = set(await self._backend.get_backend_ids()) - {backend_id}
        viewers = await self._viewers(known, former | ({info.backend} - {backend_id}))
        return Telling(known, info.backend, backend_id, info.backend in former, viewers)

    async def tell(self, telling: Telling) -> None:
        """Does it, and reads it back.

        Raises:
            CapsuleRefused: the canister refuses; it is being upgraded, or closed for an undo.
            ControlError: it says something else afterwards.
            IcError: a call failed for good; the same call goes on.
        """
        personal = self._personal(telling.canister_id)
        if telling.before != telling.backend:
            await personal.change_backend(telling.backend)
        if telling.viewers is not None:
            settings = CanisterSettings(status_visibility=Audience(allowed_viewers=list(telling.viewers)))
            await self._retry("update_settings", self._management.update_settings, telling.canister_id, settings)
        found = (await personal.get_personal_info()).backend
        if found != telling.backend:
            raise ControlError(f"{telling.canister_id} says that it belongs with the backend {found} afterwards")

    def _personal(self, canister_id: Principal) -> PersonalClient:
        return PersonalClient(self._agent, canister_id, repeat=self._retry)

    async def _viewers(self, canister_id: Principal, former: set[Principal]) -> tuple[Principal, ...] | None:
        """Who sees the status, with the backend in the place of its former ids; `None` where none of these does, or
        where the caller doesn't control the canister.
        """
        if self._agent.principal not in await Controllers(self._agent, canister_id).present():
            return None
        status = await self._retry("canister_status", self._management.canister_status, canister_id)
        seen_by = status.settings.status_visibility
        viewers = None if seen_by is None else seen_by.allowed_viewers
        if viewers is None or not former.intersection(viewers):
            return None
        kept = [each for each in viewers if each not in former and each != self._backend.canister_id]
        return (*kept, self._backend.canister_id)
