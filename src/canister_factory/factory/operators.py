"""Passing creations from one operator to another: the canister's controllers first, then the backend's record.

Owns this order, and when either is done already. Does not own: who may take a creation (the backend), and the owner's
request, which names another operator after a key was lost.
"""

from __future__ import annotations

from contextlib import suppress

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    LeaseRef,
    OpenRequest,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import CreateError, HandoffError
from canister_factory.factory.listing import open_requests
from canister_factory.factory.personal_canister import PersonalCanister, names
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, IcError

WORKER = "hand-on"
"""The name that creations are claimed under while they are handed on, so that no worker of the operator is at them."""


async def set_operator(personal: PersonalCanister, operator: Principal) -> bool:
    """Puts `operator` in the place of another one beside the owner, as whoever controls the canister.

    Returns whether there was anything to change. A canister that the owner alone controls was handed over: that stays.
    So does one that was deleted.

    Raises:
        CreateError: others control the canister; it was left as it is.
        IcError: the network failed, or refused the change.
    """
    owner = personal.owner
    try:
        controllers = set((await personal.info()).controllers)
    except CanisterNotFoundError:
        return False
    if controllers in ({operator, owner}, {owner}):
        return False
    if owner not in controllers or len(controllers) > 2:
        raise CreateError(
            f"{personal.canister_id} is controlled by {names(controllers)}, not by an operator and the owner {owner}; "
            "it was left as it is",
            canister_id=personal.canister_id,
        )
    await personal.set_controllers(operator)
    return True


class HandOn:
    """The creations of the agent's operator, to be handed on to `successor`. Killed anywhere, it is begun again."""

    def __init__(self, agent: Agent, backend_id: Principal, successor: Principal, retry: Retry) -> None:
        self._agent = agent
        self._operator = Principal(agent.identity.sender().bytes)
        self._successor = successor
        self._retry = retry
        self._backend = BackendClient(agent, backend_id, repeat=retry)

    def __repr__(self) -> str:
        return f"HandOn(from {self._operator} to {self._successor})"

    async def creations(self) -> list[OpenRequest]:
        """The open creations that belong to the agent's operator.

        Raises:
            CreateError: the successor is no operator, or is the same one. Nothing was changed.
            CreationRefused: the agent's identity is no operator.
            IcError: the backend could not be asked.
        """

        if self._successor == self._operator:
            raise CreateError(f"{self._successor} is the operator that hands on; nothing was changed")
        # First of all: a canister that somebody else has controlled can't become its owner's any more.
        if self._successor not in await self._backend.list_operators():
            raise CreateError(
                f"{self._successor} is no operator of {self._backend.canister_id}; nothing was changed. An admin adds "
                f"it with 'admin operators add {self._successor}'"
            )
        return [each async for each in open_requests(self._backend) if each.operator == self._operator]

    async def hand_on(self, owner: Principal) -> None:
        """Hands one creation on.

        Raises:
            CreationRefused: a worker is at it (kind Busy), or it isn't in progress any more.
            HandoffError: it is just being handed over to its owner; wait for the outcome.
            CreateError: others than this operator and the owner control the canister.
            IcError: the network failed; begin again.
        """
        claimed = await self._backend.claim_creation(ClaimRequest(owner=owner, worker=WORKER))
        lease, creation = LeaseRef(owner=owner, lease=claimed.lease), claimed.creation
        try:
            if creation.locked_until is not None:  # not by this lease, so by a handoff that may be under way
                raise HandoffError(
                    "the canister may be on its way to the owner at this moment; in some minutes that is settled",
                    retry_helps=True,
                )
            if creation.canister_id is not None:
                personal = PersonalCanister(self._agent, creation.canister_id, owner, self._retry)
                await set_operator(personal, self._successor)
            await self._record(lease)
        except Exception:
            with suppress(CreationRefused, IcError):
                await self._backend.release_lease(lease)
            raise

    async def _record(self, lease: LeaseRef) -> None:
        try:
            await self._backend.hand_on_creation(lease, self._successor)
        except CreationRefused as refusal:
            # An earlier attempt whose answer was lost has ended the lease.
            if refusal.error.kind != CreationErrorKind.Busy:
                raise
            creation = await self._backend.get_user_creation_status(lease.owner)
            if creation is None or creation.operator != self._successor:
                raise
