"""The personal canister as a test drives it: the built module on an in-process subnet, without a backend beside it.

Also the other side of an import, in Python: records as a source has them, chunks with their checksums, and the manifest
by the definition in the contracts, which knows nothing of the canister's own computation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.type_table import encode_header
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.subnet import Subnet
from support import contents_books
from support.backend_world import (
    OPERATOR,
    OWNER,
    START_NS,
    World,
    encode_args,
    engine,
    interface,
    person,
    wasm,
)

BACKEND = person("backend")
FRIEND = person("friend")
CAPSULE_ID = "cap-11111111-0000000001"
SCHEME = b"canister-factory-manifest-2"
KINDS = ("Capsule", "Memory", "Gallery", "Connection", "ConnectionGroup")
RECORD_TYPES = {kind: kind for kind in KINDS} | {"Capsule": "CapsuleRecord", "Memory": "MemoryRecord"}
BATCH: dict[str, Any] = {"removed": [], "items": [], "chunks": [], "commits": [], "finalize": False}
"""An `import_batch` of nothing."""


class PersonalWorld(World):
    """One subnet with a personal canister on it, controlled by operator and owner. Calls are the owner's by default."""

    def __init__(self, **limits: int) -> None:
        self.now_ns = START_NS
        self.subnet = Subnet(engine(), clock_ns=lambda: self.now_ns)
        contents_books.subnets.add(self.subnet)
        self._requests = 0
        self.personal = self.new_canister(OPERATOR, OWNER)
        defaults = {
            "max_chunk_bytes": 2_000_000,
            "max_import_bytes": 100_000_000,
            "session_timeout_ns": 3_600_000_000_000,
        }
        init = {"owner": OWNER, "backend": BACKEND, "limits": defaults | limits if limits else None}
        self.init_arg = encode_args(interface("personal").init_args, [init])
        self.install(self.personal, wasm("personal"), self.init_arg, sender=OPERATOR)

    def call(self, method: str, *args: Any, sender: Principal = OWNER, **how: Any) -> Any:
        return super().call(method, *args, sender=sender, on=self.personal, kind="personal")

    def accepts(self, method: str, *args: Any, sender: Principal, **how: Any) -> bool:
        return super().accepts(method, *args, sender=sender, on=self.personal, kind="personal")

    def upgrade(self, module: bytes | None = None) -> None:
        """Upgrades to the same build, or to `module`; memory is replaced, as classical persistence needs."""
        self.install(self.personal, module or wasm("personal"), self.init_arg, OWNER, Case("upgrade", None))

    def instructions(self) -> int:
        """What all messages have executed so far."""
        return self.subnet.state.instructions

    # --- importing, as the operator ----------------------------------------------------------------------------------

    def begin(self) -> int:
        session: int = self.ok("begin_import", sender=OPERATOR)["id"]
        return session

    def put(self, session: int, *items: Case) -> None:
        self.ok("put_items", session, list(items), sender=OPERATOR)

    def put_chunks(self, session: int, memory_id: str, chunks: Sequence[bytes]) -> None:
        for index, chunk in enumerate(chunks):
            self.ok("put_memory_chunk", session, memory_id, index, chunk, sha256(chunk), sender=OPERATOR)

    def import_memory(
        self, session: int, memory_id: str, chunks: Sequence[bytes], chunk_size: int | None = None
    ) -> None:
        """Record, chunks and commit of one memory."""
        self.put(session, Case("Memory", memory_record(memory_id, chunks)))
        self.put_chunks(session, memory_id, chunks)
        self.ok("commit_memory", session, memory_manifest(memory_id, chunks), sender=OPERATOR)

    def imported(self, *items: Case) -> None:
        """A finished import of the capsule and the items, in a canister that is its owner's."""
        session = self.begin()
        self.put(session, Case("Capsule", capsule_record()), *items)
        self.end_import(session)

    def end_import(self, session: int) -> None:
        """Ends the import, and leaves the owner as the only controller."""
        self.ok("finalize_import", session, sender=OPERATOR)
        self.hand_over(self.personal, OWNER)

    def entries(self, limit: int | None = None) -> list[dict[str, Any]]:
        """All entries of the import, page by page."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.ok("list_import_entries", after, limit, sender=OWNER)
            found += page["entries"]
            after = page["next"]
            if after is None:
                return found


# --- records ---------------------------------------------------------------------------------------------------------


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def content_checksum(chunks: Iterable[bytes]) -> bytes:
    return sha256(b"".join(sha256(chunk) for chunk in chunks))


def by_principal(principal: Principal) -> Case:
    return Case("Principal", principal)


def capsule_record(**changes: Any) -> dict[str, Any]:
    state = {"since": START_NS - 5, "last_activity_at": START_NS - 3}
    record = {
        "id": CAPSULE_ID,
        "subject": by_principal(OWNER),
        "owners": [{"key": by_principal(OWNER), "value": state}],
        "controllers": [],
        "events": [],
        "executors": [],
        "event_waits": [],
        "created_at": START_NS - 5,
        "updated_at": START_NS - 3,
        "bound_to_web2": True,
    }
    return record | changes


def memory_record(memory_id: str, chunks: Sequence[bytes] | None = None, **changes: Any) -> dict[str, Any]:
    """A document's record; without chunks, one that has no bytes in the canister."""
    content = None if chunks is None else content_checksum(chunks)
    base = {
        "size": sum(map(len, chunks or ())),
        "mime_type": "text/plain",
        "original_name": "letter.txt",
        "uploaded_at": "2023-11-14T22:13:20Z",
    }
    record = {
        "id": memory_id,
        "info": {
            "memory_type": Case("Document"),
            "name": "letter",
            "content_type": "text/plain",
            "created_at": START_NS - 4,
            "updated_at": START_NS - 4,
            "uploaded_at": START_NS - 4,
        },
        "metadata": Case("Document", {"base": base}),
        "access": Case("Private"),
        "blob_ref": {"kind": Case("ICPCapsule"), "locator": memory_id, "hash": content},
    }
    return record | changes


def memory_manifest(
    memory_id: str, chunks: Sequence[bytes], chunk_size: int | None = None, **changes: Any
) -> dict[str, Any]:
    manifest = {
        "memory_id": memory_id,
        "total_chunks": len(chunks),
        "total_size": sum(map(len, chunks)),
        "chunk_size": max(map(len, chunks), default=1) if chunk_size is None else chunk_size,
        "chunk_checksums": [sha256(chunk) for chunk in chunks],
        "final_checksum": content_checksum(chunks),
    }
    return manifest | changes


def gallery(gallery_id: str, *memory_ids: str, **changes: Any) -> dict[str, Any]:
    record = {
        "id": gallery_id,
        "owner_principal": OWNER,
        "title": "Summer",
        "is_public": False,
        "created_at": START_NS - 4,
        "updated_at": START_NS - 4,
        "storage_status": Case("ICPOnly"),
        "memory_entries": gallery_entries(*memory_ids),
    }
    return record | changes


def gallery_entries(*memory_ids: str) -> list[dict[str, Any]]:
    return [
        {"memory_id": memory_id, "position": position, "is_featured": False, "gallery_metadata": "{}"}
        for position, memory_id in enumerate(memory_ids)
    ]


def connection(peer: Case, status: str = "Accepted") -> dict[str, Any]:
    return {"peer": peer, "status": Case(status), "created_at": START_NS - 4, "updated_at": START_NS - 4}


def group(group_id: str, *members: Case) -> dict[str, Any]:
    return {
        "id": group_id,
        "name": "Family",
        "members": list(members),
        "created_at": START_NS - 4,
        "updated_at": START_NS - 4,
    }


def new_memory(**changes: Any) -> dict[str, Any]:
    return {"memory_type": Case("Document"), "name": "letter", "content_type": "text/plain"} | changes


def inline(data: bytes | None) -> dict[str, Any]:
    return {"blob_ref": {"kind": Case("ICPCapsule"), "locator": ""}, "data": data}


# --- the manifest, by its definition in the contracts ----------------------------------------------------------------


def record_checksum(kind: str, record: dict[str, Any]) -> bytes:
    """Of the value alone: what follows the type table."""
    type_ = interface("personal").types[RECORD_TYPES[kind]]
    return sha256(encode_args((type_,), [record])[len(encode_header([type_])) :])


def entry(
    kind: str, record: dict[str, Any], chunks: Sequence[bytes] | None = None, chunk_size: int | None = None
) -> dict[str, Any]:
    """The manifest entry of a record and, for a memory with bytes, its chunks."""
    if kind == "Connection":
        peer = record["peer"]
        name = f"principal:{peer.value.to_str()}" if peer.tag == "Principal" else f"opaque:{peer.value}"
    else:
        name = record["id"]
    size = sum(map(len, chunks or ()))
    if chunks is not None and chunk_size is None:
        chunk_size = max(map(len, chunks), default=1)
    return {
        "kind": Case(kind),
        "id": name,
        "record_checksum": record_checksum(kind, record),
        "content_checksum": None if chunks is None else content_checksum(chunks),
        "size": size,
        "chunk_size": chunk_size or 0,
        "total_chunks": len(chunks or ()),
    }


def entry_hash(entry: dict[str, Any]) -> bytes:
    name = entry["id"].encode()
    return sha256(
        bytes([KINDS.index(entry["kind"].tag)])
        + len(name).to_bytes(4, "big")
        + name
        + entry["record_checksum"]
        + (entry["content_checksum"] or bytes(32))
        + entry["size"].to_bytes(8, "big")
        + entry["chunk_size"].to_bytes(4, "big")
        + entry["total_chunks"].to_bytes(4, "big")
    )


def manifest_hash(entries: Sequence[dict[str, Any]]) -> bytes:
    own = [entry_hash(entry) for entry in entries if entry["kind"].tag == "Capsule"]
    items = [(entry_key(entry), entry_hash(entry)) for entry in entries if entry["kind"].tag != "Capsule"]
    return sha256(SCHEME + (own[0] if own else bytes(32)) + tree_root(items))


def certified_data(live: bytes, imported: bytes) -> bytes:
    return sha256(b"canister-factory-certified-1" + live + imported)


def entry_key(entry: dict[str, Any]) -> bytes:
    return sha256(bytes([KINDS.index(entry["kind"].tag)]) + entry["id"].encode())


def tree_root(items: Sequence[tuple[bytes, bytes]], bit: int = 0) -> bytes:
    """Of pairs of a key and a hash, word for word as the contracts define it."""
    if not items:
        return bytes(32)
    if len(items) == 1:
        return items[0][1]
    sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for key, hash in items:
        sides[key[bit // 8] >> (7 - bit % 8) & 1].append((key, hash))
    if not (sides[0] and sides[1]):
        return tree_root(items, bit + 1)
    return sha256(b"\xff" + tree_root(sides[0], bit + 1) + tree_root(sides[1], bit + 1))
