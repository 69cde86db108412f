"""What a copying pass has to do: the difference between both sides.

Owns the comparison and the order of the work. Does not own: doing it (`copy_pass`), and judging the result (`verify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from canister_factory.factory.manifest import Entry, ItemKey, Kind
from canister_factory.factory.target import Pending


@dataclass(frozen=True, slots=True)
class Difference:
    """What makes the target equal to the source, in the order in which it is done."""

    removed: list[ItemKey]
    records: list[ItemKey]
    contents: list[Entry]


def difference(
    source: Mapping[ItemKey, Entry], target: Mapping[ItemKey, Entry], pending: Mapping[str, Pending]
) -> Difference:
    """Compares both sides' entries, and what the target has begun.

    A memory whose content changed is removed first, together with pending chunks, and then stored anew: the target
    takes no other bytes under an index that it has.
    """
    removed = [key for key in target if key not in source and key.kind is not Kind.CAPSULE]
    removed += [key for key in (ItemKey(Kind.MEMORY, id) for id in pending) if key not in source and key not in target]
    records: list[ItemKey] = []
    contents: list[Entry] = []
    for key in sorted(source):
        entry, stored = source[key], target.get(key)
        if entry.content_checksum is not None and (stored is None or stored.content != entry.content):
            contents.append(entry)
            if stored is not None:
                removed.append(key)
                records.append(key)
                continue
            begun = pending.get(key.id)
            if begun is not None and begun.has_record:
                # The record may be of an earlier revision; storing it again costs less than asking.
                records.append(key)
                continue
        if stored is None or stored.record_checksum != entry.record_checksum or stored.content != entry.content:
            records.append(key)
    return Difference(removed, records, contents)
