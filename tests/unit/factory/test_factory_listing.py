"""What a canister may list that its owner controls: everything else is an error with its name, on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.errors import PagingError
from canister_factory.contract.import_models import ImportStatus, PendingChunk, PendingMemory
from canister_factory.contract.manifest_models import ManifestPage
from canister_factory.factory import listing
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.listing import MAX_ID_CHARACTERS, MAX_PENDING, entries_kept, pending_kept
from canister_factory.factory.manifest import Entry, ItemKey, Kind
from support.ic_test_support import CANISTER
from support.personal_script import CAPSULE, GALLERY, MEMORY, PersonalScript, as_wire


def page(*entries: Entry, following: ItemKey | None = None) -> ManifestPage:
    return ManifestPage(entries=[as_wire(entry) for entry in entries], next=following and following.ref(), revision=1)


def test_entries_rise_by_kind_and_id_and_pending_memories_count_with_their_chunks() -> None:
    entries, pending = entries_kept(CANISTER, FactoryConfig(max_entries=7)), pending_kept(CANISTER)
    assert entries.rank is not None
    assert entries.rank(as_wire(MEMORY)) == entries.rank(MEMORY.key.ref()) == MEMORY.key
    assert (entries.most, pending.most) == (7, MAX_PENDING)
    assert pending.count is not None
    chunks = [PendingChunk(index=index, sha256=bytes(32)) for index in range(2)]
    held = [PendingMemory(memory_id=id, has_record=True, chunks=chunks) for id in "ab"]
    assert pending.count(ImportStatus(pending=held)) == 6


def endless(number: int) -> ManifestPage:
    key = ItemKey(Kind.MEMORY, f"m{number:06}")
    return page(MEMORY._replace(key=key), following=key)


HOSTILE: dict[str, tuple[Any, str]] = {
    "repeats": (lambda number: page(CAPSULE, MEMORY, following=MEMORY.key), "comes again to where it was"),
    "goes backwards": (lambda number: page([GALLERY, MEMORY][number % 2], following=GALLERY.key), "goes backwards"),
    "is empty and leads on": (lambda number: page(following=ItemKey(Kind.MEMORY, f"m{number}")), "an empty page"),
    "never ends": (endless, "has more than 40 items"),
    "has ids that nobody has": (
        lambda number: page(MEMORY._replace(key=ItemKey(Kind.MEMORY, "m" * (MAX_ID_CHARACTERS + 1)))),
        "an id of 301 characters",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_a_list_of_entries_that_doesnt_end_is_ended(how: str) -> None:
    personal = PersonalScript()
    answer, words = HOSTILE[how]
    personal.answers["list_import_entries"] = lambda after, limit: answer(len(personal.calls))
    with pytest.raises(PagingError, match=f"the list of entries of {CANISTER} .*{words}"):
        await personal.target(max_entries=40).entries()
    assert len(personal.calls) <= 41


@pytest.mark.parametrize("size", [0, 31, 33, 1_000_000])
@pytest.mark.parametrize("of_record", [True, False], ids=["record", "content"])
async def test_a_checksum_of_another_length_ends_the_list(size: int, of_record: bool) -> None:
    personal, wrong = PersonalScript(), bytes(size)
    entry = MEMORY._replace(record_checksum=wrong) if of_record else MEMORY._replace(content_checksum=wrong)
    personal.answers["list_import_entries"] = lambda after, limit: page(entry)
    with pytest.raises(PagingError, match=f"has a checksum of {size:,} bytes, not of 32"):
        await personal.target().entries()


async def test_a_chunk_s_checksum_of_another_length_ends_the_list() -> None:
    personal = PersonalScript()
    chunks = [PendingChunk(index=0, sha256=bytes(500_000))]
    pending = PendingMemory(memory_id="m", has_record=True, chunks=chunks)
    personal.answers["get_import_status"] = lambda asked: ImportStatus(pending=[pending])
    with pytest.raises(PagingError, match="has a checksum of 500,000 bytes, not of 32"):
        await personal.target().pending()


async def test_a_list_of_pending_memories_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PENDING", 1_000)
    personal = PersonalScript()
    chunks = [PendingChunk(index=index, sha256=bytes(32)) for index in range(99)]

    def status(asked: Any) -> ImportStatus:
        id = f"m{len(personal.calls):06}"
        return ImportStatus(pending=[PendingMemory(memory_id=id, has_record=True, chunks=chunks)], next=id)

    personal.answers["get_import_status"] = status
    with pytest.raises(PagingError, match=f"the list of pending memories of {CANISTER} has more than 1,000 items"):
        await personal.target().pending()
    assert len(personal.calls) == 11


async def test_a_list_of_pending_memories_that_repeats_is_ended() -> None:
    personal = PersonalScript()
    pending = PendingMemory(memory_id="m", has_record=True, chunks=[])
    personal.answers["get_import_status"] = lambda asked: ImportStatus(pending=[pending], next="m")
    with pytest.raises(PagingError, match="comes again to where it was"):
        await personal.target().pending()
    assert len(personal.calls) == 2


async def test_ids_as_long_as_any_are_listed() -> None:
    longest = MEMORY._replace(key=ItemKey(Kind.CONNECTION, "m" * MAX_ID_CHARACTERS))
    assert await PersonalScript(CAPSULE, longest).target().entries() == {CAPSULE.key: CAPSULE, longest.key: longest}
