"""A capsule of the owner's on either canister, as the tests of the capsule API drive it: calls are the owner's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from support.backend_world import OWNER, World
from support.personal_world import PersonalWorld, new_memory, sha256

CHUNK_BYTES = 1000


class Canister(Protocol):
    """Either canister; calls are the owner's unless `sender` says otherwise."""

    now_ns: int

    def call(self, method: str, *args: Any, **how: Any) -> Any: ...
    def ok(self, method: str, *args: Any, **how: Any) -> Any: ...
    def err(self, method: str, *args: Any, **how: Any) -> Any: ...
    def advance(self, seconds: float) -> None: ...
    def upgrade(self) -> None: ...


class OwnersBackend(World):
    """The backend with the owner's capsule in it."""

    def __init__(self) -> None:
        super().__init__()
        self.capsule()

    def call(self, method: str, *args: Any, **how: Any) -> Any:
        return super().call(method, *args, **({"sender": OWNER} | how))

    def upgrade(self) -> None:
        self.upgrade_backend()


def canister_with_capsule(kind: str) -> Canister:
    """The canister of that kind, "backend" or "personal"; the personal one's import is final."""
    if kind == "backend":
        return OwnersBackend()
    personal = PersonalWorld()
    personal.imported()
    return personal


def begin(world: Canister, chunks: Sequence[bytes]) -> int:
    """An upload session of the owner for these chunks, all but the last of `CHUNK_BYTES`."""
    request = {"memory": new_memory(), "total_size": sum(map(len, chunks)), "chunk_size": CHUNK_BYTES}
    upload_id: int = world.ok("begin_memory_upload", request)["upload_id"]
    return upload_id


def put(world: Canister, upload_id: int, chunks: Sequence[bytes], *indexes: int) -> None:
    """Some of the chunks, by their indexes."""
    for index in indexes:
        world.ok("put_memory_upload_chunk", upload_id, index, chunks[index], sha256(chunks[index]))
