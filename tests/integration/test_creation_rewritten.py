"""The owner replaces a memory's bytes while they are on their way: what arrives is what the capsule has in the end."""

from __future__ import annotations

import io
from typing import Any

import pytest

from canister_factory.contract.memory_models import MemoryUpdate
from canister_factory.contract.upload import upload_memory
from canister_factory.factory.events import Transferred
from support.creation_contents import pattern, read_back
from support.creation_world import World, inline, note
from support.killing import Killed, killing_at

CHUNK = 100_000
ONE_BY_ONE: dict[str, Any] = {"max_message_chunks": 1, "start_window": 1, "max_window": 1}


async def begun(world: World) -> tuple[str, bytes]:
    """Two memories of two chunks each, and a creation that was killed when the target had a chunk and the record of the
    first one, whose id and bytes are returned.
    """
    data = pattern(2 * CHUNK, "before")
    first = await upload_memory(world.as_owner, io.BytesIO(data), note("first"), chunk_size=CHUNK)
    other = io.BytesIO(pattern(2 * CHUNK, "other"))
    await upload_memory(world.as_owner, other, note("second"), chunk_size=CHUNK)
    await world.as_owner.create_personal_canister(None)
    killing = killing_at(lambda event: isinstance(event, Transferred))
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing, **ONE_BY_ONE).run(world.owner_id)
    return first, data


@pytest.mark.parametrize("size", [CHUNK, CHUNK - 1], ids=["to its first chunk", "to other bytes"])
async def test_a_memory_that_was_replaced_when_half_of_it_was_copied_arrives_as_it_is(world: World, size: int) -> None:
    first, data = await begun(world)
    await world.as_owner.update_memory_in_capsule(first, MemoryUpdate(data=inline(data[:size])))
    expected = await read_back(world.as_owner)
    outcome = await world.orchestrator(**ONE_BY_ONE).run(world.owner_id)
    assert await read_back(world.personal(outcome.creation.canister_id)) == expected
