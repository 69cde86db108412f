"""The import side of a personal canister: what is asked of it, page by page and in what portions."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.candid.values import Case
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.import_models import (
    FinalizedImport,
    ImportBatch,
    ImportLimits,
    ImportOutcome,
    ImportSession,
    ImportState,
    ImportStatus,
    MemoryChunk,
    PendingChunk,
    PendingMemory,
)
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.factory.manifest import ItemKey, Kind
from canister_factory.factory.target import NOTHING, Pending
from support.ic_test_support import NOW_NS
from support.personal_script import CAPSULE, ENTRIES, PersonalScript, by_key

REFUSED = CapsuleError.model_validate({"InvalidArgument": {"field": "session", "reason": "another one is active"}})


def session(id: int = 7, state: ImportState = ImportState.Active) -> ImportSession:
    limits = ImportLimits(max_chunk_bytes=1, max_import_bytes=2, session_timeout_ns=3)
    return ImportSession(
        id=id,
        state=state,
        started_at=NOW_NS,
        last_activity_at=NOW_NS,
        expires_at=NOW_NS,
        bytes_received=0,
        memories_committed=0,
        limits=limits,
    )


def pending(id: str, *chunks: int, has_record: bool = False) -> PendingMemory:
    held = [PendingChunk(index=index, sha256=bytes([index]) * 32) for index in chunks]
    return PendingMemory(memory_id=id, has_record=has_record, chunks=held)


def batch(*, finalize: bool) -> ImportBatch:
    return ImportBatch(removed=[], items=[], chunks=[chunk(0)], commits=[], finalize=finalize)


def chunk(index: int) -> MemoryChunk:
    return MemoryChunk(memory_id="m", index=index, bytes=b"bytes", sha256=b"s" * 32)


@pytest.fixture
def personal() -> PersonalScript:
    script = PersonalScript(*ENTRIES)
    script.answers["begin_import"] = lambda: session()
    script.answers["get_import_status"] = lambda page: ImportStatus(session=session(), pending=[], next=None)
    return script


async def test_everything_is_done_within_the_session_that_was_begun(personal: PersonalScript) -> None:
    for method in ("put_items", "put_memory_chunks", "commit_memories", "remove_items"):
        personal.answers[method] = lambda *arguments: None
    manifest = MemoryManifest(
        memory_id="m", total_chunks=1, total_size=5, chunk_size=5, chunk_checksums=[b"s" * 32], final_checksum=b"f" * 32
    )
    target = personal.target()
    assert (await target.begin()) == session()
    await target.put([])
    await target.put_chunks([chunk(3)])
    await target.commit([manifest])
    await target.remove([CAPSULE.key])

    assert personal.asked("put_items") == [(7, [])]
    ((number, (sent,)),) = personal.asked("put_memory_chunks")
    assert (number, sent["memory_id"], sent["index"], sent["bytes"]) == (7, "m", 3, b"bytes")
    ((number, (committed,)),) = personal.asked("commit_memories")
    assert (number, committed["memory_id"]) == (7, "m")
    assert personal.asked("remove_items") == [(7, [{"kind": Case("Capsule"), "id": CAPSULE.key.id}])]


@pytest.mark.parametrize(("page", "messages"), [(1, 6), (4, 2), (6, 1), (1_000, 1)])
async def test_entries_are_listed_to_the_last_page(personal: PersonalScript, page: int, messages: int) -> None:
    assert await personal.target(entries_per_page=page).entries() == by_key(*ENTRIES)
    asked = personal.asked("list_import_entries")
    assert [limit for _, limit in asked] == [page] * messages
    assert len({str(after) for after, _ in asked}) == messages, "each page once"


async def test_what_is_pending_is_listed_to_the_last_page(personal: PersonalScript) -> None:
    pages = {
        None: ImportStatus(session=session(), pending=[pending("a", 0, 2)], next="a"),
        "a": ImportStatus(session=session(), pending=[pending("b", has_record=True)], next=None),
    }
    personal.answers["get_import_status"] = lambda page: pages[page["after"]]
    assert await personal.target().pending() == {
        "a": Pending(False, {0: bytes(32), 2: b"\x02" * 32}),
        "b": Pending(True, {}),
    }
    assert [page["limit"] for (page,) in personal.asked("get_import_status")] == [100, 100]


def test_nothing_pending_is_neither_record_nor_chunk() -> None:
    assert (NOTHING.has_record, dict(NOTHING.chunks)) == (False, {})


def test_what_is_pending_cannot_be_changed_by_whoever_reads_it() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        NOTHING.chunks[0] = b""  # type: ignore[index]


@pytest.mark.parametrize("state", [*ImportState, None])
async def test_the_latest_session_is_told_in_any_state(personal: PersonalScript, state: ImportState | None) -> None:
    latest = None if state is None else session(state=state)
    personal.answers["get_import_status"] = lambda page: ImportStatus(session=latest, pending=[], next=None)
    assert await personal.target().latest() == latest
    assert [page["limit"] for (page,) in personal.asked("get_import_status")] == [1]


@pytest.mark.parametrize(("count", "portions"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
async def test_items_are_removed_a_message_s_worth_at_a_time(
    personal: PersonalScript, count: int, portions: list[int]
) -> None:
    personal.answers["remove_items"] = lambda *arguments: None
    target = personal.target(items_per_message=3)
    await target.begin()
    keys = [ItemKey(Kind.GALLERY, f"g{i}") for i in range(count)]
    await target.remove(keys)
    sent = [items for _, items in personal.asked("remove_items")]
    assert [len(items) for items in sent] == portions
    assert [item["id"] for items in sent for item in items] == [key.id for key in keys]


async def test_its_repr_names_canister_and_session(personal: PersonalScript) -> None:
    target = personal.target()
    assert repr(target) == f"Target({target.client.canister_id}, session None)"
    await target.begin()
    assert repr(target).endswith("session 7)")


async def test_a_batch_names_the_session_for_what_comes_after_it(personal: PersonalScript) -> None:
    final = FinalizedImport(total_memories_imported=2, total_size_imported=10)
    personal.answers["import_batch"] = lambda batch: ImportOutcome(session=9, final=final)
    target = personal.target()
    await target.batch(batch(finalize=True))
    assert [sent["finalize"] for (sent,) in personal.asked("import_batch")] == [True]
    personal.answers["remove_items"] = lambda session, refs: None
    await target.remove([ItemKey(Kind.MEMORY, "m")])
    assert [number for number, _ in personal.asked("remove_items")] == [9]


@pytest.mark.parametrize("ended", [True, False])
async def test_a_batch_that_an_earlier_call_has_ended_is_a_success(personal: PersonalScript, ended: bool) -> None:
    state = ImportState.Completed if ended else ImportState.Active
    personal.answers["import_batch"] = lambda batch: REFUSED
    personal.answers["get_import_status"] = lambda page: ImportStatus(session=session(7, state), pending=[], next=None)
    if ended:
        await personal.target().batch(batch(finalize=True))
        assert len(personal.asked("get_import_status")) == 1, "the canister says that it is final"
        return
    with pytest.raises(CapsuleRefused, match="another one is active"):
        await personal.target().batch(batch(finalize=True))


async def test_what_is_put_waits_for_a_canister_that_is_still_being_made(personal: PersonalScript) -> None:
    personal.answers["import_batch"] = lambda batch: ImportOutcome(session=9, final=None)
    personal.answers["put_items"] = personal.answers["put_memory_chunks"] = lambda session, given: None
    target = personal.target()
    await target.batch(batch(finalize=False))
    personal.calls.clear()
    target.is_ready.clear()
    waiting = asyncio.gather(target.put([]), target.put_chunks([chunk(0)]), target.batch(batch(finalize=False)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert personal.calls == []
    target.is_ready.set()
    await waiting
    assert {method for method, _ in personal.calls} == {"put_items", "put_memory_chunks", "import_batch"}


async def test_what_comes_first_begins_a_session_and_what_follows_is_stored_in_it(personal: PersonalScript) -> None:
    personal.answers["import_batch"] = lambda batch: ImportOutcome(session=9, final=None)
    personal.answers["put_memory_chunks"] = lambda session, chunks: None
    target = personal.target()
    await target.put_chunks([])
    await target.put_chunks([])
    assert [sent["finalize"] for (sent,) in personal.asked("import_batch")] == [False]
    assert [number for number, _ in personal.asked("put_memory_chunks")] == [9]
