"""Copies of whole Wasm memories, made in steps: hundreds of megabytes take longer than others can wait.

Owns the two directions, between an instance and a memory that nobody executes on. Does not own what they are for.
"""

from __future__ import annotations

from canister_factory.replica.runtime.execution import Steps
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory import (
    CHUNK,
    GRANULE,
    ZEROES,
    InstanceState,
    MemoryState,
    MemoryTransaction,
)
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


def copy_in(
    instance: Instance, content: StableMemory | MemoryTransaction, values: tuple[int, ...] | None = None
) -> Steps[None]:
    """Makes an instance that hasn't executed anything begin with this Wasm memory, which must not change meanwhile.

    `values`: of its globals; by default they are as the module defines them.

    Raises:
        ValueError: another number of globals.
    """
    empty = MemoryState(content.length, ())
    if values is None:
        instance._replace_image(empty)
    else:
        instance.restore(InstanceState(empty, values))
    for start in range(0, content.length, _STEP_BYTES):
        piece = content.read_committed(start, min(_STEP_BYTES, content.length - start))
        for at in range(0, len(piece), CHUNK):
            block = piece[at : at + CHUNK]
            if block != ZEROES:
                instance._memory._put(start + at, block)
        yield None
