"""An import survives upgrades of the personal canister, wherever it is; and goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    CONTROLLER,
    OPERATOR,
    OWNER,
    STRANGER,
    RejectedError,
    encode_args,
    interface,
    wasm,
)
from support.personal_world import (
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    certified_data,
    connection,
    entry,
    gallery,
    group,
    inline,
    manifest_hash,
    memory_manifest,
    memory_record,
    new_memory,
    sha256,
)

LIMITS = {"max_chunk_bytes": 1_000, "max_import_bytes": 5_000, "session_timeout_ns": 60_000_000_000}
CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]
RECORDS = [
    Case("Capsule", capsule_record()),
    Case("Memory", memory_record("mem-a", CHUNKS)),
    Case("Memory", memory_record("mem-b", [b"b"])),
    Case("Gallery", gallery("gal-a", "mem-a", "mem-b")),
    Case("Connection", connection(by_principal(FRIEND))),
    Case("ConnectionGroup", group("grp-a", by_principal(FRIEND))),
]


def installed(world: PersonalWorld) -> None:
    """Nothing has come yet."""


def begun(world: PersonalWorld) -> None:
    world.begin()


def records_put(world: PersonalWorld) -> None:
    world.put(world.begin(), *RECORDS[:3])


def chunks_staged(world: PersonalWorld) -> None:
    records_put(world)
    for memory_id, index in (("mem-a", 2), ("mem-a", 0), ("mem-z", 0)):
        put_chunk(world, memory_id, index)


def memory_committed(world: PersonalWorld) -> None:
    chunks_staged(world)
    session = world.begin()
    world.put_chunks(session, "mem-b", [b"b"])
    world.ok("commit_memory", session, memory_manifest("mem-b", [b"b"]), sender=OPERATOR)


def expired(world: PersonalWorld) -> None:
    memory_committed(world)
    world.advance(61)


def finalized(world: PersonalWorld) -> None:
    complete(world)


def owned(world: PersonalWorld) -> None:
    """Handed over, and written by its owner since."""
    finalized(world)
    world.manage(
        "update_settings", {"canister_id": world.personal, "settings": {"controllers": [OWNER]}}, sender=OPERATOR
    )
    world.ok("add_memory_to_capsule", inline(b"mine"), new_memory())
    world.ok("delete_memory_from_capsule", "mem-b")


STATES = [installed, begun, records_put, chunks_staged, memory_committed, expired, finalized, owned]
UNFINISHED = STATES[:6]


def put_chunk(world: PersonalWorld, memory_id: str, index: int) -> None:
    chunk = CHUNKS[index]
    world.ok("put_memory_chunk", world.begin(), memory_id, index, chunk, sha256(chunk), sender=OPERATOR)


def complete(world: PersonalWorld) -> None:
    """Sends what is missing, as a worker does that comes upon this canister, and ends the import."""
    session = world.begin()
    world.put(session, *RECORDS)
    pending = world.ok("get_import_status", {}, sender=OPERATOR)["pending"]
    begun = {item["memory_id"]: {chunk["index"] for chunk in item["chunks"]} for item in pending}
    known = {item["id"] for item in world.entries()}
    if "mem-z" in begun:
        world.ok("remove_items", session, [{"kind": Case("Memory"), "id": "mem-z"}], sender=OPERATOR)
    for memory_id, chunks in {"mem-a": CHUNKS, "mem-b": [b"b"]}.items():
        for index in set(range(len(chunks))) - begun.get(memory_id, set()):
            if memory_id not in known:
                world.ok(
                    "put_memory_chunk", session, memory_id, index, chunks[index], sha256(chunks[index]), sender=OPERATOR
                )
        world.ok("commit_memory", session, memory_manifest(memory_id, chunks), sender=OPERATOR)
    world.ok("finalize_import", session, sender=OPERATOR)


def everything(world: PersonalWorld) -> dict[str, Any]:
    """What operator and owner can see, and what is certified."""
    seen: dict[str, Any] = {
        "status": world.ok("get_import_status", {}, sender=OWNER),
        "entries": world.ok("list_import_entries", None, None, sender=OWNER),
        "info": world.call("get_personal_info"),
        "certified": world.state(world.personal).certified_data,
    }
    for method in ("get_manifest", "list_connections"):
        seen[method] = world.call(method)
    seen["list_capsule_memories"] = world.call("list_capsule_memories", None, {})
    for memory in ("mem-a", "mem-b"):
        seen[memory] = world.call("get_memory_from_capsule", memory)
    return seen


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_an_upgrade_keeps_everything_of_an_import(reach: Callable[[PersonalWorld], None]) -> None:
    world = PersonalWorld(**LIMITS)
    reach(world)
    before = everything(world)
    for _ in range(2):
        world.upgrade()
    assert everything(world) == before


@pytest.mark.parametrize("reach", UNFINISHED, ids=lambda reach: reach.__name__)
def test_an_import_goes_on_after_an_upgrade_and_ends_with_the_same_manifest(
    reach: Callable[[PersonalWorld], None],
) -> None:
    world = PersonalWorld(**LIMITS)
    reach(world)
    world.upgrade()
    complete(world)

    contents = {"mem-a": CHUNKS, "mem-b": [b"b"]}
    expected = [entry(str(record.tag), record.value, contents.get(record.value.get("id", ""))) for record in RECORDS]
    assert world.ok("get_manifest")["manifest"]["manifest_hash"] == manifest_hash(expected)
    assert world.state(world.personal).certified_data == certified_data(*[manifest_hash(expected)] * 2)


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_the_argument_of_an_upgrade_changes_nothing(reach: Callable[[PersonalWorld], None]) -> None:
    world = PersonalWorld(**LIMITS)
    reach(world)
    before = everything(world)
    limits = {"max_chunk_bytes": 1, "max_import_bytes": 1, "session_timeout_ns": 1}
    init = {"owner": STRANGER, "backend": STRANGER, "name": "Mine", "limits": limits}
    world.init_arg = encode_args(interface("personal").init_args, [init])
    world.upgrade()
    assert everything(world) == before


def test_what_is_staged_counts_towards_the_limit_after_an_upgrade() -> None:
    world = PersonalWorld(**LIMITS)
    for memory_id in ("mem-a", "mem-b", "mem-c"):
        put_chunk(world, memory_id, 0)
    world.upgrade()
    put_chunk(world, "mem-a", 1)
    put_chunk(world, "mem-b", 1)
    refused = world.err("put_memory_chunk", world.begin(), "mem-c", 1, b"x", sha256(b"x"), sender=OPERATOR)
    assert (refused.tag, refused.value["limit"], refused.value["actual"]) == ("LimitExceeded", 5_000, 5_001)


def test_nobody_but_a_controller_upgrades_it() -> None:
    world = PersonalWorld()
    owned(world)
    for sender in (OPERATOR, ADMIN, CONTROLLER):
        with pytest.raises(RejectedError, match="IC0512"):
            world.install(world.personal, wasm("personal"), world.init_arg, sender, Case("upgrade", None))
