"""Copies of whole Wasm memories, made in steps: hundreds of megabytes take longer than others can wait.

Owns the two directions, between an instance and a memory that nobody executes on. Does not own what they are for.
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Steps
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory import GRANULE, InstanceState, MemoryState
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory

_STEP_BYTES = 1 << 20


def copy_out(instance: Instance, like: StableMemory | None) -> Steps[StableMemory]:
    """A copy of the committed Wasm memory; nothing may be executed on the instance meanwhile.

    `like`: an earlier copy, with which this one shares what is the same.
    """
    instance.ready()
    image = instance._memory
    if like is not None and like.size_bytes == image.committed:
        copy = like.fork()
    else:
        copy = StableMemory()
        copy.grow(image.committed // WASM_PAGE_BYTES)
    for start in range(0, image.committed, _STEP_BYTES):
        content = image.read(start, min(_STEP_BYTES, image.committed - start))
        known = copy.read(start, len(content))
        if content != known:
            for at in range(0, len(content), GRANULE):
                block = content[at : at + GRANULE]
                if block != known[at : at + GRANULE]:
                    copy.write(start + at, block)
        yield None
    return copy


def copy_in(instance: Instance, content: StableMemory, values: tuple[int, ...]) -> Steps[None]:
    """Makes an instance that hasn't executed anything begin with this Wasm memory, and these kept globals.

    Raises:
        ValueError: another number of globals.
    """
    instance.restore(InstanceState(MemoryState(content.size_bytes, ()), values))
    for start in range(0, content.size_bytes, _STEP_BYTES):
        piece = content.read(start, min(_STEP_BYTES, content.size_bytes - start))
        if piece.count(0) != len(piece):
            instance._memory._put(start, piece)
        yield None
