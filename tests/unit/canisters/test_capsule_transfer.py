"""A capsule goes from the backend to a personal canister by both canisters' own methods, and arrives as it was."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, TRILLION, World, encode_args, interface, wasm
from support.personal_world import FRIEND, by_principal, gallery_entries, inline, new_memory, sha256

CHUNKS = [bytes([number]) * 1000 for number in range(4)]


def fill(world: World) -> None:
    """The owner's capsule with something of each kind."""
    world.capsule()
    add = [
        world.ok(
            "add_memory_to_capsule", inline(data), new_memory(name=f"letter {number}", memory_type=kind), sender=OWNER
        )
        for number, (data, kind) in enumerate(
            [(b"Dear all", Case("Document")), (b"", Case("Note")), (None, Case("Audio")), (b"x" * 500, Case("Image"))]
        )
    ]
    request = {"memory": new_memory(memory_type=Case("Video")), "total_size": 4000, "chunk_size": 1000}
    upload_id = world.ok("begin_memory_upload", request, sender=OWNER)["upload_id"]
    for index, chunk in enumerate(CHUNKS):
        world.ok("put_memory_upload_chunk", upload_id, index, chunk, sha256(chunk), sender=OWNER)
    world.ok("commit_memory_upload", upload_id, sender=OWNER)
    world.ok("add_connection", by_principal(FRIEND), sender=OWNER)
    world.ok("add_connection", Case("Opaque", "Ada"), sender=OWNER)
    group_id = world.ok("create_connection_group", {"name": "Family", "members": [by_principal(FRIEND)]}, sender=OWNER)
    access = Case("Custom", {"individuals": [], "groups": [group_id]})
    world.ok("update_memory_in_capsule", add[0], {"access": access}, sender=OWNER)
    data = {"title": "All", "is_public": True, "memory_entries": gallery_entries(*add)}
    world.ok("store_gallery_forever", data, sender=OWNER)
    world.ok("record_capsule_event", world.capsule(), Case("Graduation"), sender=OWNER)


def exported_entries(world: World, lease: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = world.ok("list_export_entries", lease, after, 3, sender=OPERATOR)
        found += page["entries"]
        after = page["next"]
        if after is None:
            return found


def personal_canister(world: World) -> Principal:
    arguments = {"amount": 10 * TRILLION, "settings": {"controllers": [OPERATOR, OWNER]}}
    created = world.manage("provisional_create_canister_with_cycles", arguments, sender=OPERATOR)
    canister: Principal = created["canister_id"]
    init = {"owner": OWNER, "backend": world.backend}
    world.install(canister, wasm("personal"), encode_args(interface("personal").init_args, [init]), sender=OPERATOR)
    return canister


def transfer(world: World, lease: dict[str, Any], target: Principal) -> None:
    def there(method: str, *arguments: Any) -> Any:
        return world.ok(method, *arguments, sender=OPERATOR, on=target, kind="personal")

    session = there("begin_import")["id"]
    entries = exported_entries(world, lease)
    refs = [{"kind": entry["kind"], "id": entry["id"]} for entry in entries]
    there("put_items", session, world.ok("get_export_items", lease, refs, sender=OPERATOR))
    with_bytes = [entry["id"] for entry in entries if entry["content_checksum"] is not None]
    manifests = world.ok("get_export_memory_manifests", lease, with_bytes, sender=OPERATOR)
    assert [manifest["memory_id"] for manifest in manifests] == with_bytes
    for manifest in manifests:
        for index, checksum in enumerate(manifest["chunk_checksums"]):
            chunk = world.ok("read_export_chunk", lease, manifest["memory_id"], index, sender=OPERATOR)
            there("put_memory_chunk", session, manifest["memory_id"], index, chunk, checksum)
    there("commit_memories", session, manifests)
    assert there("finalize_import", session) == {"total_memories_imported": 5, "total_size_imported": 4508}


def test_what_was_exported_arrives_with_the_same_manifest() -> None:
    world = World()
    fill(world)
    world.request()
    lease = world.claim()
    source = world.ok("begin_export", lease, False, sender=OPERATOR)
    target = personal_canister(world)
    transfer(world, lease, target)
    world.hand_over(target, OWNER)

    arrived = world.ok("get_manifest", sender=OWNER, on=target, kind="personal")["manifest"]
    own = {"origin", "revision", "taken_at"}
    assert {name: value for name, value in arrived.items() if name not in own} == {
        name: value for name, value in source.items() if name not in own
    }
    before = world.ok("get_capsule", source["capsule_id"], sender=OWNER)
    after = world.ok("get_capsule", source["capsule_id"], sender=OWNER, on=target, kind="personal")
    assert after == before
    page = world.ok("list_capsule_memories", None, {}, sender=OWNER, on=target, kind="personal")
    assert page == world.ok("list_capsule_memories", None, {}, sender=OWNER)
    for item in page["items"]:
        memory_id = item["memory"]["id"]
        mine = world.ok("get_memory_from_capsule", memory_id, sender=OWNER, on=target, kind="personal")
        assert mine == world.ok("get_memory_from_capsule", memory_id, sender=OWNER)
    shared = page["items"][0]["memory"]["id"]
    assert (
        world.ok("get_memory_from_capsule", shared, sender=FRIEND, on=target, kind="personal")["data"]["data"]
        == b"Dear all"
    )
