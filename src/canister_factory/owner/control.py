"""Who controls a canister, as the network certifies it, and changes of it that are read back.

Owns these changes. Does not own: what is said before one (`cli`), and who owns the capsule (`handing_on`).
"""

from __future__ import annotations

from collections.abc import Collection

from canister_factory.candid.principal import Principal
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.personal_canister import names
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, CertificateScopeError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.errors import ControlError

MOST_CONTROLLERS = 10
"""Source: interface specification, "update_settings"."""


class Controllers:
    """The controllers of one canister, changed by one of them."""

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._retry = Retry(FactoryConfig())

    def __repr__(self) -> str:
        return f"Controllers({self._canister_id})"

    async def present(self) -> tuple[Principal, ...]:
        """Who they are, certified at this moment.

        Raises:
            ControlError: there is no such canister.
            IcError: that can't be learnt.
        """
        try:
            info = await self._retry("canister_info", self._agent.canister_info, self._canister_id)
        except (CanisterNotFoundError, CertificateScopeError) as error:
            raise ControlError(
                f"there is no canister {self._canister_id} on {self._agent.network.url}: it was deleted, or is on "
                "another network"
            ) from error
        return info.controllers

    async def own(self) -> tuple[Principal, ...]:
        """The same, for the caller to change.

        Raises:
            ControlError: the caller is none of them, or there is no such canister.
        """
        present = await self.present()
        if self._agent.principal not in present:
            raise ControlError(
                f"you, {self._agent.principal}, don't control {self._canister_id}; its controllers are "
                f"{names(present)}. Nothing was changed"
            )
        return present

    async def after(self, *, add: Collection[Principal] = (), remove: Collection[Principal] = ()) -> list[Principal]:
        """Who would be controllers after such a change.

        Raises:
            ControlError: the caller is none of them now, or there would be too many.
        """
        present = await self.own()
        wanted = [one for one in present if one not in remove]
        wanted += [one for one in add if one not in wanted]
        if len(wanted) > MOST_CONTROLLERS:
            raise ControlError(
                f"{self._canister_id} would have {len(wanted)} controllers, and the network takes {MOST_CONTROLLERS} "
                "at most; remove one first. Nothing was changed"
            )
        return wanted

    async def change(
        self, *, add: Collection[Principal] = (), remove: Collection[Principal] = ()
    ) -> tuple[Principal, ...]:
        """Makes the change, and returns who the network certifies as controllers then. Again it changes nothing.

        Raises:
            ControlError: it was refused before it was sent, or isn't what is certified afterwards.
            RejectedError: the network refused it.
        """
        wanted = await self.after(add=add, remove=remove)
        if set(wanted) == set(await self.present()):
            return tuple(wanted)
        settings = CanisterSettings(controllers=wanted)
        try:
            await self._retry(
                "update_settings", ManagementCanister(self._agent).update_settings, self._canister_id, settings
            )
        except RejectedError:
            # An earlier attempt that went through may have left the caller without the right to repeat it.
            if set(await self.present()) != set(wanted):
                raise
        certified = await self.present()
        if set(certified) != set(wanted):
            raise ControlError(
                f"the controllers of {self._canister_id} are {names(certified)} (certified), not {names(wanted)}: "
                "somebody else changed them at the same time"
            )
        return certified
