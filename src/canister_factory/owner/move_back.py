"""Brings what was written on a personal canister back to the backend, by the owner's ordinary API, and has the creation
undone.

Owns the order of the writes, and when it's over: when both sides were read and nothing is left to write, and the
backend finds the personal canister as it was read. Does not own: what has to be written (`difference_back`). Killed
anywhere, the same call goes on, since it finds what is there already.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field

from canister_factory.contract.backend_client import BackendClient
from canister_factory.contract.capsule_models import GalleryData, GalleryUpdate
from canister_factory.contract.creation_models import CreationErrorKind, DetailedCreationStatus
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.memory_models import (
    BlobKind,
    BlobRef,
    MemoryData,
    MemoryInfoUpdate,
    MemoryRecord,
    MemoryUpdate,
    NewMemory,
    UploadRequest,
)
from canister_factory.contract.person_models import ConnectionGroupUpdate, ConnectionStatus, NewConnectionGroup
from canister_factory.contract.personal_client import PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import SourceMovedError
from canister_factory.factory.manifest import Entry, ItemKey
from canister_factory.factory.source import Source
from canister_factory.factory.window import Window
from canister_factory.ic.agent import Agent
from canister_factory.owner.backup import PersonalCapsule
from canister_factory.owner.capsule_side import CertifiedSide, Side, name_of, read_backend, read_personal
from canister_factory.owner.difference_back import Difference, access_there, difference_back
from canister_factory.owner.errors import MoveBackError

_PASSES = 5
_INLINE_CHUNK = 2_000_000
"""The chunk size of bytes that came in one message; other sizes come from uploads."""


@dataclass(slots=True)
class MovedBack:
    """What was written, by what was done; bytes; what couldn't be; and the creation, undone."""

    creation: DetailedCreationStatus
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    left: list[str] = field(default_factory=list)


async def undo(
    backend: BackendClient, personal: PersonalClient, moved_back: bytes | None = None
) -> DetailedCreationStatus:
    """Has the creation undone, when the personal canister holds what the backend does, or `moved_back`.

    The canister is closed only when nothing else is in the way; the backend is asked for that before.

    Raises:
        CreationRefused: the backend doesn't undo it.
        CapsuleRefused: the canister refuses the caller.
        IcError: a call failed for good, or its outcome isn't known.
    """
    try:
        return await backend.undo_personal_canister(moved_back)
    except CreationRefused as refused:
        if refused.error.kind != CreationErrorKind.TooEarly:
            raise
    await personal.close_for_undo()
    return await backend.undo_personal_canister(moved_back)


class MoveBack:
    """One move back: `look` as often as wanted, then `run` once.

    Args:
        agent: calls as the owner.
        backend, personal: the two sides, as the owner; they repeat what may be repeated.
        capsule_id: of the capsule that both have.
        on_bytes: told how many bytes of contents more were sent.
    """

    def __init__(
        self,
        agent: Agent,
        backend: BackendClient,
        personal: PersonalClient,
        capsule_id: str,
        config: FactoryConfig,
        *,
        on_bytes: Callable[[int], None] = lambda _more: None,
    ) -> None:
        self._agent = agent
        self._backend = backend
        self._personal = personal
        self._capsule_id = capsule_id
        self._config = config
        self._on_bytes = on_bytes
        self._source = Source(PersonalCapsule(personal), config)
        self._bytes = 0

    def __repr__(self) -> str:
        return f"MoveBack({self._personal.canister_id} to {self._backend.canister_id})"

    async def look(self) -> tuple[CertifiedSide, Side, Difference]:
        """Both sides as they are, and what would be written.

        Raises:
            MoveBackError: the personal canister was written each time while it was read.
            ExportError, VerifyError, CertificateError: the personal canister isn't what the network certifies.
            CapsuleRefused: the caller isn't the owner, or the capsule on the backend is erased.
        """
        for _ in range(_PASSES):
            try:
                held = await read_personal(self._personal, self._agent.certificates, self._config, self._agent.clock)
            except SourceMovedError:
                continue
            there = await read_backend(self._backend, self._capsule_id, self._config)
            return held, there, difference_back(held.side, there, self._agent.clock())
        raise MoveBackError(
            f"{self._personal.canister_id} was written while it was read, {_PASSES} times; move back when nobody writes"
        )

    async def run(self) -> MovedBack:
        """Writes the difference, and has the creation undone.

        Raises:
            MoveBackError: there was always something more to write.
            CapsuleRefused, CreationRefused: the backend refused; what is written stays, and the same call goes on.
            IcError: a call failed for good, or its outcome isn't known; the same call goes on.
        """
        counts: dict[str, int] = {}
        for number in range(_PASSES):
            held, there, found = await self.look()
            if found and number == 0 and (creation := await self._undone()) is not None:
                return MovedBack(creation, left=found.left)
            await self._backend.begin_move_back()
            if not found:
                try:
                    creation = await undo(self._backend, self._personal, held.manifest_hash)
                except CreationRefused as refused:
                    if refused.error.kind == CreationErrorKind.Written:  # after it was read
                        continue
                    raise
                return MovedBack(creation, counts, self._bytes, found.left)
            counts = {name: counts.get(name, 0) + count for name, count in found.counts.items()}
            await self._write(held, there, found)
        raise MoveBackError(
            f"after {_PASSES} passes {self._backend.canister_id} still differs from {self._personal.canister_id}; what "
            "was written stays, and the same command goes on"
        )

    async def _undone(self) -> DetailedCreationStatus | None:
        """Refuses where something else is in the way of undoing than what is to be written: that would be written, and
        the capsule opened on the backend, for nothing. The creation, where an earlier call has come to the end.

        Raises:
            CreationRefused: something else is.
        """
        try:
            return await self._backend.undo_personal_canister()
        except CreationRefused as refused:
            if refused.error.kind not in (CreationErrorKind.Written, CreationErrorKind.TooEarly):
                raise
            return None

    async def _write(self, held: CertifiedSide, there: Side, found: Difference) -> None:
        """First what shuts somebody out, last what opens something."""
        await self._shut(there, found)
        await self._write_groups(held.side, found)
        await self._write_memories(held, there, found)
        await self._write_galleries(held.side, found)
        if found.bind:
            await self._backend.mark_bound()
        for person in found.name:
            await self._backend.add_executor(self._capsule_id, person)
        for event in found.record:
            await self._backend.record_capsule_event(self._capsule_id, event)

    async def _shut(self, there: Side, found: Difference) -> None:
        for event in found.revoke:
            await self._backend.revoke_capsule_event(self._capsule_id, event)
        for kind, wait in found.waits.items():
            await self._backend.set_event_wait(self._capsule_id, kind, wait)
        for person in found.unname:
            await self._backend.remove_executor(self._capsule_id, person)
        for connection in found.connect:
            if name_of(connection.peer) not in there.connections:
                await self._backend.add_connection(connection.peer)
                if connection.status == ConnectionStatus.Pending:
                    continue
            await self._backend.update_connection_status(connection.peer, connection.status)
        for peer in found.disconnect:
            await self._backend.remove_connection(peer)

    async def _write_groups(self, side: Side, found: Difference) -> None:
        items = found.groups
        for id in items.change:
            group = side.groups[id]
            change = ConnectionGroupUpdate(name=group.name, description=group.description, members=group.members)
            await self._backend.update_connection_group(id, change)
        for id in items.delete:
            await self._backend.delete_connection_group(id)
        for id in items.add:
            group = side.groups[id]
            new = NewConnectionGroup(name=group.name, description=group.description, members=group.members)
            items.ids[id] = await self._backend.create_connection_group(new)

    async def _write_memories(self, held: CertifiedSide, there: Side, found: Difference) -> None:
        items, groups = found.memories, found.groups.ids
        for id in items.delete:
            await self._backend.delete_memory_from_capsule(id)
        contents = {id: held.entries[ItemKey.memory(id)] for id in (*items.change, *items.add)}
        for id in items.change:
            await self._change(held.side.memories[id], there.memories[id].blob_ref, contents[id], groups)
        for id in items.add:
            items.ids[id] = await self._add(held.side.memories[id], contents[id], groups)

    async def _change(self, memory: MemoryRecord, there: BlobRef, entry: Entry, groups: dict[str, str]) -> None:
        """`there`: where the backend has its bytes."""
        blob = memory.blob_ref
        data = None
        if (blob.kind, blob.hash) != (there.kind, there.hash) or (
            blob.kind == BlobKind.MemoryBlobKindExternal and blob.locator != there.locator
        ):
            if entry.total_chunks > 1 or (entry.total_chunks == 1 and entry.chunk_size != _INLINE_CHUNK):
                await self._backend.delete_memory_from_capsule(
                    memory.id
                )  # the ordinary API changes bytes in one message only
                await self._add(memory, entry, groups)
                return
            data = await self._inline(memory, entry)
        info = memory.info
        await self._backend.update_memory_in_capsule(
            memory.id,
            MemoryUpdate(
                info=MemoryInfoUpdate(
                    name=info.name, content_type=info.content_type, date_of_memory=info.date_of_memory
                ),
                metadata=memory.metadata,
                access=access_there(memory.access, groups),
                data=data,
            ),
        )

    async def _add(self, memory: MemoryRecord, entry: Entry, groups: dict[str, str]) -> str:
        info = memory.info
        new = NewMemory(
            capsule_id=self._capsule_id,
            memory_type=info.memory_type,
            name=info.name,
            content_type=info.content_type,
            date_of_memory=info.date_of_memory,
            metadata=memory.metadata,
            access=access_there(memory.access, groups),
        )
        if entry.total_chunks == 0 or (entry.total_chunks == 1 and entry.chunk_size == _INLINE_CHUNK):
            return await self._backend.add_memory_to_capsule(await self._inline(memory, entry), new)
        return await self._upload(new, entry)

    async def _inline(self, memory: MemoryRecord, entry: Entry) -> MemoryData:
        """The bytes in one message; of a memory whose bytes are elsewhere the reference."""
        blob = memory.blob_ref
        if entry.content_checksum is None:
            return MemoryData(blob_ref=BlobRef(kind=blob.kind, locator=blob.locator, hash=blob.hash))
        data = io.BytesIO()
        async for manifest in self._source.memory_manifests([entry]):
            for index, sha256 in enumerate(manifest.chunk_checksums):
                data.write(await self._source.chunk(manifest.memory_id, index, sha256))
        self._sent(entry.size)
        return MemoryData(blob_ref=BlobRef(kind=blob.kind, locator=""), data=data.getvalue())

    async def _upload(self, new: NewMemory, entry: Entry) -> str:
        """In chunks as they are there, so that the contents' checksum is the same."""
        request = UploadRequest(memory=new, total_size=entry.size, chunk_size=entry.chunk_size)
        upload = await self._backend.begin_memory_upload(request)
        window = Window(self._config.start_window, self._config.max_window)
        async for manifest in self._source.memory_manifests([entry]):
            checksums = manifest.chunk_checksums

            async def send(index: int, checksums: list[bytes] = checksums) -> None:
                data = await self._source.chunk(entry.key.id, index, checksums[index])
                await self._backend.put_memory_upload_chunk(upload.upload_id, index, data, checksums[index])
                self._sent(len(data))

            await window.run(range(entry.total_chunks), send)
        return await self._backend.commit_memory_upload(upload.upload_id)

    def _sent(self, size: int) -> None:
        self._bytes += size
        self._on_bytes(size)

    async def _write_galleries(self, side: Side, found: Difference) -> None:
        items, memories = found.galleries, found.memories.ids
        for id in items.delete:
            await self._backend.delete_gallery(id)
        for id in (*items.change, *items.add):
            gallery = side.galleries[id]
            entries = [
                entry.model_copy(update={"memory_id": memories[entry.memory_id]})
                for entry in gallery.memory_entries
                if entry.memory_id in memories
            ]
            if id in items.ids:
                update = GalleryUpdate(
                    title=gallery.title,
                    description=gallery.description,
                    is_public=gallery.is_public,
                    memory_entries=entries,
                )
                await self._backend.update_gallery(id, update)
                continue
            await self._backend.store_gallery_forever(
                GalleryData(
                    title=gallery.title,
                    description=gallery.description,
                    is_public=gallery.is_public,
                    memory_entries=entries,
                )
            )
