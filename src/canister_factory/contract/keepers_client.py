"""The backend's methods for those who keep it: roles, what admins did, what there is to be backed up.

Owns these declarations. Does not own: what the endpoints mean (`canisters/backend/backend.did`).
"""

# mypy: disable-error-code="empty-body"
# The bodies are the docstrings: `endpoint` makes each declaration the call of the endpoint of that name.

from __future__ import annotations

from canister_factory.candid.principal import Principal, PrincipalLike
from canister_factory.contract.admin_models import AuditPage, BackendInventory, NumberedPageRequest
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.endpoint import endpoint


class KeepersClient(CapsuleClient):
    """The part of the backend's interface that its keepers use; `BackendClient` is the whole."""

    # Roles

    @endpoint
    async def add_admin(self, who: PrincipalLike) -> None:
        """Makes `who` an admin. For admins."""

    @endpoint
    async def remove_admin(self, who: PrincipalLike) -> None:
        """Takes the admin role from `who`. For admins."""

    @endpoint
    async def list_admins(self) -> list[Principal]:
        """All admins. For admins."""

    @endpoint
    async def add_operator(self, who: PrincipalLike) -> None:
        """Makes `who` an operator: one that runs creations. For admins."""

    @endpoint
    async def remove_operator(self, who: PrincipalLike) -> None:
        """Takes the operator role from `who`. For admins."""

    @endpoint
    async def list_operators(self) -> list[Principal]:
        """All operators. For admins and operators."""

    @endpoint
    async def list_audit_log(self, page: NumberedPageRequest) -> AuditPage:
        """What admins changed, newest first."""

    # Backups of the backend

    @endpoint
    async def get_backend_ids(self) -> list[Principal]:
        """The ids that this backend has had, the present one last."""

    @endpoint
    async def get_inventory(self) -> BackendInventory:
        """What it holds, in few numbers and one hash. For admins and operators."""
