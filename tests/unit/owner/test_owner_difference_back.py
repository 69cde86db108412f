"""What a move back writes: the differences of two sides, and nothing that is there under another id."""

from __future__ import annotations

from dataclasses import replace

from canister_factory.candid.principal import Principal
from canister_factory.contract.capsule_models import Gallery, GalleryMemoryEntry, StorageStatus
from canister_factory.contract.event_models import EventKind, RecordedEvent
from canister_factory.contract.memory_models import (
    AccessEvent,
    BlobKind,
    BlobRef,
    CustomAccess,
    DocumentMetadata,
    MemoryAccess,
    MemoryInfo,
    MemoryMetadata,
    MemoryMetadataBase,
    MemoryRecord,
    MemoryType,
)
from canister_factory.contract.person_models import Connection, ConnectionGroup, ConnectionStatus, PersonRef
from canister_factory.owner.capsule_side import Side, key_of_event, name_of
from canister_factory.owner.difference_back import difference_back

NOW = 1_000
OWNER = Principal(b"\x01" * 29)
FRIEND = PersonRef(Principal=Principal(b"\x02" * 29))
PRIVATE = MemoryAccess(Private=None)
WEDDING = AccessEvent(Wedding=None)


def memory(
    id: str, name: str = "m", content: bytes = b"x", access: MemoryAccess = PRIVATE, at: int = 1
) -> MemoryRecord:
    info = MemoryInfo(
        memory_type=MemoryType.Document,
        name=name,
        content_type="text/plain",
        created_at=at,
        updated_at=at,
        uploaded_at=at,
    )
    base = MemoryMetadataBase(size=1, mime_type="text/plain", original_name=name, uploaded_at="then")
    metadata = MemoryMetadata(Document=DocumentMetadata(base=base))
    blob = BlobRef(kind=BlobKind.ICPCapsule, locator=id, hash=content * 32)
    return MemoryRecord(id=id, info=info, metadata=metadata, access=access, blob_ref=blob)


def gallery(id: str, *memories: str) -> Gallery:
    entries = [
        GalleryMemoryEntry(memory_id=each, position=place, is_featured=False, gallery_metadata="{}")
        for place, each in enumerate(memories)
    ]
    return Gallery(
        id=id,
        owner_principal=OWNER,
        title="g",
        is_public=False,
        created_at=1,
        updated_at=1,
        storage_status=StorageStatus.ICPOnly,
        memory_entries=entries,
    )


def group(id: str) -> ConnectionGroup:
    return ConnectionGroup(id=id, name="all", members=[FRIEND], created_at=1, updated_at=1)


def connection(status: ConnectionStatus) -> Connection:
    return Connection(peer=FRIEND, status=status, created_at=1, updated_at=1)


def event(recorded_at: int, opens_at: int) -> RecordedEvent:
    return RecordedEvent(event=WEDDING, recorded_at=recorded_at, recorded_by=OWNER, opens_at=opens_at)


def side(
    *items: MemoryRecord | Gallery | ConnectionGroup | Connection | RecordedEvent,
    waits: dict[EventKind, int] | None = None,
) -> Side:
    return Side(
        capsule_id="cap",
        bound=False,
        memories={item.id: item for item in items if isinstance(item, MemoryRecord)},
        galleries={item.id: item for item in items if isinstance(item, Gallery)},
        connections={name_of(item.peer): item for item in items if isinstance(item, Connection)},
        groups={item.id: item for item in items if isinstance(item, ConnectionGroup)},
        events={key_of_event(item): item for item in items if isinstance(item, RecordedEvent)},
        executors=frozenset(),
        waits=waits or {},
    )


def test_equal_sides_differ_in_nothing_and_dates_are_no_difference() -> None:
    assert not difference_back(side(memory("a", at=1)), side(memory("a", at=2)), NOW)


def test_what_is_new_changed_and_gone_is_added_changed_and_deleted() -> None:
    there = side(memory("same"), memory("changed", name="new"), memory("added", content=b"y"))
    here = side(memory("same"), memory("changed"), memory("gone", content=b"z"))
    found = difference_back(there, here, NOW)
    assert (found.memories.add, found.memories.change, found.memories.delete) == (["added"], ["changed"], ["gone"])
    assert found.counts == {"added": 1, "changed": 1, "deleted": 1, "events": 0}


def test_the_same_thing_under_another_id_is_no_difference_each_one_once() -> None:
    there = side(memory("old"), memory("new-1", content=b"y"), memory("new-2", content=b"y"))
    found = difference_back(there, side(memory("old"), memory("brought", content=b"y")), NOW)
    assert (found.memories.add, found.memories.delete) == (["new-2"], [])
    assert found.memories.ids == {"old": "old", "new-1": "brought"}


def test_rules_and_galleries_name_things_by_their_ids_on_the_other_side() -> None:
    def rule(group_id: str) -> MemoryAccess:
        return MemoryAccess(Custom=CustomAccess(individuals=[], groups=[group_id]))

    there = side(group("there"), memory("m-there", access=rule("there")), gallery("g-there", "m-there"))
    here = side(group("here"), memory("m-here", access=rule("here")), gallery("g-here", "m-here"))
    assert not difference_back(there, here, NOW)
    found = difference_back(there, replace(here, groups={}), NOW)
    assert found.groups.add == ["there"]
    assert found.memories.add == ["m-there"], "as long as its group isn't there it isn't the same"


def test_a_group_that_is_gone_grants_nothing_on_either_side() -> None:
    rule = MemoryAccess(Custom=CustomAccess(individuals=[], groups=["gone"]))
    nobody = MemoryAccess(Custom=CustomAccess(individuals=[], groups=[]))
    assert not difference_back(side(memory("a", access=rule)), side(memory("a", access=nobody)), NOW)


def test_who_is_shut_out_comes_first() -> None:
    other = PersonRef(Opaque="other")
    accepted = Connection(peer=other, status=ConnectionStatus.Accepted, created_at=1, updated_at=1)
    found = difference_back(side(accepted, connection(ConnectionStatus.Blocked)), side(), NOW)
    assert [each.status for each in found.connect] == [ConnectionStatus.Blocked, ConnectionStatus.Accepted]


def test_what_is_open_there_is_recorded_and_what_was_taken_back_is_revoked() -> None:
    assert difference_back(side(event(5, NOW)), side(), NOW).record == [WEDDING]
    assert difference_back(side(event(5, NOW)), side(event(5, NOW + 1)), NOW).record == [WEDDING]
    assert difference_back(side(), side(event(5, NOW + 1)), NOW).revoke == [WEDDING]


def test_what_waits_there_since_it_was_recorded_anew_is_left_and_opens_nothing_here() -> None:
    found = difference_back(side(event(9, NOW + 9)), side(event(5, NOW + 5)), NOW)
    assert (found.revoke, found.record) == ([WEDDING], [])
    assert len(found.left) == 1
    same = difference_back(side(event(5, NOW + 5)), side(event(5, NOW + 5)), NOW)
    assert not same
    assert same.left == []
