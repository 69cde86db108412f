"""What is believed of the source: one revision, each chunk by its SHA-256, each memory by its checksums; and no cycles
for a module that isn't approved."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import (
    CreatePersonalCanisterConfig,
    CreationProgress,
    CreationStatus,
    DetailedCreationStatus,
    LeaseRef,
)
from canister_factory.contract.manifest_models import (
    CapsuleManifest,
    ItemKind,
    ManifestEntry,
    ManifestPage,
    MemoryManifest,
)
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import ExportError, InstallError, SourceMovedError, VerifyError
from canister_factory.factory.events import Event, StageStarted
from canister_factory.factory.export import Source
from canister_factory.factory.lease import Lease
from canister_factory.factory.manifest import SCHEME, Entry, content_checksum
from canister_factory.factory.patience import Patience
from canister_factory.factory.stages import Stages
from canister_factory.factory.verify import check_certificate

OWNER = Principal(b"owner\x02")
BACKEND = Principal(bytes(8) + b"\x01\x01")
CHUNKS = [hashlib.sha256(bytes([number])).digest() for number in range(2)]


def memory(id: str) -> ManifestEntry:
    return ManifestEntry(
        kind=ItemKind.Memory,
        id=id,
        record_checksum=b"r" * 32,
        content_checksum=content_checksum(CHUNKS),
        size=2,
        chunk_size=1,
        total_chunks=2,
    )


def content(id: str, checksums: list[bytes] = CHUNKS) -> MemoryManifest:
    return MemoryManifest(
        memory_id=id,
        total_chunks=2,
        total_size=2,
        chunk_size=1,
        chunk_checksums=checksums,
        final_checksum=content_checksum(CHUNKS),
    )


def manifest() -> CapsuleManifest:
    return CapsuleManifest(
        scheme=SCHEME,
        capsule_id="c",
        origin=BACKEND,
        api_version="1.0.0",
        revision=7,
        taken_at=0,
        memories=0,
        galleries=0,
        connections=0,
        connection_groups=0,
        content_size=0,
        manifest_hash=b"h" * 32,
    )


class Backend:
    """A source with two pages of one memory each; keeps what it was asked."""

    canister_id = BACKEND

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.revisions = [7, 7]
        self.contents = [content("a"), content("b")]
        self.chunk = bytes([0])

    async def begin_export(self, lease: LeaseRef, lock: bool) -> CapsuleManifest:
        self.asked.append("begin_export")
        return manifest()

    async def list_export_entries(self, lease: LeaseRef, after: Any, limit: int) -> ManifestPage:
        number = 0 if after is None else 1
        entry = memory("ab"[number])
        following = Entry.of(entry).key.ref() if number == 0 else None
        return ManifestPage(entries=[entry], next=following, revision=self.revisions[number])

    async def get_export_memory_manifests(self, lease: LeaseRef, ids: list[str]) -> list[MemoryManifest]:
        return self.contents

    async def read_export_chunk(self, lease: LeaseRef, memory_id: str, index: int) -> bytes:
        self.asked.append("read_export_chunk")
        return self.chunk

    async def list_releases(self) -> list[Any]:
        self.asked.append("list_releases")
        return []

    async def provision_canister(self, lease: LeaseRef) -> Any:
        self.asked.append("provision_canister")


def source(backend: Any) -> Source:
    config = FactoryConfig()
    return Source(backend, LeaseRef(owner=OWNER, lease=1), Patience(config), config)


async def test_entries_are_listed_over_all_pages_of_one_revision() -> None:
    entries = await source(Backend()).entries(7)
    assert [key.id for key in entries] == ["a", "b"]
    moving = Backend()
    moving.revisions = [7, 8]
    with pytest.raises(SourceMovedError, match="from revision 7 to 8"):
        await source(moving).entries(7)


async def test_a_chunk_with_other_bytes_is_read_twice_and_then_refused() -> None:
    backend = Backend()
    assert await source(backend).chunk("a", 0, CHUNKS[0]) == bytes([0])
    backend.asked.clear()
    with pytest.raises(ExportError, match="nothing of it was imported"):
        await source(backend).chunk("a", 1, CHUNKS[1])
    assert backend.asked == ["read_export_chunk"] * 2


async def test_chunk_checksums_must_make_the_checksum_of_the_entry() -> None:
    entries = [Entry.of(memory("a")), Entry.of(memory("b"))]
    backend = Backend()
    assert [found.memory_id async for found in source(backend).memory_manifests(entries)] == ["a", "b"]
    backend.contents = [content("a", CHUNKS[::-1])]
    with pytest.raises(ExportError, match="don't add up"):
        [found async for found in source(backend).memory_manifests(entries)]
    backend.contents = [content("b")]
    with pytest.raises(SourceMovedError, match="no content of memory a any more"):
        [found async for found in source(backend).memory_manifests(entries)]


async def test_a_module_that_is_no_release_ends_the_stages_before_cycles_are_spent() -> None:
    creation = DetailedCreationStatus(
        owner=OWNER,
        status=CreationStatus.NotStarted,
        config=CreatePersonalCanisterConfig(),
        created_at=0,
        updated_at=0,
        attempts=1,
        cycles_consumed=0,
        progress=CreationProgress(
            stage=CreationStatus.NotStarted, bytes_done=0, bytes_total=0, items_done=0, items_total=0
        ),
        progress_message="",
        verified=False,
    )
    backend: Any = Backend()
    config, events = FactoryConfig(), list[Event]()
    patience = Patience(config)

    async def no_sleep(seconds: float) -> None:
        raise AssertionError("nothing is waited for")

    agent: Any = None
    lease = Lease(backend, OWNER, config, patience, sleep=no_sleep)
    stages = Stages(
        agent, backend, creation, lease, personal_wasm(), config, patience, emit=events.append, sleep=no_sleep
    )
    with pytest.raises(InstallError, match="No cycles were spent"):
        await stages.run()
    assert stages.stage == CreationStatus.Creating
    assert backend.asked == ["begin_export", "list_releases"]
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    assert started == [CreationStatus.Exporting, CreationStatus.Creating]


def test_a_manifest_without_a_certificate_is_not_believed() -> None:
    with pytest.raises(VerifyError, match="without a certificate"):
        check_certificate(None, manifest(), BACKEND, b"root key", 0)
