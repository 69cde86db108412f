"""What an owner calls on the backend about a capsule that has moved: taking it back, and having it erased there.

Owns these declarations. Does not own: what the endpoints mean (`canisters/backend/backend.did`).
"""

# mypy: disable-error-code="empty-body"
# The bodies are the docstrings: `endpoint` makes each declaration the call of the endpoint of that name.

from __future__ import annotations

from canister_factory.candid.binding import Nat64
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.creation_models import CertifiedReceipt, DetailedCreationStatus
from canister_factory.contract.endpoint import endpoint, repeatable


class OldSideClient(CapsuleClient):
    """The backend, as the owner of a completed creation calls it. Methods raise `CreationRefused`."""

    @repeatable
    @endpoint
    async def undo_personal_canister(self, moved_back: bytes | None = None) -> DetailedCreationStatus:
        """Makes the caller's capsule on the backend writable again; `moved_back`: the manifest hash of what was."""

    @repeatable
    @endpoint
    async def begin_move_back(self) -> Nat64:
        """Lets the owner's writes in beside the personal canister, for a day; until when."""

    @repeatable
    @endpoint
    async def request_erasure(self, wait_ns: Nat64 | None = None) -> DetailedCreationStatus:
        """Has what the creation left on the backend erased after a period; default 7 days."""

    @endpoint
    async def cancel_erasure(self) -> DetailedCreationStatus:
        """Takes the wish back, before the erasing has begun."""

    @endpoint
    async def get_erasure_receipt(self) -> CertifiedReceipt:
        """What was erased, certified."""
