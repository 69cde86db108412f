"""Whatever people store, change, take away, begin and abandon: what the quotas say is the sum of what is there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, World, person
from support.personal_world import by_principal, gallery_entries, inline, new_memory, sha256
from support.quota_sums import BESIDE_A_MEMORY, Sum, as_usage, capsule, content, record_size, used, used_by_all

PEOPLE = [person(name) for name in ("ana", "ben")]
LIMITS = {"content_bytes": 9_000, "record_bytes": 9_000, "memories": 6, "galleries": 2, "uploads": 3, "nonces": 2}
people = st.sampled_from(PEOPLE)
sizes = st.sampled_from([0, 1, 100, 3_000, 8_000])
numbers = st.integers(0, 5)


class Quotas(RuleBasedStateMachine):
    """Random calls against small quotas. A refusal changes nothing and names the limit that it is about."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.capsules = {owner: self.world.capsule(owner) for owner in PEOPLE}
        self.world.limit(person=LIMITS, total={"memories": 9, "uploads": 5})
        self.sessions: dict[int, dict[str, Any]] = {}
        self.nonces: dict[str, tuple[Principal, int]] = {}
        self.events: dict[Principal, list[str]] = {owner: [] for owner in PEOPLE}
        self.registered: set[Principal] = set()

    def call(self, method: str, *args: Any, sender: Principal) -> Any:
        """What is in `Ok`; `None` after a refusal."""
        before = self.usage()
        answer = self.world.call(method, *args, sender=sender)
        if answer.tag == "Ok":
            return answer.value or True
        problem: Case = answer.value
        assert self.usage() == before, f"{method} was refused and charged: {problem}"
        if problem.tag == "LimitExceeded":
            limits = self.world.ok("get_quotas", sender=ADMIN)["quotas"]
            assert problem.value["limit"] in {*limits["person"].values(), *limits["total"].values()}
            assert problem.value["actual"] > problem.value["limit"]
        return None

    def usage(self) -> list[dict[str, int]]:
        return [used_by_all(self.world), *(used(self.world, owner) for owner in PEOPLE)]

    def memory_ids(self, owner: Principal) -> list[str]:
        items = self.world.ok("list_capsule_memories", self.capsules[owner], {}, sender=owner)["items"]
        return [item["memory"]["id"] for item in items]

    def one_of(self, owner: Principal, kind: str, number: int) -> Any:
        """One of the capsule's galleries, groups or connections by its key."""
        keys = [each["key"] for each in self.world.ok("get_capsule", self.capsules[owner], sender=owner)[kind]]
        return keys[number % len(keys)] if keys else None

    # --- memories ----------------------------------------------------------------------------------------------------

    @rule(owner=people, size=sizes, words=st.sampled_from([1, 250]))
    def add(self, owner: Principal, size: int, words: int) -> None:
        self.call("add_memory_to_capsule", inline(bytes(size)), new_memory(name="x" * words), sender=owner)

    @rule(owner=people, number=numbers, size=sizes)
    def replace(self, owner: Principal, number: int, size: int) -> None:
        if ids := self.memory_ids(owner):
            change = {"data": inline(bytes(size)), "info": {"name": "y" * (1 + size % 255)}}
            self.call("update_memory_in_capsule", ids[number % len(ids)], change, sender=owner)

    @rule(owner=people, number=numbers)
    def delete(self, owner: Principal, number: int) -> None:
        if ids := self.memory_ids(owner):
            assert self.call("delete_memory_from_capsule", ids[number % len(ids)], sender=owner)

    # --- uploads -----------------------------------------------------------------------------------------------------

    @rule(owner=people, size=sizes, chunk_size=st.sampled_from([7, 100, 3_000]))
    def begin(self, owner: Principal, size: int, chunk_size: int) -> None:
        request = {"memory": new_memory(), "total_size": size, "chunk_size": chunk_size}
        session = self.call("begin_memory_upload", request, sender=owner)
        if session:
            self.sessions[session["upload_id"]] = {"owner": owner, "until": session["expires_at"], **request}

    @rule(number=numbers, all_of_it=st.booleans())
    def put(self, number: int, all_of_it: bool) -> None:
        if not (upload := self.session(number)):
            return
        _, session = upload
        size, chunk_size = session["total_size"], session["chunk_size"]
        starts = range(0, size, chunk_size) if all_of_it else range(0, min(size, 1), chunk_size)
        for index, start in enumerate(starts):
            data = bytes(min(chunk_size, size - start))
            if self.call("put_memory_upload_chunk", upload[0], index, data, sha256(data), sender=session["owner"]):
                session["until"] = self.world.now_ns + 3_600 * 10**9

    @rule(number=numbers)
    def commit(self, number: int) -> None:
        upload = self.session(number)
        if upload and self.call("commit_memory_upload", upload[0], sender=upload[1]["owner"]):
            del self.sessions[upload[0]]

    @rule(number=numbers)
    def abort(self, number: int) -> None:
        if upload := self.session(number):
            assert self.call("abort_memory_upload", upload[0], sender=upload[1]["owner"])
            del self.sessions[upload[0]]

    def session(self, number: int) -> tuple[int, dict[str, Any]] | None:
        ids = list(self.sessions)
        return (ids[number % len(ids)], self.sessions[ids[number % len(ids)]]) if ids else None

    # --- galleries, connections, groups, events ----------------------------------------------------------------------

    @rule(owner=people, title=st.sampled_from(["t", "t" * 255]))
    def store_gallery(self, owner: Principal, title: str) -> None:
        entries = gallery_entries(*self.memory_ids(owner))
        data = {"title": title, "is_public": False, "memory_entries": entries}
        self.call("store_gallery_forever", data, sender=owner)

    @rule(owner=people, number=numbers, remove=st.booleans())
    def change_gallery(self, owner: Principal, number: int, remove: bool) -> None:
        if gallery_id := self.one_of(owner, "galleries", number):
            if remove:
                assert self.call("delete_gallery", gallery_id, sender=owner)
            else:
                self.call("update_gallery", gallery_id, {"description": "d" * 100 * number}, sender=owner)

    @rule(owner=people, number=numbers)
    def connect(self, owner: Principal, number: int) -> None:
        peer = by_principal(person(f"peer-{number}"))
        self.call("add_connection", peer, sender=owner)
        group = {"name": "g", "description": "d" * 50 * number, "members": [peer] * number}
        self.call("create_connection_group", group, sender=owner)

    @rule(owner=people, number=numbers)
    def disconnect(self, owner: Principal, number: int) -> None:
        if peer := self.one_of(owner, "connections", number):
            assert self.call("remove_connection", peer, sender=owner)
        if group_id := self.one_of(owner, "connection_groups", number):
            assert self.call("delete_connection_group", group_id, sender=owner)

    @rule(owner=people, name=st.sampled_from(["ü", "a" * 200]))
    def record_event(self, owner: Principal, name: str) -> None:
        if self.call("record_capsule_event", self.capsules[owner], Case("Custom", name), sender=owner):
            self.events[owner] = sorted({*self.events[owner], name})

    # --- people ------------------------------------------------------------------------------------------------------

    @rule(owner=people)
    def register(self, owner: Principal) -> None:
        if self.call("register", sender=owner):
            self.registered.add(owner)

    @rule(owner=people, number=numbers)
    def prove_nonce(self, owner: Principal, number: int) -> None:
        if self.call("prove_nonce", f"nonce-{number}", sender=owner):
            self.nonces[f"nonce-{number}"] = (owner, self.world.now_ns + 600 * 10**9)

    # --- all ---------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 599, 3_601]))
    def wait(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule()
    def upgrade(self) -> None:
        self.world.upgrade_backend()

    def free_what_expired(self) -> None:
        """A refused beginning frees what has expired, 16 sessions at a time; a refused nonce the expired ones."""
        for _ in range(4):
            request = {"memory": new_memory(name=""), "total_size": 1, "chunk_size": 1}
            assert self.world.err("begin_memory_upload", request, sender=PEOPLE[0]).tag == "InvalidArgument"
        now = self.world.now_ns
        self.sessions = {key: each for key, each in self.sessions.items() if now < each["until"]}
        if any(until <= now for _, until in self.nonces.values()):
            assert self.world.call("prove_nonce", "another", sender=person("cleo")).tag == "Ok"
            self.nonces["another"] = (person("cleo"), now + 600 * 10**9)
        self.nonces = {key: (who, until) for key, (who, until) in self.nonces.items() if now < until}

    @invariant()
    def books_are_sums(self) -> None:
        self.free_what_expired()
        everybody: Sum = Counter(nonces=sum(who not in PEOPLE for who, _ in self.nonces.values()))
        for owner in PEOPLE:
            total = capsule(self.world, self.capsules[owner], owner, self.events[owner])
            total += Counter(nonces=sum(who == owner for who, _ in self.nonces.values()))
            total += Counter(record_bytes=200 * (owner in self.registered))
            for session in self.sessions.values():
                if session["owner"] == owner:
                    total += content(session["total_size"], session["chunk_size"]) + Counter(memories=1, uploads=1)
                    total["record_bytes"] += self.upload_record_size(owner, session["total_size"])
            assert used(self.world, owner) == as_usage(total)
            everybody += total
        assert used_by_all(self.world) == as_usage(everybody)

    def upload_record_size(self, owner: Principal, size: int) -> int:
        """What the record of an upload's memory takes: the same for all, whose names are the same and ids as long."""
        note, memory_id = new_memory(), "mem" + self.capsules[owner][3:]
        base = {
            "size": size,
            "mime_type": note["content_type"],
            "original_name": note["name"],
            "uploaded_at": "2023-11-14T22:13:20Z",
        }
        record = {
            "id": memory_id,
            "info": {key: note[key] for key in ("memory_type", "name", "content_type")}
            | dict.fromkeys(("created_at", "updated_at", "uploaded_at"), 0),
            "metadata": Case(note["memory_type"].tag, {"base": base}),
            "access": Case("Private"),
            "blob_ref": {"kind": Case("ICPCapsule"), "locator": memory_id, "hash": bytes(32)},
        }
        return BESIDE_A_MEMORY + record_size("MemoryRecord", record)


TestQuotas = Quotas.TestCase
TestQuotas.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
