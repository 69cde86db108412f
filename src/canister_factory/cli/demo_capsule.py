"""A capsule made of files, and the comparison of a personal canister with these files, byte for byte.

Owns what the demo's owner has, and whether they have it back. Does not own: the creation in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.cli.errors import CommandError
from canister_factory.cli.local_files import LocalFile
from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.memory_models import MemorySummary
from canister_factory.contract.person_models import ConnectionStatus, NewConnectionGroup, PersonRef
from canister_factory.contract.upload import upload_memory
from canister_factory.factory.window import Window
from canister_factory.owner.memories import memories

_FILES_AT_ONCE = 6
_CHUNKS_AT_ONCE = 3
_GALLERY_ENTRIES = 100

T = TypeVar("T")
Advance = Callable[[int], None]


async def fill(client: CapsuleClient, files: Sequence[LocalFile], friend: Principal, advance: Advance) -> list[str]:
    """Registers the caller and gives them a capsule: a memory for each file, a gallery, two connections and a group.

    Returns the memories' ids in the order of the files. `advance` is called with the number of bytes stored.

    Raises:
        CommandError: the canister refuses a file; the message names it.
    """
    await client.register()
    await client.register_capsule()
    ids: list[str] = [""] * len(files)

    async def store(index: int) -> None:
        file = files[index]
        try:
            ids[index] = await upload_memory(client, file.path, file.memory, window=_CHUNKS_AT_ONCE, on_bytes=advance)
        except CapsuleRefused as refusal:
            raise CommandError(f"{file.name} ({file.size:,} bytes) can't be stored: {refusal}") from refusal

    await Window(_FILES_AT_ONCE, _FILES_AT_ONCE).run(range(len(files)), store)
    known, opaque = PersonRef(Principal=friend), PersonRef(Opaque="a friend without an account")
    for person in (known, opaque):
        await client.add_connection(person)
    await client.update_connection_status(known, ConnectionStatus.Accepted)
    await client.create_connection_group(
        NewConnectionGroup(name="Family", description="Who may see everything", members=[known, opaque])
    )
    entries = [
        GalleryMemoryEntry(
            memory_id=memory_id,
            position=position,
            gallery_caption=files[position].name,
            is_featured=position == 0,
            gallery_metadata="{}",
        )
        for position, memory_id in enumerate(ids[:_GALLERY_ENTRIES])
    ]
    await client.store_gallery_forever(
        GalleryData(title="Everything", description="Made by the demo", is_public=False, memory_entries=entries)
    )
    return ids


async def compare(
    source: CapsuleClient, target: CapsuleClient, files: Sequence[LocalFile], ids: Sequence[str], advance: Advance
) -> None:
    """Reads everything back from `target` as its owner.

    Bytes are compared with the files; galleries, connections and groups with those on `source`.

    Raises:
        CommandError: at the first difference.
    """
    held = {summary.memory.id: summary async for summary in memories(target)}
    if set(held) != set(ids):
        raise CommandError(f"the personal canister has {len(held)} memories, {len(ids)} were stored")
    await Window(_FILES_AT_ONCE, _FILES_AT_ONCE).run(
        zip(files, ids, strict=True),
        lambda pair: _compare_file(target, pair[0], held[pair[1]], advance),
    )
    for kind, copied, original in (
        ("galleries", await target.get_my_galleries(), await source.get_my_galleries()),
        ("connections", await target.list_connections(), await source.list_connections()),
        ("connection groups", await target.list_connection_groups(), await source.list_connection_groups()),
    ):
        if copied != original or not copied:
            raise CommandError(f"the {kind} of the personal canister differ from those of the backend")


async def _compare_file(client: CapsuleClient, file: LocalFile, memory: MemorySummary, advance: Advance) -> None:
    info = memory.memory.info
    stored = (memory.size, info.name, info.content_type, info.memory_type, info.date_of_memory)
    wanted = file.memory
    if stored != (file.size, wanted.name, wanted.content_type, wanted.memory_type, wanted.date_of_memory):
        raise CommandError(f"{file.name} came back as {stored}")
    with file.path.open("rb") as original:

        async def one(index: int) -> None:
            data = await client.read_memory_chunk(memory.memory.id, index)
            original.seek(index * memory.chunk_size)
            if original.read(memory.chunk_size) != data:
                raise CommandError(f"chunk {index} of {file.name} came back with other bytes than the file has")
            advance(len(data))

        await Window(_CHUNKS_AT_ONCE, _CHUNKS_AT_ONCE).run(range(memory.total_chunks), one)
