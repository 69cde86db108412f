"""Upgrades of a canister that is in use, by the time and on the ways of a fault world; and modules that no release is.

Owns how an upgrade is run and what must hold at its end. Does not own the disturbances (`broken_way`).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule, personal_wasm
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.manifest import SCHEME
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import BackendHealth, PersonalHealth
from canister_factory.factory.upgrade_record import UNTIL
from canister_factory.factory.upgrading import Upgraded, Upgrading
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import RunState
from support.backend_world import another_build
from support.broken_way import Chosen, nothing
from support.creation_contents import read_back
from support.creation_world import inline, note
from support.fault_world import ONE_MESSAGE, FaultWorld, Life, Person
from support.mainnet import Conditions


def module_of(name: str, wasm: bytes) -> WasmModule:
    """A module with its hash."""
    return WasmModule(name, wasm, hashlib.sha256(wasm).digest())


def good(name: str = "personal") -> WasmModule:
    """Another build of the same sources."""
    return module_of(name, another_build(name))


def misreading() -> WasmModule:
    """The personal canister's module that takes what it finds for something else: its manifest has another scheme, and
    the canister another root.
    """
    plain = gzip.decompress(another_build("personal"))
    scheme = SCHEME.encode()
    assert plain.count(scheme) >= 1
    return module_of("personal", gzip.compress(plain.replace(scheme, scheme[:-1] + b"9"), mtime=0))


def trapping(name: str = "personal") -> WasmModule:
    """The module that traps when it starts after an upgrade: `canister_post_upgrade` is `canister_inspect_message`."""
    plain = gzip.decompress(another_build(name))
    (at, size, _), (_, same, number) = _index(plain, "canister_post_upgrade"), _index(plain, "canister_inspect_message")
    assert size == same, "both numbers take as many bytes"
    return module_of(name, gzip.compress(plain[:at] + number + plain[at + size :], mtime=0))


def _index(wasm: bytes, export: str) -> tuple[int, int, bytes]:
    """Where the number of an exported function stands, its bytes, and what it is."""
    label = bytes([len(export)]) + export.encode() + b"\0"
    assert wasm.count(label) == 1
    at = wasm.index(label) + len(label)
    size = 1
    while wasm[at + size - 1] & 0x80:
        size += 1
    return at, size, wasm[at : at + size]


def without_a_method(method: bytes, name: str = "personal") -> WasmModule:
    """The module whose interface calls a method by another name, of the same length."""
    plain = gzip.decompress(another_build(name))
    declared = b"  " + method + b" : "
    assert plain.count(declared) == 1
    return module_of(name, gzip.compress(plain.replace(declared, b"  " + b"x" * len(method) + b" : "), mtime=0))


@dataclass(frozen=True)
class Owned:
    """A personal canister that is in use."""

    world: FaultWorld
    person: Person
    canister_id: Principal
    contents: Mapping[str, bytes]

    @property
    def management(self) -> ManagementCanister:
        return self.person.management

    def upgrading(self, module: WasmModule, agent: Agent | None = None, **options: Any) -> Upgrading:
        """The owner's upgrade."""
        agent = agent or self.person.agent
        retry = Retry(FactoryConfig())
        return Upgrading(
            agent, module, PersonalHealth(agent, self.canister_id, FactoryConfig(), retry), retry=retry, **options
        )

    async def life(self, module: WasmModule, chosen: Chosen = nothing, **options: Any) -> Life:
        """One process runs the upgrade, until it ends or is killed."""
        way = self.world.broken_way(chosen, Conditions())
        agent = self.world.agent(self.person.agent.identity, way)  # type: ignore[arg-type]
        return await self.world.until_death(way, self.upgrading(module, agent, **options).run())

    async def go_on(self, module: WasmModule, **options: Any) -> Upgraded | UpgradeError:
        """Runs the same again, until it has ended one way or the other."""
        for _ in range(4):
            try:
                return await self.upgrading(module, **options).run()
            except UpgradeError as error:
                if not error.retry_helps:
                    return error
            except IcError:
                continue
        raise AssertionError("the upgrade doesn't come to an end")

    async def faults(self, *modules: bytes) -> list[str]:
        """What isn't as it must be when an upgrade has ended with one of these modules."""
        wrong: list[str] = []
        status = await self.management.canister_status(self.canister_id)
        if status.module_hash not in modules:
            wrong.append(f"it runs {status.module_hash and status.module_hash.hex()}")
        if status.status != RunState.running:
            return [*wrong, f"it is {status.status}"]
        # The message that begins a killed run's turn may come late: it has a time in it, and whoever finds that waits.
        if left := [each for each in status.settings.environment_variables or () if each.name != UNTIL]:
            wrong.append(f"it has the variables {left}")
        if snapshots := await self.management.list_canister_snapshots(self.canister_id):
            wrong.append(f"it has {len(snapshots)} snapshots")
        personal = self.person.personal(self.canister_id)
        if await read_back(personal) != self.contents:
            wrong.append("it has other contents")
        await asyncio.sleep(2)
        added = await personal.add_memory_to_capsule(inline(b"later"), note("later"))
        if (await read_back(personal)).get(added) != b"later":
            wrong.append("what was added isn't there")
        return wrong


def backend_upgrading(world: FaultWorld, module: WasmModule, agent: Agent | None = None) -> Upgrading:
    """The admin's upgrade of the backend."""
    agent, retry = agent or world.admin, Retry(FactoryConfig())
    return Upgrading(agent, module, BackendHealth(agent, world.backend_id, retry), retry=retry)


async def owned(world: FaultWorld) -> Owned:
    """Somebody's canister, which a creation made."""
    person = await world.person(ONE_MESSAGE)
    await world.life(person)
    creation = await person.creation()
    assert creation.status == CreationStatus.Completed
    assert creation.canister_id is not None
    return Owned(world, person, creation.canister_id, await read_back(person.personal(creation.canister_id)))


OLD = personal_wasm().module_hash
