"""What quotas must say is used, added up from what the people of a test can see of their capsules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from support.backend_world import ADMIN, World, interface

GRANULE = 16
COUNTED = ("content_bytes", "record_bytes", "memories", "galleries", "capsules", "uploads", "nonces")
NOBODY = dict.fromkeys(COUNTED, 0)

Sum = Counter[str]


BESIDE_A_MEMORY, BESIDE_AN_ITEM, FOR_A_MEMBER = 500, 200, 40
"""Bytes that records are charged beside what is encoded of them."""


def record_size(kind: str, record: Any) -> int:
    """Bytes of a record's Candid encoding, without its types: a message with two has as many more, and a type."""
    t = dict(interface("backend").types)[kind]
    return len(encode([t, t], [record, record])) - len(encode([t], [record])) - 1


def content(size: int, chunk_size: int) -> Sum:
    """What a content is charged, chunk by chunk."""
    sizes = [min(chunk_size, size - start) for start in range(0, size, chunk_size or 1)]
    return Counter(content_bytes=sum(-(-each // GRANULE) * GRANULE for each in sizes), record_bytes=100 * len(sizes))


def memories(world: World, capsule_id: str, owner: Principal) -> Sum:
    total: Sum = Counter()
    for summary in world.ok("list_capsule_memories", capsule_id, {"limit": 1_000}, sender=owner)["items"]:
        size = record_size("MemoryRecord", summary["memory"])
        total += content(summary["size"], summary["chunk_size"]) + Counter(
            record_bytes=BESIDE_A_MEMORY + size, memories=1
        )
    return total


def capsule(world: World, capsule_id: str, owner: Principal, custom_events: Iterable[str] = ()) -> Sum:
    """A capsule with all that is in it."""
    seen = world.ok("get_capsule", capsule_id, sender=owner)
    total = memories(world, capsule_id, owner) + Counter(capsules=1, record_bytes=1_000)
    for kind, field in (
        ("Gallery", "galleries"),
        ("Connection", "connections"),
        ("ConnectionGroup", "connection_groups"),
    ):
        total["record_bytes"] += sum(BESIDE_AN_ITEM + record_size(kind, each["value"]) for each in seen[field])
    total["record_bytes"] += sum(FOR_A_MEMBER * len(each["value"]["members"]) for each in seen["connection_groups"])
    total["galleries"] = len(seen["galleries"])
    total["record_bytes"] += sum(100 + len(event.encode()) for event in custom_events)
    return total


def as_usage(total: Sum) -> dict[str, int]:
    return {name: total[name] for name in COUNTED}


def used(world: World, person: Principal) -> dict[str, int]:
    """What the backend says that a person uses."""
    found: dict[str, int] = world.ok("get_my_quota", sender=person)["used"]
    return found


def used_by_all(world: World) -> dict[str, int]:
    found: dict[str, int] = world.ok("get_quotas", sender=ADMIN)["used"]
    return found
