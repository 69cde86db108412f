"""What a test's capsule holds, and how it is read back."""

from __future__ import annotations

import hashlib
import io

from canister_factory.candid.principal import Principal
from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.memory_models import PageRequest
from canister_factory.contract.person_models import ConnectionStatus, NewConnectionGroup, PersonRef
from canister_factory.contract.upload import upload_memory
from canister_factory.ic.identity import Identity
from support.creation_world import inline, note


def pattern(size: int, seed: str) -> bytes:
    """Bytes without repetition, the same in every run."""
    blocks = (hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


async def fill(client: CapsuleClient) -> dict[str, bytes]:
    """Memories of many sizes, a gallery, connections and a group; returns the bytes by memory id."""
    contents: dict[str, bytes] = {}
    for size in (0, 1, 5_000, 999_999):
        data = pattern(size, f"inline {size}")
        contents[await client.add_memory_to_capsule(inline(data), note(f"inline {size}"))] = data
    for size, chunk in ((250_000, 100_000), (300_000, 100_000), (3_900_000, 1_900_000)):
        data = pattern(size, f"upload {size}")
        memory_id = await upload_memory(client, io.BytesIO(data), note(f"upload {size}"), chunk_size=chunk)
        contents[memory_id] = data
    friend = PersonRef(Principal=Principal(Identity.generate().sender().bytes))
    await client.add_connection(friend)
    await client.update_connection_status(friend, ConnectionStatus.Accepted)
    await client.add_connection(PersonRef(Opaque="Žofie, from next door"))
    await client.create_connection_group(NewConnectionGroup(name="Near", members=[friend]))
    entries = [
        GalleryMemoryEntry(memory_id=memory_id, position=i, is_featured=i == 0, gallery_metadata="{}")
        for i, memory_id in enumerate(contents)
    ]
    await client.store_gallery_forever(GalleryData(title="All", is_public=False, memory_entries=entries))
    return contents


async def read_back(client: CapsuleClient) -> dict[str, bytes]:
    """The bytes of every memory, read chunk by chunk."""
    found: dict[str, bytes] = {}
    page = await client.list_capsule_memories(None, PageRequest(limit=1_000))
    for summary in page.items:
        chunks = [await client.read_memory_chunk(summary.memory.id, i) for i in range(summary.total_chunks)]
        found[summary.memory.id] = b"".join(chunks)
    return found
