"""Somebody who controls a personal canister before it is its owner's, and does to it what no creation does.

Owns what they can do to it, and what their victim must still have afterwards. Does not own when they do it.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    CreationStatus,
    DetailedCreationStatus,
    LeaseRef,
    OwnerPageRequest,
)
from canister_factory.contract.import_models import PersonalInit
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_snapshot_types import (
    Place,
    Slice,
    SnapshotPiece,
    SnapshotPlace,
    UploadSnapshotMetadata,
)
from canister_factory.ic.management_types import CanisterSettings
from support.creation_contents import read_back
from support.creation_world import World, inline, note

PIECE = 2_000_000
"""Bytes of a snapshot that go into a message."""


def doctored() -> bytes:
    """A build that no admin approved: what it does otherwise is up to whoever made it."""
    section = b"\x04evil\x00"
    plain = gzip.decompress(personal_wasm().wasm)
    return gzip.compress(plain + b"\x00" + bytes([len(section)]) + section, mtime=0)


@dataclass(frozen=True)
class Hostile:
    """A controller of `canister`, the operator or the owner, with bad intentions."""

    world: World
    agent: Agent
    canister: Principal

    @property
    def management(self) -> ManagementCanister:
        return ManagementCanister(self.agent)

    async def deploy(self, module: bytes, mode: str) -> None:
        """Any module in any mode, initialized as the right one is."""
        init = PersonalInit(owner=self.world.owner_id, backend=self.world.backend_id)
        argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
        await self.management.install(self.canister, module, argument, mode=mode)  # type: ignore[arg-type]

    async def set_controllers(self, *controllers: Principal) -> None:
        await self.management.update_settings(self.canister, CanisterSettings(controllers=list(controllers)))

    async def hand_over(self) -> None:
        """To the owner alone, as an honest operator does."""
        await self.set_controllers(self.world.owner_id)

    async def doctor_memory(self, old: bytes, new: bytes) -> int:
        """Puts `new` in the place of `old` in stable memory, by a snapshot: how often it was there."""
        management, canister, found = self.management, self.canister, 0
        await management.stop_canister(canister)
        taken = await management.take_canister_snapshot(canister)
        facts = await management.read_canister_snapshot_metadata(canister, taken.id)
        metadata = facts.model_dump(exclude={"source", "taken_at_timestamp", "canister_version", "wasm_chunk_store"})
        copy = await management.upload_canister_snapshot_metadata(
            UploadSnapshotMetadata(canister_id=canister, **metadata)
        )
        for part in ("wasm_module", "wasm_memory", "stable_memory"):
            whole = metadata[f"{part}_size"]
            for offset in range(0, whole, PIECE):
                read = SnapshotPiece.of(part, Slice(offset=offset, size=min(PIECE, whole - offset)))
                piece = await management.read_canister_snapshot_data(canister, taken.id, read)
                if part == "stable_memory":
                    found += piece.count(old)
                    piece = piece.replace(old, new)
                place = SnapshotPlace.of(part, Place(offset=offset))
                await management.upload_canister_snapshot_data(canister, copy, place, piece)
        await management.uninstall_code(canister)
        await management.load_canister_snapshot(canister, copy)
        for snapshot in await management.list_canister_snapshots(canister):
            await management.delete_canister_snapshot(canister, snapshot.id)
        await management.start_canister(canister)
        return found

    async def lease(self) -> LeaseRef:
        """Of the owner's creation, for the operator."""
        claim = ClaimRequest(owner=self.world.owner_id, worker="canister-factory")
        return LeaseRef(owner=self.world.owner_id, lease=(await self.world.as_operator.claim_creation(claim)).lease)


async def check_victim(world: World, lost: Principal, contents: Mapping[str, bytes]) -> DetailedCreationStatus:
    """The owner has everything where it was and may go on; the canister is on record as lost, and the books agree."""
    creation = await world.creation()
    assert (creation.status, creation.canister_id) == (CreationStatus.Failed, None)
    assert creation.lost_canisters[-1:] == [lost]
    assert creation.error is not None
    assert (creation.error.kind, creation.error.canister_id) == (CreationErrorKind.HistoryFailed, lost)
    assert creation.locked_until is None
    assert not creation.verified
    assert await world.as_owner.get_my_personal_canister_id() is None
    entry = await world.as_admin.get_registry_entry(lost)
    assert entry is not None
    assert entry.status == CreationStatus.Failed
    assert await read_back(world.as_owner) == contents
    await check_books(world)
    return creation


async def check_retry(world: World, lost: Principal, contents: Mapping[str, bytes]) -> None:
    """What the owner writes now is kept, too, and a retry brings all of it to another canister."""
    held = dict(contents)
    held[await world.as_owner.add_memory_to_capsule(inline(b"afterwards"), note("afterwards"))] = b"afterwards"
    outcome = await world.create()
    assert outcome.creation.status == CreationStatus.Completed
    canister = outcome.creation.canister_id
    assert canister is not None
    assert canister != lost
    assert outcome.creation.lost_canisters == [lost]
    assert set((await world.owner.canister_info(canister)).controllers) == {world.owner_id}
    assert await read_back(world.personal(canister)) == held
    await check_books(world)


async def check_books(world: World) -> None:
    """Reserve, log, registry and creations say the same of what was spent, and nothing is held that nobody needs."""
    reserve = await world.as_admin.get_reserve_status()
    entries = (await world.as_admin.list_consumption(NumberedPageRequest())).items
    registry = (await world.as_admin.list_registry(OwnerPageRequest())).items
    creations = (await world.as_admin.list_all_creation_states(OwnerPageRequest())).items
    spent = {entry.canister_id: entry.attached - entry.refunded for entry in entries if entry.canister_id is not None}
    assert spent == {entry.canister_id: entry.cycles_consumed for entry in registry}
    assert reserve.total_consumed == sum(spent.values()) == sum(creation.cycles_consumed for creation in creations)
    assert reserve.in_flight == 0
