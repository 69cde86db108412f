"""Whatever an import puts, commits and removes: the manifest hash that the canister answers is that of a small model,
which computes it from the records by the definition in the contracts.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR
from support.personal_world import (
    PersonalWorld,
    capsule_record,
    connection,
    entry,
    gallery,
    group,
    manifest_hash,
    memory_manifest,
    memory_record,
)

NAMES = st.sampled_from(["a", "b", "c", "d", "é"])
TITLES = st.sampled_from(["Summer", "Winter", "Spring"])
CONTENTS = st.none() | st.sampled_from([(b"x",), (b"xy", b"z")])

Entry = dict[str, Any]


class Imports(RuleBasedStateMachine):
    """The model: the entries of what is stored, by kind and id; `pending` are memories whose bytes haven't come."""

    def __init__(self) -> None:
        super().__init__()
        self.world = PersonalWorld()
        self.session = self.world.begin()
        self.entries: dict[tuple[str, str], Entry] = {}
        self.pending: dict[str, Entry] = {}
        self.galleries: dict[str, list[str]] = {}

    def put(self, kind: str, record: dict[str, Any], chunks: tuple[bytes, ...] | None = None) -> None:
        self.world.put(self.session, Case(kind, record))
        made = entry(kind, record, chunks)
        self.entries[kind, made["id"]] = made

    @initialize()
    def capsule(self) -> None:
        self.put("Capsule", capsule_record())

    @rule(bound=st.booleans())
    def capsule_again(self, bound: bool) -> None:
        self.put("Capsule", capsule_record(bound_to_web2=bound))

    @rule(name=NAMES, title=TITLES, chunks=CONTENTS)
    def memory(self, name: str, title: str, chunks: tuple[bytes, ...] | None) -> None:
        info = memory_record(name)["info"] | {"name": title}
        record = memory_record(name, chunks, info=info)
        stored = self.entries.get(("Memory", name))
        made = entry("Memory", record, chunks)
        if chunks is None:
            self.pending.pop(name, None)
            self.put("Memory", record)
        elif stored is not None and stored["content_checksum"] == made["content_checksum"]:
            self.put("Memory", record, chunks)
        else:
            self.world.put(self.session, Case("Memory", record))
            self.entries.pop(("Memory", name), None)
            self.pending[name] = made | {"chunks": chunks}

    @rule(name=NAMES)
    def commit(self, name: str) -> None:
        if (waiting := self.pending.pop(name, None)) is None:
            return
        chunks = waiting.pop("chunks")
        self.world.put_chunks(self.session, name, chunks)
        self.world.ok("commit_memories", self.session, [memory_manifest(name, chunks)], sender=OPERATOR)
        self.entries["Memory", name] = waiting

    @rule(name=NAMES, title=TITLES, memories=st.lists(NAMES, max_size=3, unique=True))
    def gallery(self, name: str, title: str, memories: list[str]) -> None:
        self.galleries[name] = memories
        self.put("Gallery", gallery(name, *memories, title=title))

    @rule(name=NAMES, status=st.sampled_from(["Pending", "Accepted", "Blocked"]))
    def connection(self, name: str, status: str) -> None:
        self.put("Connection", connection(Case("Opaque", name), status))

    @rule(name=NAMES, members=st.lists(NAMES, max_size=2, unique=True))
    def group(self, name: str, members: list[str]) -> None:
        self.put("ConnectionGroup", group(name, *(Case("Opaque", member) for member in members)))

    @rule(names=st.lists(NAMES, min_size=1, max_size=3), kind=st.sampled_from(["Memory", "Gallery", "Connection"]))
    def remove(self, names: list[str], kind: str) -> None:
        ids = [f"opaque:{name}" if kind == "Connection" else name for name in names]
        refs = [{"kind": Case(kind), "id": id} for id in ids]
        self.world.ok("remove_items", self.session, refs, sender=OPERATOR)
        for id in ids:
            self.entries.pop((kind, id), None)
            if kind == "Memory":
                self.pending.pop(id, None)

    @rule()
    def upgrade(self) -> None:
        self.world.upgrade()

    @invariant()
    def the_manifest_is_that_of_the_model(self) -> None:
        answer = self.world.ok("get_manifest", sender=OPERATOR)
        assert answer["manifest"]["manifest_hash"] == manifest_hash(list(self.entries.values()))
        assert answer["beside"]["pending_memories"] == len(self.pending)

    def teardown(self) -> None:
        """It can be final exactly when no memory is pending, and galleries name none but those that are there."""
        memories = {id for kind, id in self.entries if kind == "Memory"}
        named = {memory for (kind, id) in self.entries if kind == "Gallery" for memory in self.galleries[id]}
        if self.pending or not named <= memories:
            self.world.err("finalize_import", self.session, sender=OPERATOR)
            return
        self.world.ok("finalize_import", self.session, sender=OPERATOR)
        final = self.world.ok("get_manifest")["imported"]["manifest_hash"]
        assert final == manifest_hash(list(self.entries.values()))


TestImports = Imports.TestCase
TestImports.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
