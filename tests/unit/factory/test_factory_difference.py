"""What a copying pass decides to do, from the entries of both sides and what is pending."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from canister_factory.factory.difference import difference
from canister_factory.factory.manifest import Entry, ItemKey, Kind
from canister_factory.factory.target import Pending

CAPSULE = Entry(ItemKey(Kind.CAPSULE, "capsule"), b"r" * 32, None, 0, 0, 0)


def entry(kind: Kind, id: str, record: int = 1, content: int | None = None) -> Entry:
    checksum = None if content is None else bytes([content]) * 32
    size = 0 if content is None else content
    return Entry(ItemKey(kind, id), bytes([record]) * 32, checksum, size, 4, 1 if content else 0)


def by_key(*entries: Entry) -> dict[ItemKey, Entry]:
    return {entry.key: entry for entry in entries}


def test_equal_sides_need_nothing() -> None:
    both = by_key(CAPSULE, entry(Kind.MEMORY, "m", content=3), entry(Kind.GALLERY, "g"))
    todo = difference(both, both, {})
    assert (todo.removed, todo.records, todo.contents) == ([], [], [])


def test_into_an_empty_target_everything_goes_the_capsule_first() -> None:
    gallery, memory = entry(Kind.GALLERY, "a"), entry(Kind.MEMORY, "z", content=3)
    todo = difference(by_key(gallery, memory, CAPSULE), {}, {})
    assert todo.records == [CAPSULE.key, memory.key, gallery.key]
    assert todo.contents == [memory]


def test_a_changed_record_is_sent_without_its_bytes() -> None:
    old, new = entry(Kind.MEMORY, "m", record=1, content=3), entry(Kind.MEMORY, "m", record=2, content=3)
    todo = difference(by_key(new), by_key(old), {})
    assert (todo.removed, todo.records, todo.contents) == ([], [new.key], [])


def test_changed_bytes_replace_the_whole_memory() -> None:
    old, new = entry(Kind.MEMORY, "m", content=3), entry(Kind.MEMORY, "m", content=4)
    todo = difference(by_key(new), by_key(old), {})
    assert (todo.removed, todo.records, todo.contents) == ([new.key], [new.key], [new])


def test_what_the_source_no_longer_has_is_removed_pending_memories_too() -> None:
    gone, begun = entry(Kind.GALLERY, "g"), ItemKey(Kind.MEMORY, "begun")
    todo = difference(by_key(CAPSULE), by_key(CAPSULE, gone), {"begun": Pending(True, {0: b"x" * 32})})
    assert set(todo.removed) == {gone.key, begun}


def test_a_begun_memory_goes_on_with_a_fresh_record() -> None:
    memory = entry(Kind.MEMORY, "m", content=3)
    todo = difference(by_key(memory), {}, {"m": Pending(True, {0: b"x" * 32})})
    assert (todo.removed, todo.records, todo.contents) == ([], [memory.key], [memory])


@dataclass
class Side:
    """A target that does what the contract says."""

    entries: dict[ItemKey, Entry] = field(default_factory=dict)

    def apply(self, source: dict[ItemKey, Entry], pending: dict[str, Pending]) -> None:
        todo = difference(source, self.entries, pending)
        for key in todo.removed:
            self.entries.pop(key, None)
        records = set(todo.records)
        for content in todo.contents:
            assert content.key in records, "content without its record"
        for key in todo.records:
            self.entries[key] = source[key]


IDS = st.sampled_from(["a", "b", "c", "d"])
MEMORIES = st.builds(entry, st.just(Kind.MEMORY), IDS, st.integers(1, 3), st.none() | st.integers(1, 3))
OTHERS = st.builds(
    entry, st.sampled_from([Kind.GALLERY, Kind.CONNECTION, Kind.CONNECTION_GROUP]), IDS, st.integers(1, 3)
)
STATES = st.lists(MEMORIES | OTHERS, max_size=8).map(lambda entries: by_key(CAPSULE, *entries))
PENDING = st.dictionaries(IDS, st.builds(Pending, st.booleans(), st.just({0: b"x" * 32})), max_size=3)


@given(STATES, STATES, PENDING)
def test_whatever_the_target_holds_it_is_equal_afterwards(
    source: dict[ItemKey, Entry], held: dict[ItemKey, Entry], pending: dict[str, Pending]
) -> None:
    pending = {id: begun for id, begun in pending.items() if ItemKey(Kind.MEMORY, id) not in held}
    target = Side(dict(held))
    target.apply(source, pending)
    assert target.entries == source


@given(st.lists(STATES, min_size=1, max_size=5))
def test_delta_passes_over_a_moving_source_end_up_equal(states: list[dict[ItemKey, Entry]]) -> None:
    target = Side()
    for source in states:
        target.apply(source, {})
    assert target.entries == states[-1]
