"""Canisters that grow to a given number of entries, and the calls whose cost is looked at there.

Used by the tests of scale and by the benchmark. Owns how a canister is filled quickly (many messages a round, equal
arguments encoded once) and which calls are measured; asserts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OWNER, TRILLION, World, encode_args, failure, method_of, person
from support.contents_gauge import CHUNK_BYTES, different_chunks
from support.personal_world import (
    PersonalWorld,
    by_principal,
    capsule_record,
    connection,
    gallery,
    gallery_entries,
    group,
    inline,
    memory_manifest,
    memory_record,
    new_memory,
    sha256,
)
from support.scale_gauge import REPEATS, Cost, Gauge, send

NOTE = b"a note of some words, as people write them " * 3
BATCH = 100  # items in a message of an import
OPEN_AT_ONCE = 90  # of the 100 creations that may be open
OWNERS_PER_HOUR = 900  # of the 1,000 attempts that are allowed

# --- a capsule in the backend ----------------------------------------------------------------------------------------


class GrowingCapsule(World):
    """The backend with one capsule of many memories; its galleries name all of them."""

    def __init__(self) -> None:
        super().__init__()
        # As much as a principal may be allowed at all.
        self.limit(person={"memories": 200_000, "galleries": 20_000, "record_bytes": 500_000_000})
        self.capsule_id = self.capsule()
        self.memory_ids: list[str] = []
        self.connections = 0

    def grow(self, memories: int, connections: int) -> None:
        """Adds what is missing, and a gallery for every 1,000 of the new memories."""
        note = (inline(NOTE), new_memory())
        fresh = self._send("add_memory_to_capsule", [note] * (memories - len(self.memory_ids)))
        self.memory_ids += fresh
        batches = [fresh[at : at + 1000] for at in range(0, len(fresh), 1000)]
        self._send("store_gallery_forever", [(gallery_data(ids),) for ids in batches])
        self._send("add_connection", [(peer(number),) for number in range(self.connections, connections)])
        self.connections = max(connections, self.connections)

    def _send(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        types = method_of("backend", method).args
        if len(calls) > 1 and calls[0] is calls[-1]:  # the same call again and again is encoded once
            arguments = [encode_args(types, calls[0])] * len(calls)
        else:
            arguments = [encode_args(types, values) for values in calls]
        return send(self, self.backend, "backend", method, [(argument, OWNER) for argument in arguments])

    def costs(self) -> dict[str, Cost]:
        """What an owner's calls cost now. The capsule is afterwards as large as before."""
        gauge = Gauge(self, self.backend, "backend")
        middle = self.memory_ids[len(self.memory_ids) // 2]
        added = gauge.calls("add_memory", "add_memory_to_capsule", [(inline(NOTE), new_memory())] * REPEATS)
        gauge.calls("get_memory", "get_memory_from_capsule", [(middle,)] * REPEATS)
        changes = [{"info": {"name": f"renamed {number}"}} for number in range(REPEATS)]
        gauge.calls("update_memory", "update_memory_in_capsule", [(middle, change) for change in changes])
        gauge.calls("delete_memory", "delete_memory_from_capsule", [(memory_id,) for memory_id in added])
        after = self.memory_ids[max(0, len(self.memory_ids) // 2 - 11)]
        for size, start in ((10, after), (1000, None)):
            page = (None, {"after": start, "limit": size})
            gauge.calls(f"list_memories_page_{size}", "list_capsule_memories", [page] * REPEATS)
        gauge.calls("get_capsule", "get_capsule", [(self.capsule_id,)] * REPEATS)
        gauge.calls("list_my_capsules", "list_my_capsules", [()] * REPEATS)
        self._upload_costs(gauge)
        self._gallery_costs(gauge)
        self._connection_costs(gauge)
        return gauge.costs

    def _upload_costs(self, gauge: Gauge) -> None:
        upload = {"memory": new_memory(), "total_size": len(NOTE), "chunk_size": len(NOTE)}
        begun = gauge.calls("begin_upload", "begin_memory_upload", [(upload,)] * REPEATS)
        ids = [session["upload_id"] for session in begun]
        gauge.calls("put_upload_chunk", "put_memory_upload_chunk", [(each, 0, NOTE, sha256(NOTE)) for each in ids])
        memories = gauge.calls("commit_upload", "commit_memory_upload", [(each,) for each in ids])
        self._send("delete_memory_from_capsule", [(memory_id,) for memory_id in memories])

    def _gallery_costs(self, gauge: Gauge) -> None:
        gallery_of_ten = gallery_data(self.memory_ids[:10])
        stored = gauge.calls("store_gallery", "store_gallery_forever", [(gallery_of_ten,)] * REPEATS)
        ids = [each["id"] for each in stored]
        gauge.calls("get_gallery", "get_gallery_by_id", [(each,) for each in ids])
        gauge.calls("update_gallery", "update_gallery", [(each, {"title": "renamed"}) for each in ids])
        gauge.calls("get_my_galleries", "get_my_galleries", [()] * REPEATS)
        gauge.calls("delete_gallery", "delete_gallery", [(each,) for each in ids])

    def _connection_costs(self, gauge: Gauge) -> None:
        strangers = [by_principal(person(f"stranger-{number}")) for number in range(REPEATS)]
        gauge.calls("add_connection", "add_connection", [(each,) for each in strangers])
        gauge.calls("update_connection", "update_connection_status", [(each, Case("Accepted")) for each in strangers])
        gauge.calls("list_connections", "list_connections", [()] * REPEATS)
        gauge.calls("remove_connection", "remove_connection", [(each,) for each in strangers])

    def export_costs(self) -> dict[str, Cost]:
        """What the export of the capsule costs an operator; ends the creation again."""
        gauge = Gauge(self, self.backend, "backend")
        self.request()
        lease = self.claim()
        gauge.calls("begin_export", "begin_export", [(lease, False)] * REPEATS, OPERATOR)
        middle = {"kind": Case("Memory"), "id": self.memory_ids[max(0, len(self.memory_ids) // 2 - 11)]}
        page = [(lease, middle, 10)] * REPEATS
        entries = gauge.calls("list_export_entries_page_10", "list_export_entries", page, OPERATOR)[0]["entries"]
        gauge.calls("list_export_entries_page_1000", "list_export_entries", [(lease, None, 1000)] * REPEATS, OPERATOR)
        refs = [{"kind": each["kind"], "id": each["id"]} for each in entries]
        ids = [each["id"] for each in entries if each["kind"].tag == "Memory"]
        gauge.calls("get_export_items_10", "get_export_items", [(lease, refs)] * REPEATS, OPERATOR)
        gauge.calls("get_export_manifests_10", "get_export_memory_manifests", [(lease, ids)] * REPEATS, OPERATOR)
        gauge.calls("read_export_chunk", "read_export_chunk", [(lease, ids[0], 0)] * REPEATS, OPERATOR)
        self.ok("fail_creation", lease, failure(), sender=OPERATOR)
        self.ok("clear_creation_state", OWNER, sender=ADMIN)
        return gauge.costs


def upload(world: World, size: int) -> tuple[str, list[int]]:
    """A memory of `size` bytes (`different_chunks`) by an upload session: its id, and each chunk's instructions."""
    session = {"memory": new_memory(), "total_size": size, "chunk_size": CHUNK_BYTES}
    upload_id = world.ok("begin_memory_upload", session, sender=OWNER)["upload_id"]
    counts = []
    for index, chunk in enumerate(different_chunks(size)):
        before = world.subnet.state.instructions
        world.ok("put_memory_upload_chunk", upload_id, index, chunk, sha256(chunk), sender=OWNER)
        counts.append(world.subnet.state.instructions - before)
    return world.ok("commit_memory_upload", upload_id, sender=OWNER), counts


def gallery_data(memory_ids: Sequence[str]) -> dict[str, Any]:
    return {"title": "Summer", "is_public": False, "memory_entries": gallery_entries(*memory_ids)}


def peer(number: int) -> Case:
    return by_principal(person(f"peer-{number}"))


class GrowingBackend(World):
    """The backend with notes of many owners, who have as many each as their quota allows, and some room left."""

    OF_EACH = 10_000

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def grow(self, memories: int) -> int:
        """Adds notes until there are so many, a message each; the instructions of the longest."""
        argument = encode_args(method_of("backend", "add_memory_to_capsule").args, (inline(NOTE), new_memory()))
        longest = 0
        for number in range(self.count, memories):
            owner = person(f"owner-{number // self.OF_EACH}")
            if number % self.OF_EACH == 0:
                self.capsule(owner)
            before = self.subnet.state.instructions
            send(self, self.backend, "backend", "add_memory_to_capsule", [(argument, owner)])
            longest = max(longest, self.subnet.state.instructions - before)
        self.count = memories
        return longest


# --- many owners in the backend --------------------------------------------------------------------------------------


class GrowingRegistry(World):
    """The backend with many owners, each with a personal canister in the registry and a creation that has ended."""

    def __init__(self) -> None:
        super().__init__(cycles=40_000 * TRILLION)
        self.owners: list[Principal] = []
        self._since_advance = 0
        a_day = {"cycles_per_day": 40_000 * TRILLION}
        self.ok("set_reserve_settings", self.reserve()["settings"] | a_day, sender=ADMIN)

    def grow(self, owners: int) -> None:
        while len(self.owners) < owners:
            count = min(OPEN_AT_ONCE, owners - len(self.owners))
            fresh = [person(f"owner-{len(self.owners) + number}") for number in range(count)]
            leases = self._open(fresh)
            self._operate("begin_export", [(lease, False) for lease in leases])
            self._operate("provision_canister", [(lease,) for lease in leases])
            self._operate("fail_creation", [(lease, failure()) for lease in leases])
            self.owners += fresh

    def _open(self, owners: Sequence[Principal]) -> list[dict[str, Any]]:
        """Capsules, requests and leases."""
        self._make_room(len(owners))
        self._own("register_capsule", (), owners)
        self._own("create_personal_canister", (None,), owners)
        claims = [({"owner": owner, "worker": "worker-1", "duration_ns": 600 * 10**9},) for owner in owners]
        granted = self._operate("claim_creation", claims)
        return [{"owner": owner, "lease": each["lease"]} for owner, each in zip(owners, granted, strict=True)]

    def _make_room(self, attempts: int) -> None:
        """Attempts are limited by the hour."""
        self._since_advance += attempts
        if self._since_advance > OWNERS_PER_HOUR:
            self.advance(3600)
            self._since_advance = attempts

    def _own(self, method: str, values: tuple[Any, ...], owners: Sequence[Principal]) -> list[Any]:
        argument = encode_args(method_of("backend", method).args, values)
        return send(self, self.backend, "backend", method, [(argument, owner) for owner in owners])

    def _operate(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        types = method_of("backend", method).args
        arguments = [(encode_args(types, values), OPERATOR) for values in calls]
        return send(self, self.backend, "backend", method, arguments)

    def costs(self) -> dict[str, Cost]:
        """What single calls cost now; afterwards there are some owners more."""
        gauge = Gauge(self, self.backend, "backend")
        fresh = [person(f"measured-{len(self.owners)}-{number}") for number in range(REPEATS)]
        self._make_room(len(fresh))
        gauge.calls("register_capsule", "register_capsule", [()] * REPEATS, fresh)
        gauge.calls("create_personal_canister", "create_personal_canister", [(None,)] * REPEATS, fresh)
        claims = [({"owner": owner, "worker": "worker-1"},) for owner in fresh]
        granted = gauge.calls("claim_creation", "claim_creation", claims, OPERATOR)
        leases = [{"owner": owner, "lease": each["lease"]} for owner, each in zip(fresh, granted, strict=True)]
        self._stage_costs(gauge, leases)
        self._query_costs(gauge, fresh[0])
        gauge.calls("fail_creation", "fail_creation", [(lease, failure()) for lease in leases], OPERATOR)
        gauge.calls("clear_creation_state", "clear_creation_state", [(owner,) for owner in fresh], ADMIN)
        return gauge.costs

    def _stage_costs(self, gauge: Gauge, leases: Sequence[dict[str, Any]]) -> None:
        gauge.calls("renew_lease", "renew_lease", [(lease,) for lease in leases], OPERATOR)
        gauge.calls("begin_export_empty", "begin_export", [(lease, False) for lease in leases], OPERATOR)
        gauge.calls("provision_canister", "provision_canister", [(lease,) for lease in leases], OPERATOR)
        progress = {"stage": Case("Installing"), "bytes_done": 1, "bytes_total": 2, "items_done": 1, "items_total": 2}
        gauge.calls("report_progress", "report_progress", [(lease, progress, "half") for lease in leases], OPERATOR)

    def _query_costs(self, gauge: Gauge, owner: Principal) -> None:
        gauge.calls("list_open_requests", "list_open_requests", [({"limit": 10},)] * REPEATS, OPERATOR)
        gauge.calls("get_creation_status", "get_creation_status", [()] * REPEATS, owner)
        gauge.calls("get_detailed_creation_status", "get_detailed_creation_status", [()] * REPEATS, owner)
        failed = Case("Failed")
        after = self.owners[len(self.owners) // 2]
        for name, method, arguments in (
            ("get_states_by_status_page_10", "get_creation_states_by_status", (failed, {"limit": 10, "after": after})),
            ("list_creation_states_page_10", "list_all_creation_states", ({"limit": 10, "after": after},)),
            ("list_registry_page_10", "list_registry", ({"limit": 10},)),
            ("list_registry_page_1000", "list_registry", ({"limit": 1000},)),
            ("get_reserve_status", "get_reserve_status", ()),
            ("get_creation_stats", "get_personal_canister_creation_stats", ()),
            ("list_errors_page_10", "list_errors", ({"limit": 10},)),
            ("list_consumption_page_10", "list_consumption", ({"limit": 10},)),
        ):
            gauge.calls(name, method, [arguments] * REPEATS, ADMIN)


# --- an import -------------------------------------------------------------------------------------------------------


class GrowingImport(PersonalWorld):
    """A personal canister in the middle of an import of many notes."""

    def __init__(self) -> None:
        super().__init__(max_import_bytes=2_000_000_000)
        self.session = self.begin()
        self.put(self.session, Case("Capsule", capsule_record()))
        self.count = 0
        self.instructions_of_notes = 0

    def grow(self, memories: int) -> None:
        """Imports notes until there are so many, in batches; each batch with a gallery that names all of it."""
        before = self.instructions()
        while self.count < memories:
            ids = [f"note-{number:08}" for number in range(self.count, min(self.count + BATCH, memories))]
            self._import(ids, Gauge(self, self.personal, "personal"))
            self.put(self.session, Case("Gallery", gallery(f"gal-{ids[0]}", *ids)))
            self.count += len(ids)
        self.instructions_of_notes += self.instructions() - before

    def _import(self, ids: Sequence[str], gauge: Gauge) -> None:
        records = [Case("Memory", memory_record(memory_id, [NOTE])) for memory_id in ids]
        gauge.calls(f"put_items_{len(ids)}", "put_items", [(self.session, records)], OPERATOR)
        chunks = [{"memory_id": each, "index": 0, "bytes": NOTE, "sha256": sha256(NOTE)} for each in ids]
        gauge.calls(f"put_memory_chunks_{len(ids)}", "put_memory_chunks", [(self.session, chunks)], OPERATOR)
        manifests = [memory_manifest(memory_id, [NOTE]) for memory_id in ids]
        gauge.calls(f"commit_memories_{len(ids)}", "commit_memories", [(self.session, manifests)], OPERATOR)

    def instructions_per_byte(self, size: int) -> float:
        """Imports one memory of `size` bytes, whole: record, chunks, commit."""
        before = self.instructions()
        self.import_memory(self.session, f"large-{size}", list(different_chunks(size)))
        return (self.instructions() - before) / size

    def costs(self) -> dict[str, Cost]:
        """What calls of the import cost now, batches with 100 items. Afterwards the import is as large as before."""
        gauge = Gauge(self, self.personal, "personal")
        ids = [f"measured-{number:08}" for number in range(100)]
        self._import(ids, gauge)
        peers = [Case("Connection", connection(peer(number))) for number in range(100)]
        gauge.calls("put_items_connections_100", "put_items", [(self.session, peers)], OPERATOR)
        gauge.calls("put_items_group", "put_items", [(self.session, [Case("ConnectionGroup", group("g"))])], OPERATOR)
        refs = [{"kind": Case("Memory"), "id": memory_id} for memory_id in ids]
        gauge.calls("get_import_status", "get_import_status", [({"limit": 100},)] * REPEATS, OPERATOR)
        middle = {"kind": Case("Memory"), "id": f"note-{max(0, self.count // 2 - 11):08}"}
        gauge.calls("list_import_entries_page_10", "list_import_entries", [(middle, 10)] * REPEATS, OPERATOR)
        gauge.calls("list_import_entries_page_1000", "list_import_entries", [(None, 1000)] * REPEATS, OPERATOR)
        gauge.calls("get_manifest_unfinished", "get_manifest", [()] * REPEATS, OPERATOR)
        gauge.calls("remove_items_100", "remove_items", [(self.session, refs)], OPERATOR)
        return gauge.costs

    def finalize_costs(self) -> dict[str, Cost]:
        """Ends the import."""
        gauge = Gauge(self, self.personal, "personal")
        gauge.calls("finalize_import", "finalize_import", [(self.session,)], OPERATOR)
        gauge.calls("get_manifest_final", "get_manifest", [()] * REPEATS, OPERATOR)
        return gauge.costs
