"""Gives a personal canister to another key of its owner's: first the new key can do everything, then the old one goes.

Owns the order. Does not own: the controllers (`control`), and the rules of the canister (`canisters/personal`).
Whatever is cut in between, at least one key controls the canister and owns the capsule; the same call goes on.
"""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.owner.control import Controllers
from canister_factory.owner.errors import ControlError


class HandingOn:
    """One canister that goes to another key, as one of the two sees it."""

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._client = PersonalClient(agent, canister_id, repeat=Retry(FactoryConfig()))
        self._controllers = Controllers(agent, canister_id)

    def __repr__(self) -> str:
        return f"HandingOn({self._canister_id} as {self._agent.principal})"

    async def check(self, new: Principal) -> bool:
        """Whether `new` has accepted already; refuses what can't be offered.

        Raises:
            ControlError: the caller doesn't own or doesn't control the canister, or it isn't in its owner's hands yet.
            IcError: that can't be learnt.
        """
        caller = self._agent.principal
        await self._controllers.own()
        info = await self._client.get_personal_info()
        if new == caller == info.owner:
            raise ControlError(f"{new} is you: the canister is yours already. Nothing was changed")
        if info.owner == new:
            return True
        if info.owner != caller:
            raise ControlError(
                f"{self._canister_id} belongs to {info.owner}, and you are {caller}. Nothing was changed"
            )
        if not info.is_open:
            raise ControlError(f"{self._canister_id} isn't handed over to you yet: its creation isn't finished")
        await self._controllers.after(add=[new])
        return False

    async def offer(self, new: Principal) -> tuple[Principal, ...]:
        """Makes `new` a controller, then offers it the capsule. Returns the controllers, certified.

        Raises:
            ControlError: as `check`.
            CapsuleRefused: the canister refused the offer.
        """
        accepted = await self.check(new)
        controllers = await self._controllers.change(add=[new])
        if not accepted:
            await self._client.offer_ownership(new)
        return controllers

    async def accept(self) -> None:
        """As the new key: takes what was offered, by which it proves that it can sign.

        Raises:
            ControlError: nothing is offered to it; or it doesn't control the canister, and wouldn't have all of it.
        """
        await self._controllers.own()
        try:
            await self._client.accept_ownership()
        except RejectedError as error:
            if not error.is_unaccepted:
                raise
            raise ControlError(
                f"{self._canister_id} isn't offered to you, {self._agent.principal}: 'owner move-to' does. Nothing "
                "was changed"
            ) from error
        owner = (await self._client.get_personal_info()).owner
        if owner != self._agent.principal:
            raise ControlError(
                f"{self._canister_id} says that it belongs to {owner} after {self._agent.principal} accepted"
            )

    async def dismiss(self, former: Principal) -> tuple[Principal, ...]:
        """As the new key, which owns the canister: takes the capsule, then the control from the former one.

        Raises:
            ControlError: the caller isn't the owner, or doesn't control the canister.
        """
        await self._controllers.own()
        owner = (await self._client.get_personal_info()).owner
        if owner != self._agent.principal:
            raise ControlError(f"{self._canister_id} belongs to {owner}, not to you; nothing was taken from {former}")
        await self._client.remove_owner(former)
        return await self._controllers.change(remove=[former])
