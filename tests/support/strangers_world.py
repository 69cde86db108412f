"""What a stranger may ask for: a world with one thing of every kind, and one call of each method that names a thing.

`Things` are what the calls name: once those that are there, and once such as nobody made. A method whose arguments can
name something (they have texts, numbers of 64 bits, principals or blobs in them) is either in `PROBES` or in `OPEN`,
which says why its answer may tell strangers what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.types import NAT8, NAT64, PRINCIPAL, TEXT, Opt, Record, Type, Variant, Vec, resolve
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, ANONYMOUS, OPERATOR, OWNER, STRANGER, World, interface, method_of, person
from support.personal_world import (
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    gallery_entries,
    inline,
    memory_manifest,
    memory_record,
    new_memory,
    sha256,
)

DAY_NS = 86_400_000_000_000
SOME_CANISTER = person("canister")
EXECUTOR = person("executor")
VISITORS = (STRANGER, FRIEND, ANONYMOUS, EXECUTOR)
"""None of them may see what is private: someone with a capsule of their own, one who reads another memory, nobody, and
one whom the owner named to record events, and who has recorded one."""


@dataclass(frozen=True)
class Things:
    """Ids of one thing of each kind, all of them the owner's and private."""

    capsule: str
    memory: str
    gallery: str
    group: str
    upload: int
    owner: Principal
    session: int = 0
    lease: int = 0
    canister: Principal = SOME_CANISTER
    notification: int = 0
    release: bytes = bytes(32)

    def hidden_in(self, answer: object) -> str:
        """The answer, with names in the place of these ids: what is left must not depend on them."""
        text = repr(answer)
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1_000:
                continue  # a number of this size in an answer is hardly this id
            text = re.sub(rf"\b{re.escape(repr(value))}\b|\b{re.escape(str(value))}\b", f"<{name}>", text)
        return text


def _other(made: str) -> str:
    """An id of the same form that nobody made."""
    return made[:-4] + ("0000" if made[-4:] != "0000" else "1111")


def absent(there: Things) -> Things:
    """Such things as aren't there."""
    return Things(
        capsule=_other(there.capsule),
        memory=_other(there.memory),
        gallery=_other(there.gallery),
        group=_other(there.group),
        upload=there.upload + 1_000,
        owner=person("nobody"),
        session=there.session + 1_000,
        lease=there.lease + 1_000,
        canister=person("no canister"),
        notification=there.notification + 1_000,
        release=bytes(31) + b"\x01",
    )


# --- worlds ----------------------------------------------------------------------------------------------------------


def furnish(world: World, capsule_id: str) -> Things:
    """The owner's private things, and a memory that the friend may read."""
    ok = world.ok
    private = ok("add_memory_to_capsule", inline(b"private"), new_memory(), sender=OWNER)
    shared = Case("Custom", {"individuals": [by_principal(FRIEND)], "groups": []})
    ok("add_memory_to_capsule", inline(b"shared"), new_memory(access=shared), sender=OWNER)
    entries = {"title": "Ours", "is_public": False, "memory_entries": gallery_entries(private)}
    gallery = ok("store_gallery_forever", entries, sender=OWNER)["id"]
    group = ok("create_connection_group", {"name": "Family", "members": [by_principal(FRIEND)]}, sender=OWNER)
    ok("add_connection", by_principal(FRIEND), sender=OWNER)
    ok("add_executor", capsule_id, EXECUTOR, sender=OWNER)
    ok("record_capsule_event", capsule_id, Case("AfterDeath"), sender=EXECUTOR)
    session = {"memory": new_memory(), "total_size": 4, "chunk_size": 2}
    upload = ok("begin_memory_upload", session, sender=OWNER)["upload_id"]
    return Things(capsule_id, private, gallery, group, upload, OWNER)


def bare_backend() -> World:
    """A backend of the visitors alone."""
    world = World()
    for visitor in (STRANGER, FRIEND):
        world.ok("register", sender=visitor)
        world.capsule(visitor)
    return world


def on_backend() -> tuple[World, Things]:
    """A backend where the owner's creation is under way."""
    world = bare_backend()
    things = furnish(world, world.capsule(OWNER))
    lease, canister = world.provisioned(OWNER)
    world.approve()
    release = world.call("list_releases", sender=ADMIN)[0]["module_hash"]
    found = vars(things) | {"lease": lease["lease"], "canister": canister, "notification": 1, "release": release}
    return world, Things(**found)


def bare_personal() -> PersonalWorld:
    """A personal canister whose import is final, and brought nothing but the capsule."""
    world = PersonalWorld()
    world.imported()
    return world


def on_personal() -> tuple[PersonalWorld, Things]:
    """The same with something in it."""
    world = bare_personal()
    return world, Things(**(vars(furnish(world, CAPSULE_ID)) | {"session": 1}))


# --- calls -----------------------------------------------------------------------------------------------------------

Probe = Callable[[Things], tuple[Any, ...]]
PROGRESS = {"stage": Case("Installing"), "bytes_done": 0, "bytes_total": 0, "items_done": 0, "items_total": 0}
NO_CHUNK = sha256(b"xx")


def _lease(things: Things) -> dict[str, Any]:
    return {"owner": things.owner, "lease": things.lease}


def _item(things: Things) -> dict[str, Any]:
    return {"kind": Case("Memory"), "id": things.memory}


CAPSULE_API: dict[str, list[Probe]] = {
    "get_capsule": [lambda a: (a.capsule,)],
    "get_capsule_info": [lambda a: (a.capsule,)],
    "record_capsule_event": [lambda a: (a.capsule, Case("Wedding"))],
    "revoke_capsule_event": [lambda a: (a.capsule, Case("AfterDeath"))],
    "list_capsule_events": [lambda a: (a.capsule,)],
    "add_executor": [lambda a: (a.capsule, STRANGER)],
    "remove_executor": [lambda a: (a.capsule, EXECUTOR)],
    "set_event_wait": [lambda a: (a.capsule, Case("AfterDeath"), DAY_NS)],
    "get_event_rules": [lambda a: (a.capsule,)],
    "add_memory_to_capsule": [
        lambda a: (inline(b"x"), new_memory(capsule_id=a.capsule)),
        lambda a: (inline(b"x"), new_memory(access=Case("Custom", {"individuals": [], "groups": [a.group]}))),
    ],
    "get_memory_from_capsule": [lambda a: (a.memory,)],
    "update_memory_in_capsule": [lambda a: (a.memory, {"info": {"name": "x"}})],
    "delete_memory_from_capsule": [lambda a: (a.memory,)],
    "list_capsule_memories": [lambda a: (a.capsule, {}), lambda a: (None, {"after": a.memory})],
    "read_memory_chunk": [lambda a: (a.memory, 0), lambda a: (a.memory, 9)],
    "begin_memory_upload": [
        lambda a: ({"memory": new_memory(capsule_id=a.capsule), "total_size": 1, "chunk_size": 1},)
    ],
    "put_memory_upload_chunk": [
        lambda a: (a.upload, 0, b"xx", NO_CHUNK),
        lambda a: (a.upload, 9, b"", b""),
    ],
    "get_memory_upload": [lambda a: (a.upload,)],
    "commit_memory_upload": [lambda a: (a.upload,)],
    "abort_memory_upload": [lambda a: (a.upload,)],
    "create_capsule": [lambda a: (by_principal(ANONYMOUS),)],
    "update_connection_status": [lambda a: (by_principal(a.owner), Case("Accepted"))],
    "remove_connection": [lambda a: (by_principal(a.owner),)],
    "update_connection_group": [lambda a: (a.group, {"name": "x"})],
    "delete_connection_group": [lambda a: (a.group,)],
    "store_gallery_forever": [
        lambda a: ({"title": "x", "is_public": True, "memory_entries": gallery_entries(a.memory)},)
    ],
    "get_user_galleries": [lambda a: (a.owner,)],
    "get_gallery_by_id": [lambda a: (a.gallery,)],
    "update_gallery": [lambda a: (a.gallery, {"title": "x"})],
    "delete_gallery": [lambda a: (a.gallery,)],
}
"""Those of both canisters. A visitor may make the thing asked for by none of these calls."""

IMPORT: dict[str, list[Probe]] = {
    "put_memory_chunk": [lambda a: (a.session, a.memory, 0, b"xx", NO_CHUNK)],
    "put_memory_chunks": [
        lambda a: (a.session, [{"memory_id": a.memory, "index": 0, "bytes": b"xx", "sha256": NO_CHUNK}])
    ],
    "put_items": [lambda a: (a.session, [Case("Memory", memory_record(a.memory))])],
    "commit_memory": [lambda a: (a.session, memory_manifest(a.memory, [b"x"]))],
    "commit_memories": [lambda a: (a.session, [memory_manifest(a.memory, [b"x"])])],
    "remove_items": [lambda a: (a.session, [_item(a)])],
    "import_batch": [
        lambda a: (
            {
                "removed": [],
                "items": [Case("Memory", memory_record(a.memory))],
                "chunks": [],
                "commits": [],
                "finalize": False,
            },
        )
    ],
    "finalize_import": [lambda a: (a.session,)],
    "get_import_status": [lambda a: ({"after": a.memory},)],
    "list_import_entries": [lambda a: (_item(a), None)],
    "get_items": [lambda a: ([_item(a)],)],
    "offer_ownership": [lambda a: (a.owner,)],
    "remove_owner": [lambda a: (a.owner,)],
    "change_backend": [lambda a: (a.owner,)],
    "get_memory_manifests": [lambda a: ([a.memory],)],
}

CREATION: dict[str, list[Probe]] = {
    "add_admin": [lambda a: (a.owner,)],
    "remove_admin": [lambda a: (ADMIN if a.lease < 1_000 else a.owner,)],
    "add_operator": [lambda a: (a.owner,)],
    "remove_operator": [lambda a: (OPERATOR if a.lease < 1_000 else a.owner,)],
    "get_user_creation_status": [lambda a: (a.owner,)],
    "get_user_quota": [lambda a: (a.owner,)],
    "set_capsule_switches": [lambda a: ({"new_capsules": True, "writes": True, "message": a.capsule},)],
    "list_all_creation_states": [lambda a: ({"after": a.owner},)],
    "get_creation_states_by_status": [lambda a: (Case("Creating"), {"after": a.owner})],
    "clear_creation_state": [lambda a: (a.owner,)],
    "pay_rest": [lambda a: (a.owner,)],
    "abort_creation": [lambda a: (a.owner, "because")],
    "add_admitted": [lambda a: (a.owner,)],
    "remove_admitted": [lambda a: (a.owner,)],
    "list_admitted": [lambda a: ({"after": a.owner},)],
    "list_waiting_requests": [lambda a: ({"after": a.owner},)],
    "approve_creation": [lambda a: (a.owner,)],
    "decline_creation": [lambda a: (a.owner, "because")],
    "register_release": [lambda a: ({"module_hash": a.release, "api_version": "1.0.0", "note": ""},)],
    "revoke_release": [lambda a: (a.release,)],
    "list_registry": [lambda a: ({"after": a.canister},)],
    "get_registry_entry": [lambda a: (a.canister,)],
    "look_at_canisters": [lambda a: ([a.canister],)],
    "list_consumption": [lambda a: ({"after": a.notification},)],
    "list_notifications": [lambda a: ({"after": a.notification},)],
    "acknowledge_notification": [lambda a: (a.notification,)],
    "list_audit_log": [lambda a: ({"after": a.notification},)],
    "list_errors": [lambda a: ({"after": a.notification},)],
    "get_consumption_report": [lambda a: (1_000,)],
    "get_error_rate": [lambda a: (1_000,)],
    "list_open_requests": [lambda a: ({"after": a.owner},)],
    "claim_creation": [lambda a: ({"owner": a.owner, "worker": "x"},)],
    "renew_lease": [lambda a: (_lease(a),)],
    "release_lease": [lambda a: (_lease(a),)],
    "report_progress": [lambda a: (_lease(a), PROGRESS, "")],
    "begin_export": [lambda a: (_lease(a), False)],
    "list_export_entries": [lambda a: (_lease(a), _item(a), None)],
    "get_export_items": [lambda a: (_lease(a), [_item(a)])],
    "get_export_memory_manifests": [lambda a: (_lease(a), [a.memory])],
    "read_export_chunk": [lambda a: (_lease(a), a.memory, 0)],
    "provision_canister": [lambda a: (_lease(a),)],
    "hand_on_creation": [lambda a: (_lease(a), OPERATOR)],
    "start_over": [lambda a: (_lease(a),)],
    "verify_creation": [lambda a: (_lease(a),)],
    "complete_creation": [lambda a: (_lease(a),)],
    "fail_creation": [lambda a: (_lease(a), {"kind": Case("Busy"), "message": "", "retry_helps": True})],
}

PROBES = {"backend": CAPSULE_API | CREATION, "personal": CAPSULE_API | IMPORT}

OPEN = {
    "register_with_nonce": "a nonce is its maker's secret: whoever knows it may learn that it is taken",
    "prove_nonce": "the same",
    "verify_nonce": "the same: the web application that knows the nonce asks who proved it",
    "add_connection": "changes the caller's own capsule, whoever the peer is",
    "create_connection_group": "the same",
    "create_personal_canister": "names nothing: a name for the caller's own canister",
    "undo_personal_canister": "names nothing: a hash of what the caller's own canister holds",
    "request_erasure": "names nothing: a period for the caller's own copy",
    "set_reserve_settings": "names a network and its prices; for admins",
    "list_releases": "what a personal canister may run is for everybody to check",
    "get_personal_canister_id": "the people to whom an owner gave links must find where they lead after the move",
}


def may_name_something(type_: Type, above: frozenset[int] = frozenset()) -> bool:
    """Whether a value of this type can name a thing. `above`: types around it, to which recursive ones come back."""
    shape = resolve(type_)
    if id(shape) in above:
        return False
    above |= {id(shape)}
    if isinstance(shape, Vec) and resolve(shape.inner) is NAT8:
        return True
    if isinstance(shape, Opt | Vec):
        return may_name_something(shape.inner, above)
    if isinstance(shape, Record | Variant):
        return any(may_name_something(field.type, above) for field in shape.fields)
    return shape in (TEXT, NAT64, PRINCIPAL)


def methods_that_may_name_something(kind: str) -> Iterator[str]:
    for name in _methods(kind):
        if any(map(may_name_something, method_of(kind, name).args)):
            yield name


def queries_without_arguments(kind: str) -> Iterator[str]:
    for name in _methods(kind):
        method = method_of(kind, name)
        if "query" in method.modes and not method.args:
            yield name


def _methods(kind: str) -> list[str]:
    service = interface(kind).service
    assert service is not None
    return [name for name, _ in service.methods]
