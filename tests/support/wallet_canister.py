"""A canister that owns a capsule: it passes on whatever call it is asked for, as wallets do.

Owns the canister and an agent that calls through it. Not what it calls.
"""

from __future__ import annotations

from typing import Any

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal, PrincipalLike
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.manifest_models import CapsuleRecord, ExportItem
from canister_factory.contract.person_models import OwnerEntry, OwnerState, PersonRef
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.replica_puppet import call_argument, puppet


class Wallet:
    """An agent whose calls a canister makes, so that they are the canister's own; queries travel as updates."""

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        self.agent = agent
        self.canister_id = canister_id

    @classmethod
    async def make(cls, agent: Agent) -> Wallet:
        """A new one; `agent` pays and tells it what to call."""
        management = ManagementCanister(agent)
        canister_id = await management.provisional_create_canister_with_cycles(10**14)
        await management.install(canister_id, puppet(), b"")
        return cls(agent, canister_id)

    async def update(self, canister_id: PrincipalLike, method: str, arg: bytes, **where: Any) -> bytes:
        """Has the canister make the call; returns the reply, or raises the reject as the canister's own."""
        callee = Principal.from_text(canister_id) if isinstance(canister_id, str) else Principal(canister_id.bytes)
        return await self.agent.update(self.canister_id, "forward", call_argument(callee.bytes, method, arg))

    async def query(self, canister_id: PrincipalLike, method: str, arg: bytes, **where: Any) -> bytes:
        """The same: canisters reach only queries of their own subnet, and only from composite ones."""
        return await self.update(canister_id, method, arg)


async def personal_canister_of(owner: Principal, operator: Agent) -> Principal:
    """A personal canister that `operator` has made for the owner, with an empty capsule; the import is final."""
    management = ManagementCanister(operator)
    canister_id = await management.provisional_create_canister_with_cycles(10**13)
    init = PersonalInit(owner=owner, backend=operator.principal)
    await management.install(
        canister_id, personal_wasm().wasm, encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    )
    person = PersonRef(Principal=owner)
    capsule = CapsuleRecord(
        id="cap-1",
        subject=person,
        owners=[OwnerEntry(key=person, value=OwnerState(since=0, last_activity_at=0))],
        controllers=[],
        events=[],
        executors=[],
        event_waits=[],
        created_at=0,
        updated_at=0,
        bound_to_web2=False,
    )
    importing = PersonalClient(operator, canister_id)
    session = await importing.begin_import()
    await importing.put_items(session.id, [ExportItem(Capsule=capsule)])
    await importing.finalize_import(session.id)
    await management.update_settings(canister_id, CanisterSettings(controllers=[owner]))
    return canister_id
