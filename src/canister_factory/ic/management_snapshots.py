"""The management canister's methods about snapshots of canisters.

Owns these methods. Does not own going through a snapshot piece by piece: a caller knows where its pieces are to go.

Source: interface specification, "IC method take_canister_snapshot" and those that follow it.
"""

from __future__ import annotations

from canister_factory.candid.principal import PrincipalLike, as_principal
from canister_factory.ic.management_calls import ManagementCalls, answer
from canister_factory.ic.management_snapshot_types import (
    CanisterSnapshot,
    NamedSnapshot,
    ReadSnapshotData,
    SnapshotData,
    SnapshotMetadata,
    SnapshotPiece,
    SnapshotPlace,
    TakeSnapshot,
    UploadedSnapshot,
    UploadSnapshotData,
    UploadSnapshotMetadata,
)


class SnapshotMethods(ManagementCalls):
    """The methods; ids of snapshots are opaque bytes. All raise what `Agent.update` raises."""

    async def take_canister_snapshot(
        self, canister_id: PrincipalLike, *, replace_snapshot: bytes | None = None, uninstall_code: bool = False
    ) -> CanisterSnapshot:
        """Keeps a canister's code and memory; stop it before, so that no answers are awaited.

        `replace_snapshot` is deleted once the new one is there: a canister has ten at most. With `uninstall_code` the
        canister is empty afterwards.
        """
        canister = as_principal(canister_id)
        argument = TakeSnapshot(
            canister_id=canister, replace_snapshot=replace_snapshot, uninstall_code=uninstall_code or None
        )
        return await answer(self._call("take_canister_snapshot", canister, argument), CanisterSnapshot)

    async def load_canister_snapshot(self, canister_id: PrincipalLike, snapshot_id: bytes) -> None:
        """Makes a canister what a snapshot holds, of this or of another canister that the caller controls."""
        canister = as_principal(canister_id)
        argument = NamedSnapshot(canister_id=canister, snapshot_id=snapshot_id)
        await self._call("load_canister_snapshot", canister, argument)

    async def list_canister_snapshots(self, canister_id: PrincipalLike) -> list[CanisterSnapshot]:
        """A canister's snapshots."""
        return await answer(self._call_about("list_canister_snapshots", canister_id), list[CanisterSnapshot])

    async def delete_canister_snapshot(self, canister_id: PrincipalLike, snapshot_id: bytes) -> None:
        """Deletes a snapshot of this canister."""
        canister = as_principal(canister_id)
        argument = NamedSnapshot(canister_id=canister, snapshot_id=snapshot_id)
        await self._call("delete_canister_snapshot", canister, argument)

    async def read_canister_snapshot_metadata(self, canister_id: PrincipalLike, snapshot_id: bytes) -> SnapshotMetadata:
        """What a snapshot is made of; its pieces are read by `read_canister_snapshot_data`."""
        canister = as_principal(canister_id)
        argument = NamedSnapshot(canister_id=canister, snapshot_id=snapshot_id)
        return await answer(self._call("read_canister_snapshot_metadata", canister, argument), SnapshotMetadata)

    async def read_canister_snapshot_data(
        self, canister_id: PrincipalLike, snapshot_id: bytes, kind: SnapshotPiece
    ) -> bytes:
        """A piece of a snapshot."""
        canister = as_principal(canister_id)
        argument = ReadSnapshotData(canister_id=canister, snapshot_id=snapshot_id, kind=kind)
        return (await answer(self._call("read_canister_snapshot_data", canister, argument), SnapshotData)).chunk

    async def upload_canister_snapshot_metadata(self, metadata: UploadSnapshotMetadata) -> bytes:
        """Creates a snapshot of zeroes, whose pieces `upload_canister_snapshot_data` writes; its id."""
        call = self._call("upload_canister_snapshot_metadata", metadata.canister_id, metadata)
        return (await answer(call, UploadedSnapshot)).snapshot_id

    async def upload_canister_snapshot_data(
        self, canister_id: PrincipalLike, snapshot_id: bytes, kind: SnapshotPlace, chunk: bytes
    ) -> None:
        """Writes a piece into an uploaded snapshot; pieces may come in any order, and again."""
        canister = as_principal(canister_id)
        argument = UploadSnapshotData(canister_id=canister, snapshot_id=snapshot_id, kind=kind, chunk=chunk)
        await self._call("upload_canister_snapshot_data", canister, argument)
