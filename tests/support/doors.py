"""The doors of both canisters as `docs/security.md` has them, and a world over HTTP in which each caller knocks.

Owns the page's table as data, who passes which door, and the canisters and people that this is tried with.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.event_models import Executor
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.manifest_models import CapsuleRecord, ExportItem
from canister_factory.contract.memory_models import UploadRequest
from canister_factory.contract.person_models import (
    Connection,
    ConnectionStatus,
    ControllerEntry,
    ControllerState,
    OwnerEntry,
    OwnerState,
    PersonRef,
)
from canister_factory.factory.deployment import deploy_backend
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.testing import EmbeddedReplica
from support.creation_world import note

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
DIST = ROOT / "canisters" / "dist"
SMALL = 8_000
"""Bytes that callers without a standing may send at most."""

PEOPLE = ("anonymous", "stranger", "friend", "executor", "owner", "helper", "operator", "admin")
"""The helper may write a capsule: on the backend one of their own, on a personal canister as the capsule's controller.
The friend is registered with the backend, and a connection of the owner's capsule on the personal canisters. The owner
has named the executor, there and on the backend."""

CANISTERS = ("backend", "importing", "moved")
"""Two personal canisters: one in the middle of an import, one that belongs to its owner."""

_SIGNED_IN = frozenset(PEOPLE) - {"anonymous"}
BACKEND_DOORS = {
    "controller": {"admin"},
    "admin": {"admin"},
    "operator": {"operator"},
    "staff": {"admin", "operator"},
    "signed in": _SIGNED_IN,
    "writer": {"owner", "helper"},
    f"signed in, above {SMALL:,} bytes writer": _SIGNED_IN,
    f"uploader, up to {SMALL:,} bytes writer": {"owner", "helper"},
    "nobody": set[str](),
    "known": {"friend", "owner", "helper", "operator", "admin"},
}
"""Who passes the doors of the backend, with small arguments."""

IMPORTING_DOORS = {
    "controller": {"operator", "owner"},
    "importer": {"operator"},
    "writer": {"owner", "helper"},
    f"uploader, up to {SMALL:,} bytes writer": {"owner", "helper"},
    "writer or executor": {"owner", "helper", "executor"},
    "owner": {"owner"},
    "owner or heir": {"owner"},
    "circle": {"owner", "helper", "friend", "operator"},
    "circle or executor": {"owner", "helper", "friend", "operator", "executor"},
}
MOVED_DOORS = {
    "controller": {"owner"},
    "importer": set[str](),
    "writer": {"owner", "helper"},
    f"uploader, up to {SMALL:,} bytes writer": {"owner", "helper"},
    "writer or executor": {"owner", "helper", "executor"},
    "owner": {"owner"},
    "owner or heir": {"owner"},
    "circle": {"owner", "helper", "friend"},
    "circle or executor": {"owner", "helper", "friend", "executor"},
}


_DOORS: dict[str, Mapping[str, AbstractSet[str]]] = {
    "backend": BACKEND_DOORS,
    "importing": IMPORTING_DOORS,
    "moved": MOVED_DOORS,
}
_ABOVE_SMALL = {
    ("backend", f"signed in, above {SMALL:,} bytes writer"): {"owner", "helper"},
    ("backend", f"uploader, up to {SMALL:,} bytes writer"): {"owner"},
    ("importing", f"uploader, up to {SMALL:,} bytes writer"): set[str](),
    ("moved", f"uploader, up to {SMALL:,} bytes writer"): {"owner"},
}
"""Who passes with larger ones, where that is somebody else."""


@dataclass(frozen=True)
class Door:
    """A row of the page: a method, the bytes that it takes, also of canisters, and its door on either of ours."""

    method: str
    limit: int
    from_canisters: int
    backend: str
    personal: str

    def passed_by(self, canister: str, size: int) -> frozenset[str]:
        """Who passes with so many bytes."""
        if size > self.limit:
            return frozenset()
        door = self.backend if canister == "backend" else self.personal
        if size > SMALL and (canister, door) in _ABOVE_SMALL:
            return frozenset(_ABOVE_SMALL[canister, door])
        return frozenset(_DOORS[canister][door])


@cache
def doors() -> tuple[Door, ...]:
    """The rows of the page's table."""
    pattern = r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| ([^|]*?) ?\| ([^|]*?) ?\|$"
    return tuple(
        Door(method, int(most.replace(",", "")), int(from_canisters.replace(",", "")), backend, personal)
        for method, most, from_canisters, backend, personal in re.findall(pattern, PAGE.read_text(), re.MULTILINE)
    )


@dataclass(frozen=True)
class ArgumentLimit:
    """What a build takes of a method's arguments: bytes, bytes from whoever calls, and values of these."""

    most: int
    anyones: int
    values: int


@cache
def built_limits(canister: str) -> Mapping[str, ArgumentLimit]:
    """By method; the build writes them down beside the module."""
    lines = (DIST / f"{'backend' if canister == 'backend' else 'personal'}.limits").read_text().splitlines()
    return {method: ArgumentLimit(*map(int, limits)) for method, *limits in map(str.split, lines)}


def knocks() -> list[tuple[str, Door]]:
    """Each method on each canister that has it."""
    return [
        (canister, door)
        for canister in CANISTERS
        for door in doors()
        if (door.backend if canister == "backend" else door.personal)
    ]


@dataclass
class Cost:
    """Cycles, and those of them that execution took; known when the block has ended."""

    cycles: int = -1
    execution: int = -1


@dataclass
class DoorsWorld:
    """The canisters, and everybody's agent."""

    canisters: dict[str, Principal]
    agents: dict[str, Agent]

    def controller(self, canister: str) -> Agent:
        return self.agents["admin" if canister == "backend" else "owner"]

    @asynccontextmanager
    async def costs(self, canister: str) -> AsyncIterator[Cost]:
        """What the canister pays for meanwhile, but for storage, which costs as time goes by. Asking is free."""
        cost = Cost()
        before, balance_before = await self._consumed(canister)
        yield cost
        after, balance_after = await self._consumed(canister)
        spent = {kind: after[kind] - before[kind] for kind in after}
        assert sum(spent.values()) == balance_before - balance_after, "the balance tells the same"
        del spent["memory"]
        cost.cycles, cost.execution = sum(spent.values()), spent["instructions"]

    async def _consumed(self, canister: str) -> tuple[dict[str, int], int]:
        """What the canister has paid for since it was made, by kind, and its balance."""
        management, canister_id = ManagementCanister(self.controller(canister)), self.canisters[canister]
        while True:
            first = await management.canister_metrics(canister_id, certified=False)
            status = await management.canister_status(canister_id, certified=False)
            if await management.canister_metrics(canister_id, certified=False) == first:
                return first.cycles_consumed.model_dump(), status.cycles

    async def is_let_in(self, person: str, canister: str, method: str, size: int) -> bool:
        """Whether an update with so many bytes is executed. They aren't Candid, so that it does nothing."""
        with pytest.raises(RejectedError) as rejected:
            await self.agents[person].update(self.canisters[canister], method, bytes(size))
        assert rejected.value.certified != rejected.value.is_unaccepted, str(rejected.value)
        return rejected.value.certified


async def doors_world(replica: EmbeddedReplica) -> DoorsWorld:
    """A backend with its people, and two personal canisters."""
    identities = {name: Identity.generate() for name in PEOPLE if name != "anonymous"}
    agents = {name: replica.agent(identity) for name, identity in identities.items()}
    agents["anonymous"] = Agent(Identity.anonymous(), replica.network, transport=agents["owner"].transport)
    ids = {name: identity.sender() for name, identity in identities.items()}
    backend = (await deploy_backend(agents["admin"], [ids["operator"]])).canister_id
    await BackendClient(agents["friend"], backend).register()
    await BackendClient(agents["helper"], backend).create_capsule(PersonRef(Opaque="their grandmother"))
    owner = BackendClient(agents["owner"], backend)
    capsule = await owner.register_capsule()
    await owner.add_executor(capsule.capsule_id, ids["executor"])
    await owner.begin_memory_upload(UPLOAD)
    world = DoorsWorld({"backend": backend}, agents)
    for name in ("importing", "moved"):
        world.canisters[name] = await _personal_canister(agents, ids, backend)
    await _hand_over(agents, ids, world.canisters["moved"])
    replica.advance(FIRST_LOOKS_SECONDS)
    return world


FIRST_LOOKS_SECONDS = 120
"""A minute after its installation a backend looks at the dates of all canisters: no part of what a knock costs."""

UPLOAD = UploadRequest(memory=note("letter"), total_size=1_000, chunk_size=500)


async def _personal_canister(agents: dict[str, Agent], ids: dict[str, Principal], backend: Principal) -> Principal:
    """In the middle of an import: the capsule's record and a connection are there."""
    settings = CanisterSettings(controllers=[ids["operator"], ids["owner"]])
    management = ManagementCanister(agents["operator"])
    canister = await management.provisional_create_canister_with_cycles(10**13, settings)
    init = encode(
        personal_interface().init_args, [to_candid(PersonalInit, PersonalInit(owner=ids["owner"], backend=backend))]
    )
    await management.install(canister, personal_wasm().wasm, init)
    person = {name: PersonRef(Principal=principal) for name, principal in ids.items()}
    capsule = CapsuleRecord(
        id="cap-1",
        subject=person["owner"],
        owners=[OwnerEntry(key=person["owner"], value=OwnerState(since=0, last_activity_at=0))],
        controllers=[
            ControllerEntry(key=person["helper"], value=ControllerState(granted_at=0, granted_by=person["owner"]))
        ],
        events=[],
        executors=[Executor(person=ids["executor"], named_at=0, named_by=ids["owner"])],
        event_waits=[],
        created_at=0,
        updated_at=0,
        bound_to_web2=False,
    )
    friend = Connection(peer=person["friend"], status=ConnectionStatus.Accepted, created_at=0, updated_at=0)
    importing = PersonalClient(agents["operator"], canister)
    session = await importing.begin_import()
    await importing.put_items(session.id, [ExportItem(Capsule=capsule), ExportItem(Connection=friend)])
    return canister


async def _hand_over(agents: dict[str, Agent], ids: dict[str, Principal], canister: Principal) -> None:
    """The import is final, the canister the owner's alone, and an upload of theirs is in progress."""
    importing = PersonalClient(agents["operator"], canister)
    session = await importing.begin_import()
    await importing.finalize_import(session.id)
    settings = CanisterSettings(controllers=[ids["owner"]])
    await ManagementCanister(agents["operator"]).update_settings(canister, settings)
    await PersonalClient(agents["owner"], canister).begin_memory_upload(UPLOAD)
