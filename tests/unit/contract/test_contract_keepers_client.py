"""What the keepers of a backend call: roles, the log of what admins did, and what a backup must hold."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.admin_models import AuditEntry, AuditPage, BackendInventory, NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.keepers_client import KeepersClient
from support.backend_script import BACKEND, OWNER, BackendScript

EARLIER = Principal(bytes(8) + b"\x02\x01")
CALLS = {name for name, value in vars(KeepersClient).items() if inspect.isfunction(value)}


class Kept(BackendScript):
    """A backend that keeps roles and notes who was given one."""

    def __init__(self) -> None:
        self.admins: list[Principal] = []
        self.operators: list[Principal] = []
        self.log: list[AuditEntry] = []

    def _note(self, method: str, who: Principal) -> None:
        self.log.insert(0, AuditEntry(id=len(self.log), at=1, by=OWNER, method=method, what=str(who)))

    async def add_admin(self, who: Principal) -> None:
        self.admins.append(who)
        self._note("add_admin", who)

    async def remove_admin(self, who: Principal) -> None:
        self.admins.remove(who)
        self._note("remove_admin", who)

    async def list_admins(self) -> list[Principal]:
        return self.admins

    async def add_operator(self, who: Principal) -> None:
        self.operators.append(who)
        self._note("add_operator", who)

    async def remove_operator(self, who: Principal) -> None:
        self.operators.remove(who)
        self._note("remove_operator", who)

    async def list_operators(self) -> list[Principal]:
        return self.operators

    async def list_audit_log(self, page: NumberedPageRequest) -> AuditPage:
        older = [entry for entry in self.log if page.after is None or entry.id < page.after]
        items = older[: page.limit]
        return AuditPage(items=items, next=items[-1].id if len(items) < len(older) else None)

    async def get_backend_ids(self) -> list[Principal]:
        return [EARLIER, BACKEND]

    async def get_inventory(self) -> BackendInventory:
        return BackendInventory(capsules=3, memories=40, canisters=2, creations=5, open_creations=1, root=b"h" * 32)


@pytest.fixture
def client() -> BackendClient:
    return BackendClient(Kept(), BACKEND)


async def test_roles_are_given_and_taken_by_principal_or_its_text(client: BackendClient) -> None:
    await client.add_admin(OWNER)
    await client.add_operator(str(EARLIER))
    assert (await client.list_admins(), await client.list_operators()) == ([OWNER], [EARLIER])
    await client.remove_admin(str(OWNER))
    await client.remove_operator(EARLIER)
    assert (await client.list_admins(), await client.list_operators()) == ([], [])


async def test_the_log_is_read_in_pages_newest_first(client: BackendClient) -> None:
    for _ in range(2):
        await client.add_operator(OWNER)
        await client.remove_operator(OWNER)
    newest = await client.list_audit_log(NumberedPageRequest(limit=3))
    assert [(entry.id, entry.method) for entry in newest.items] == [
        *((3, "remove_operator"), (2, "add_operator"), (1, "remove_operator")),
    ]
    last = await client.list_audit_log(NumberedPageRequest(after=newest.next))
    assert ([entry.what for entry in last.items], last.next) == ([str(OWNER)], None)


async def test_a_backup_learns_the_ids_and_what_there_is(client: BackendClient) -> None:
    assert await client.get_backend_ids() == [EARLIER, BACKEND]
    inventory = await client.get_inventory()
    assert (inventory.memories, inventory.root) == (40, b"h" * 32)


async def test_a_refusal_for_want_of_the_role_keeps_its_kind() -> None:
    class Refusing:
        async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
            error = {"kind": Case("Unauthorized"), "message": "no admin", "retry_helps": False}
            nothing = dict.fromkeys(("stage", "canister_id", "needed", "available"))
            return encode(BackendClient.method(method).result_types, [Case("Err", error | nothing)])

        query = update

    with pytest.raises(CreationRefused, match="no admin") as refused:
        await BackendClient(Refusing(), BACKEND).add_admin(OWNER)
    assert (refused.value.kind, refused.value.method) == ("Unauthorized", "add_admin")


def test_what_changes_a_role_is_no_query_and_is_never_repeated_by_itself() -> None:
    changes = {name for name in CALLS if not BackendClient.method(name).is_query}
    assert changes == {"add_admin", "remove_admin", "add_operator", "remove_operator"}
    assert not any(BackendClient.method(name).is_repeatable for name in changes)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_part_by_itself_has_no_contract_with_these_calls(name: str) -> None:
    """A personal canister has none of them."""
    assert KeepersClient(Kept(), BACKEND).canister_id == BACKEND
    with pytest.raises(KeyError):
        KeepersClient.method(name)
