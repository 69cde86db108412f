"""The present state of the canister that a creation has on record: its owner may have deleted it since.

Owns the certified look and its words. Does not own: the record (the backend), the checks of `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent


class Presence(StrEnum):
    """The state of a canister, as its subnet certifies it."""

    NONE = "none yet"
    """The creation has none."""
    INSTALLED = "installed"
    EMPTY = "empty"
    """It has no module: not yet, or not any more."""
    DELETED = "deleted"


SHOWN_CHARACTERS = 1_000
"""The most that a person is shown of `PresentCanister.message`: a quotation, and our words around it."""


@dataclass(frozen=True, slots=True)
class PresentCanister:
    """A creation, and the present state of its canister."""

    creation: DetailedCreationStatus
    presence: Presence
    controllers: tuple[Principal, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the creation, or its owner, can continue with the canister."""
        gone = self.presence == Presence.DELETED
        if self.creation.status == CreationStatus.Undone:
            return True  # another creation takes another canister
        return not gone and not (self.presence == Presence.EMPTY and self._completed)

    @property
    def message(self) -> str:
        """The state of the creation: what the backend has on record, where that is still true."""
        creation = self.creation
        recorded = creation.error.message if creation.error else creation.progress_message
        if creation.status == CreationStatus.Undone:
            return recorded
        if self.presence == Presence.DELETED and not self._completed:
            return (
                f"the canister {creation.canister_id} of this creation was deleted, so the creation can't continue. "
                f"'run {creation.owner}' makes it fail, if it has not failed yet. Then 'cleanup {creation.owner}' lets "
                f"its owner ask again. On record: {quoted(recorded)}"
            )
        if not self._completed or self.presence == Presence.NONE:
            return recorded
        clear = (
            "Its owner's 'owner undo' lets the capsule on the backend take writes again, and 'request' asks for another"
        )
        if self.presence == Presence.DELETED:
            return (
                f"the personal canister {creation.canister_id} was completed, and then deleted by its owner or by "
                f"another controller. {clear}"
            )
        if self.presence == Presence.EMPTY:
            return (
                f"the personal canister {creation.canister_id} was completed, but has no module any more: a controller "
                f"removed it, or it ran out of cycles. {clear}"
            )
        if set(self.controllers) == {creation.owner}:
            return recorded
        names = ", ".join(sorted(map(str, self.controllers))) or "nobody"
        return f"the personal canister was completed; its controllers are now {names} (certified)"

    @property
    def _completed(self) -> bool:
        return self.creation.status == CreationStatus.Completed


async def look_at(agent: Agent, creation: DetailedCreationStatus) -> PresentCanister:
    """Reads what the network certifies of a creation's canister.

    Raises:
        IcError: the state can't be read.
    """
    if creation.canister_id is None:
        return PresentCanister(creation, Presence.NONE)
    try:
        info = await agent.canister_info(creation.canister_id)
    except CanisterNotFoundError:
        return PresentCanister(creation, Presence.DELETED)
    presence = Presence.EMPTY if info.module_hash is None else Presence.INSTALLED
    return PresentCanister(creation, presence, info.controllers)
