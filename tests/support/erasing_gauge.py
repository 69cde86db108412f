"""A completed creation whose copy on the backend is erased, with any number of memories, and what that takes.

Used by a test and by the benchmark. Owns how the capsule and its canister are filled quickly (every memory has the same
bytes, which are sent without being read again); asserts nothing of the erasing.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, World, encode_args, interface, method_of, wasm
from support.personal_world import inline, memory_manifest, new_memory, sha256
from support.scale_gauge import send

_DAY = 86_400
_ITEMS = 100
_MESSAGE_BYTES = 1_900_000
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Erasing:
    """What it took: messages of the backend, instructions of all and of the longest, seconds of the network's time."""

    messages: int
    instructions: int
    longest: int
    seconds: int


class MovedCapsule(World):
    """An owner whose capsule of `memories` memories, of `size` bytes each, is on a personal canister as well."""

    def __init__(self, memories: int, size: int) -> None:
        super().__init__()
        self.limit(person={"memories": 200_000, "record_bytes": 500_000_000})
        self._content = b"m" * size
        self._fill(memories)
        self._move()

    def _fill(self, memories: int) -> None:
        self.capsule()
        argument = encode_args(
            method_of("backend", "add_memory_to_capsule").args, (inline(self._content), new_memory())
        )
        for start in range(0, memories, _AT_ONCE):
            calls = [(argument, OWNER)] * min(_AT_ONCE, memories - start)
            send(self, self.backend, "backend", "add_memory_to_capsule", calls)

    def _move(self) -> None:
        lease, canister = self.provisioned()
        self.report(lease, "Installing")
        limits = {"max_chunk_bytes": 2_000_000, "max_import_bytes": 2_000_000_000, "session_timeout_ns": 3_600 * 10**9}
        init = {"owner": OWNER, "backend": self.backend, "limits": limits}
        self.install(canister, wasm("personal"), encode_args(interface("personal").init_args, [init]), OPERATOR)
        self.report(lease, "Importing")
        self._bring(lease, canister)
        self.approve()
        self.ok("begin_export", lease, True, sender=OPERATOR)
        self.finalize(canister)
        report = self.ok("verify_creation", lease, sender=OPERATOR)
        assert report["matches"], report["differences"]
        self.hand_over(canister, OWNER)
        self.ok("complete_creation", lease, sender=OPERATOR)

    def _bring(self, lease: dict[str, object], canister: Principal) -> None:
        """Copies the capsule as a worker does, page by page."""
        session = self.ok("begin_import", sender=OPERATOR, on=canister, kind="personal")["id"]
        chunks = max(1, min(_ITEMS, _MESSAGE_BYTES // len(self._content)))

        def put(method: str, items: list[dict[str, object]], most: int) -> None:
            for start in range(0, len(items), most):
                part = items[start : start + most]
                self.ok(method, session, part, sender=OPERATOR, on=canister, kind="personal")

        after: object = None
        while True:
            page = self.ok("list_export_entries", lease, after, _AT_ONCE, sender=OPERATOR)
            refs = [{"kind": entry["kind"], "id": entry["id"]} for entry in page["entries"]]
            for start in range(0, len(refs), _ITEMS):
                put(
                    "put_items",
                    self.ok("get_export_items", lease, refs[start : start + _ITEMS], sender=OPERATOR),
                    _ITEMS,
                )
            ids = [ref["id"] for ref in refs if ref["kind"] == Case("Memory")]
            chunk = {"index": 0, "bytes": self._content, "sha256": sha256(self._content)}
            put("put_memory_chunks", [{"memory_id": each, **chunk} for each in ids], chunks)
            put("commit_memories", [memory_manifest(each, [self._content], 2_000_000) for each in ids], _ITEMS)
            after = page["next"]
            if after is None:
                return

    def erase(self) -> Erasing:
        """Has the backend's copy erased, and waits until it is."""
        self.ok("request_erasure", _DAY * 10**9, sender=OWNER)
        self.advance(_DAY)
        counts: list[int] = []
        begun = self.now_ns
        while self.status()["erasure"]["stage"] != Case("Erased"):
            before = self.subnet.state.instructions
            self.run()
            if self.subnet.state.instructions > before:
                counts.append(self.subnet.state.instructions - before)
            self.advance(1)
        return Erasing(len(counts), sum(counts), max(counts), (self.now_ns - begun) // 10**9)
