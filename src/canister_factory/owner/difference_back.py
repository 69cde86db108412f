"""What has to be written on the backend, so that the capsule there is again what the personal canister has.

Owns the comparison of two sides. An id that only one side has is no difference where the same thing is there under
another id: what the ordinary API adds has an id of its own. A comparison after a part was written finds the rest, and
needs no record of what was done. Does not own: reading the sides (`capsule_side`), and writing (`move_back`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.contract.capsule_models import Gallery
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.memory_models import AccessEvent, BlobKind, MemoryAccess, MemoryRecord
from canister_factory.contract.person_models import Connection, ConnectionGroup, ConnectionStatus, PersonRef
from canister_factory.owner.capsule_side import Side

T = TypeVar("T")
Form = tuple[Any, ...]


@dataclass(slots=True)
class Items:
    """Of one kind of items: which to add and to change, by their ids on the personal canister; which to delete, by
    those on the backend. `ids`: what the personal canister's ids are on the backend, of those that are there.
    """

    add: list[str] = field(default_factory=list)
    change: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.change or self.delete)


@dataclass(slots=True)
class Difference:
    """All that is to be written. `left`: what the ordinary API can't write, in words."""

    connect: list[Connection] = field(default_factory=list)
    disconnect: list[PersonRef] = field(default_factory=list)
    groups: Items = field(default_factory=Items)
    memories: Items = field(default_factory=Items)
    galleries: Items = field(default_factory=Items)
    revoke: list[AccessEvent] = field(default_factory=list)
    record: list[AccessEvent] = field(default_factory=list)
    name: list[Principal] = field(default_factory=list)
    unname: list[Principal] = field(default_factory=list)
    waits: dict[EventKind, int] = field(default_factory=dict)
    bind: bool = False
    left: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        items = (self.groups, self.memories, self.galleries)
        rest = (self.connect, self.disconnect, self.revoke, self.record, self.name, self.unname, self.waits, self.bind)
        return any(map(bool, items)) or any(map(bool, rest))

    @property
    def counts(self) -> dict[str, int]:
        """How many things are written, by what is done."""
        items = (self.groups, self.memories, self.galleries)
        return {
            "added": sum(len(part.add) for part in items),
            "changed": sum(len(part.change) for part in items) + len(self.connect),
            "deleted": sum(len(part.delete) for part in items) + len(self.disconnect),
            "events": len(self.revoke) + len(self.record) + len(self.name) + len(self.unname) + len(self.waits),
        }


def difference_back(personal: Side, backend: Side, now_ns: int) -> Difference:
    """What the backend's side lacks of the personal canister's, and has too much. `now_ns`: of the network."""
    found = Difference(bind=personal.bound and not backend.bound)
    for name, connection in personal.connections.items():
        known = backend.connections.get(name)
        if known is None or known.status != connection.status:
            found.connect.append(connection)
    found.connect.sort(key=lambda each: each.status not in (ConnectionStatus.Blocked, ConnectionStatus.Revoked))
    found.disconnect = [each.peer for name, each in backend.connections.items() if name not in personal.connections]
    found.groups = compared(personal.groups, backend.groups, _group, _group)
    there, here = _mapped(found.groups), {id: id for id in backend.groups}
    found.memories = compared(
        personal.memories,
        backend.memories,
        lambda memory: memory_form(memory, there),
        lambda memory: memory_form(memory, here),
    )
    memories = _mapped(found.memories)
    found.galleries = compared(
        personal.galleries,
        backend.galleries,
        lambda gallery: _gallery(gallery, memories),
        lambda gallery: _gallery(gallery, {id: id for id in backend.memories}),
    )
    _compare_events(found, personal, backend, now_ns)
    return found


def compared(
    personal: Mapping[str, T], backend: Mapping[str, T], form: Callable[[T], Form], form_there: Callable[[T], Form]
) -> Items:
    """Pairs what has one id, then what has one form; the rest is to be added or deleted."""
    found = Items()
    unmatched: dict[str, list[str]] = defaultdict(list)
    for id, item in backend.items():
        if id not in personal:
            unmatched[repr(form_there(item))].append(id)
    for id, item in personal.items():
        if id in backend:
            found.ids[id] = id
            if form(item) != form_there(backend[id]):
                found.change.append(id)
        elif same := unmatched[repr(form(item))]:
            found.ids[id] = same.pop(0)
        else:
            found.add.append(id)
    found.delete = [id for ids in unmatched.values() for id in ids]
    return found


def _mapped(items: Items) -> dict[str, str]:
    """Where each is; what has yet to be added is nowhere, and equal to nothing."""
    return items.ids | {id: f"not there yet: {id}" for id in items.add}


def _group(group: ConnectionGroup) -> Form:
    return group.name, group.description, [str(member.model_dump_json()) for member in group.members]


def memory_form(memory: MemoryRecord, groups: Mapping[str, str]) -> Form:
    """What the ordinary API can write of a memory; `groups`: where those are that its rule may name."""
    info, blob = memory.info, memory.blob_ref
    external = blob.locator if blob.kind == BlobKind.MemoryBlobKindExternal else None
    return (
        str(info.memory_type),
        info.name,
        info.content_type,
        info.date_of_memory,
        memory.metadata.model_dump_json(),
        access_there(memory.access, groups).model_dump_json(),
        external,
        blob.hash,
    )


def access_there(access: MemoryAccess, groups: Mapping[str, str]) -> MemoryAccess:
    """A rule with the groups' ids on the other side. Groups that aren't there grant nothing: they are left out."""
    match access.tag, access.value:
        case "Custom", rule:
            kept = [groups[id] for id in rule.groups if id in groups]
            return MemoryAccess(Custom=rule.model_copy(update={"groups": kept}))
        case ("Scheduled" | "EventTriggered") as tag, rule:
            return MemoryAccess(**{tag: rule.model_copy(update={"access": access_there(rule.access, groups)})})
    return access


def _gallery(gallery: Gallery, memories: Mapping[str, str]) -> Form:
    entries = [
        entry.model_copy(update={"memory_id": memories.get(entry.memory_id, "")}) for entry in gallery.memory_entries
    ]
    return gallery.title, gallery.description, gallery.is_public, [entry.model_dump_json() for entry in entries]


def _compare_events(found: Difference, personal: Side, backend: Side, now_ns: int) -> None:
    """Nothing opens on the backend earlier than on the personal canister: what waits there and can't be written so that
    it waits here as long is taken back here, and left.
    """
    found.name = sorted(personal.executors - backend.executors)
    found.unname = sorted(backend.executors - personal.executors)
    found.waits = {kind: wait for kind, wait in personal.waits.items() if backend.waits.get(kind) != wait}
    for key, known in backend.events.items():
        wanted = personal.events.get(key)
        if wanted is None or (wanted.opens_at > now_ns and wanted.recorded_at != known.recorded_at):
            found.revoke.append(known.event)
    for key, wanted in personal.events.items():
        there = backend.events.get(key)
        if wanted.opens_at <= now_ns:
            if there is None or there.opens_at > now_ns:
                found.record.append(wanted.event)
        elif there is None or wanted.recorded_at != there.recorded_at:
            found.left.append(
                f"the event {wanted.event.model_dump_json()}, which {wanted.recorded_by} recorded and which waits: its "
                "executor has to record it again"
            )
