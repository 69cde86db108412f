"""Connections, groups, galleries and bytes that a capsule refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT, TEXT
from canister_factory.contract.capsule_models import GalleryUpdate
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.memory_models import (
    AccessEvent,
)
from canister_factory.contract.person_models import (
    ConnectionGroupUpdate,
    ConnectionStatus,
    NewConnectionGroup,
    PersonRef,
)
from canister_factory.ic.errors import RejectedError
from support.capsule_bad_values import NO_ONE, about, gallery, place
from support.capsule_world import (
    CapsuleWorld,
    person,
)

# --- connections and groups ------------------------------------------------------------------------------------------


async def test_nobody_is_connected_to_themselves_to_nobody_or_twice(capsule: CapsuleWorld) -> None:
    for peer in (person(capsule.owner), NO_ONE, PersonRef(Opaque="")):
        wrong = await capsule.refused("InvalidArgument", capsule.owner.add_connection(peer))
        assert wrong.field == "peer"
    await capsule.refused("LimitExceeded", capsule.owner.add_connection(PersonRef(Opaque="x" * 256)))
    await capsule.owner.add_connection(person(capsule.friend))
    await capsule.owner.update_connection_status(person(capsule.friend), ConnectionStatus.Accepted)
    twice = await capsule.refused("AlreadyExists", capsule.owner.add_connection(person(capsule.friend)))
    assert twice.kind == "connection"


@pytest.mark.parametrize(
    ("wrong", "kind", "what"),
    [
        ({"name": ""}, "InvalidArgument", "name"),
        ({"name": "x" * 256}, "LimitExceeded", "characters of name"),
        ({"description": "x" * 10_001}, "LimitExceeded", "characters of description"),
        ({"members": [NO_ONE]}, "InvalidArgument", "members"),
        ({"members": [PersonRef(Opaque="x" * 10)] * 1_001}, "LimitExceeded", "entries of members"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_group_that_makes_no_sense_is_refused(
    capsule: CapsuleWorld, wrong: dict[str, Any], kind: str, what: str
) -> None:
    made = await capsule.owner.create_connection_group(NewConnectionGroup(name="Near", members=[]))
    group = NewConnectionGroup(**{"name": "x", "members": [], **wrong})
    assert about(kind, await capsule.refused(kind, capsule.owner.create_connection_group(group))) == what
    change = capsule.owner.update_connection_group(made, ConnectionGroupUpdate(**wrong))
    assert about(kind, await capsule.refused(kind, change)) == what


# --- galleries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "what"),
    [
        (lambda memory: {"title": ""}, "InvalidArgument", "title"),
        (lambda memory: {"title": "x" * 256}, "LimitExceeded", "characters of title"),
        (lambda memory: {"description": "x" * 10_001}, "LimitExceeded", "characters of description"),
        (lambda memory: {"memory_entries": [place(memory), place("mem-none")]}, "NotFound", "memory"),
        (lambda memory: {"memory_entries": [place("")]}, "InvalidArgument", "memory_entries.memory_id"),
        (
            lambda memory: {"memory_entries": [place(memory, gallery_caption="x" * 1_001)]},
            "LimitExceeded",
            "characters of memory_entries.gallery_caption",
        ),
        (
            lambda memory: {"memory_entries": [place(memory, gallery_metadata="x" * 10_001)]},
            "LimitExceeded",
            "characters of memory_entries.gallery_metadata",
        ),
        (lambda memory: {"memory_entries": [place(memory)] * 5_001}, "LimitExceeded", "entries of a gallery"),
    ],
    ids=["no title", "long title", "long description", "unknown memory", "no memory", "caption", "metadata", "entries"],
)
async def test_a_gallery_that_makes_no_sense_is_refused(
    capsule: CapsuleWorld, wrong: Callable[[str], dict[str, Any]], kind: str, what: str
) -> None:
    memory_id = await capsule.add()
    stored = await capsule.owner.store_gallery_forever(gallery(memory_entries=[place(memory_id)]))
    fields = wrong(memory_id)
    assert about(kind, await capsule.refused(kind, capsule.owner.store_gallery_forever(gallery(**fields)))) == what
    update = capsule.owner.update_gallery(stored.id, GalleryUpdate(**fields))
    assert about(kind, await capsule.refused(kind, update)) == what


# --- events and bytes that are no call -------------------------------------------------------------------------------


async def test_an_event_without_a_name_is_refused(capsule: CapsuleWorld) -> None:
    wrong = await capsule.refused(
        "InvalidArgument", capsule.owner.record_capsule_event(capsule.capsule_id, AccessEvent(Custom=""))
    )
    assert wrong.field == "event"


async def test_arguments_that_are_no_candid_or_of_other_types_change_nothing(capsule: CapsuleWorld) -> None:
    before = await capsule.stored()
    client: CapsuleClient = capsule.owner
    for argument in (b"", b"garbage", b"DIDL", encode([NAT], [7]), encode([TEXT], ["x"])[:-1]):
        with pytest.raises(RejectedError, match="IDL error"):
            await client.agent.update(capsule.canister_id, "delete_memory_from_capsule", argument)
    assert await capsule.stored() == before
