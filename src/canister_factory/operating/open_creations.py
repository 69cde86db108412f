"""What becomes of the creations that were open when a backup was made, on the backend that was restored from it.

Owns the judgement, by what the network says of each canister now. Does not own: going on with them (workers).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import OpenRequest
from canister_factory.contract.errors import ContractError
from canister_factory.factory.listing import open_requests
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError


class Fate(StrEnum):
    """What becomes of a creation."""

    BEGINS = "Begins"
    """It had no canister: it gets one."""
    GOES_ON = "GoesOn"
    """Its canister is as the operator left it."""
    COPIED_AGAIN = "CopiedAgain"
    """Its canister was installed for the former backend, and is installed anew."""
    OWNERS = "Owners"
    """It was handed over; its canister answers the former backend alone, until its owner tells it of this one."""
    GONE = "Gone"
    """Its canister was deleted."""
    JUDGED = "Judged"
    """Somebody else controls its canister: a run has the backend judge that."""


MEANING = {
    Fate.BEGINS: "begins: it gets a canister. One that it got after the backup isn't known here; its operator and "
    "owner control it",
    Fate.GOES_ON: "goes on where it was",
    Fate.COPIED_AGAIN: "goes on: its canister is installed anew for this backend, and all is copied again",
    Fate.OWNERS: "waits for its owner, who has the canister: it answers the former backend alone, until its "
    "owner tells it of this one ('owner backend'). It is completed then, if it got what is here; else 'admin clear' "
    "forgets it here",
    Fate.GONE: "ends: its canister was deleted. After 'cleanup' its owner can ask for another one",
    Fate.JUDGED: "is judged by its canister's history when a worker comes to it",
}


@dataclass(frozen=True, slots=True)
class OpenCreation:
    """A creation that was open, and what becomes of it."""

    request: OpenRequest
    fate: Fate


async def fates(agent: Agent, backend: BackendClient) -> AsyncIterator[OpenCreation]:
    """The open creations of a backend that was restored, the oldest first.

    Raises:
        CreationRefused: the caller has no role.
        IcError: the network failed.
    """
    async for request in open_requests(backend):
        yield OpenCreation(request, await _fate(agent, backend.canister_id, request))


async def _fate(agent: Agent, backend_id: Principal, request: OpenRequest) -> Fate:
    if request.canister_id is None:
        return Fate.BEGINS
    try:
        info = await agent.canister_info(request.canister_id)
    except CanisterNotFoundError:
        return Fate.GONE
    controllers = set(info.controllers)
    if controllers not in ({request.owner}, {request.owner, request.operator}):
        return Fate.JUDGED
    if info.module_hash is None:
        return Fate.GOES_ON
    try:
        about = await PersonalClient(agent, request.canister_id).get_personal_info()
    except (RejectedError, ContractError):
        return Fate.JUDGED
    if about.backend == backend_id:
        return Fate.GOES_ON
    return Fate.COPIED_AGAIN if request.operator in controllers and request.operator != request.owner else Fate.OWNERS
