"""Uploads a file as a memory and reads it back, on a backend of its own."""

import asyncio
import io

import canister_factory as cf


async def main() -> None:
    owner = cf.Identity.generate()
    async with cf.Replica() as replica, cf.connect(replica, owner) as agent:
        backend = await cf.deploy_backend(agent)
        await backend.register()
        await backend.register_capsule()

        letter = io.BytesIO(b"Dear Ada, " * 300_000)  # or the path of a file
        about = cf.models.NewMemory(
            memory_type=cf.models.MemoryType.Document, name="letter.txt", content_type="text/plain"
        )
        sent: list[int] = []
        memory_id = await cf.upload_memory(backend, letter, about, on_bytes=sent.append)
        print(f"sent {sum(sent):,} bytes in {len(sent)} chunks")

        memory = await backend.get_memory_from_capsule(memory_id)
        print("stored as", memory.info.name)
        print("it begins with", (await backend.read_memory_chunk(memory_id, 0))[:9].decode())


if __name__ == "__main__":
    asyncio.run(main())
