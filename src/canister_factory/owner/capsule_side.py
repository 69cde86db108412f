"""A capsule as it is on one side, the personal canister or the backend, with the owner's eyes.

Owns reading it: from the personal canister item by item, against the manifest that the network certifies; from the
backend by the owner's ordinary API. Does not own: how two sides are compared (`difference_back`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.backend_client import BackendClient
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.capsule_models import Gallery
from canister_factory.contract.event_models import EventKind, RecordedEvent
from canister_factory.contract.memory_models import MemoryPage, MemoryRecord, PageRequest
from canister_factory.contract.pages import Kept, pages
from canister_factory.contract.person_models import Connection, ConnectionGroup, PersonRef
from canister_factory.contract.personal_client import PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import ExportError, SourceMovedError
from canister_factory.factory.manifest import Entry, ItemKey, Kind, manifest_hash
from canister_factory.factory.source import Source
from canister_factory.factory.verify import check_certificate
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.owner.backup import PersonalCapsule


@dataclass(frozen=True, slots=True)
class Side:
    """What a capsule holds, by id; connections and events by what they are about."""

    capsule_id: str
    bound: bool
    memories: dict[str, MemoryRecord]
    galleries: dict[str, Gallery]
    connections: dict[str, Connection]
    groups: dict[str, ConnectionGroup]
    events: dict[str, RecordedEvent]
    executors: frozenset[Principal]
    waits: dict[EventKind, int]


@dataclass(frozen=True, slots=True)
class CertifiedSide:
    """A personal canister's capsule, its certified manifest hash, and its entries; all of the same moment."""

    side: Side
    manifest_hash: bytes
    entries: dict[ItemKey, Entry]


def name_of(person: PersonRef) -> str:
    """A person as a key: equal for equal persons."""
    return f"{person.tag}:{person.value}"


def key_of_event(recorded: RecordedEvent) -> str:
    """An event as a key: equal for equal events."""
    return recorded.event.model_dump_json()


async def certified_root(client: PersonalClient, certificates: CertificateVerifier, now_ns: int) -> bytes:
    """The hash of what a personal canister holds now, as the network certifies it.

    Raises:
        VerifyError, CertificateError: it isn't certified.
        CapsuleRefused: the caller isn't the owner.
    """
    held = await client.get_manifest()
    check_certificate(held, client.canister_id, certificates, now_ns)
    return held.manifest.manifest_hash


async def read_personal(
    client: PersonalClient, certificates: CertificateVerifier, config: FactoryConfig, clock_ns: Callable[[], int]
) -> CertifiedSide:
    """Reads the capsule of the caller's personal canister.

    Raises:
        SourceMovedError: it was written meanwhile.
        ExportError: what the canister says isn't what the network certifies.
        VerifyError, CertificateError: nothing is certified.
        CapsuleRefused: the caller isn't the owner.
    """
    before = await certified_root(client, certificates, clock_ns())
    source = Source(PersonalCapsule(client), config)
    entries = (await source.listing()).entries
    records: dict[Kind, list[Any]] = {kind: [] for kind in Kind}
    async for entry, item in source.records(list(entries.values())):
        records[entry.key.kind].append(item.value)
    capsule = records[Kind.CAPSULE][0]
    waits = {wait.kind: wait.wait_ns for wait in (await client.get_event_rules(capsule.id)).waits}
    if await certified_root(client, certificates, clock_ns()) != before:
        raise SourceMovedError(f"the capsule on {client.canister_id} was written while it was read")
    if manifest_hash(entries.values()) != before:
        raise ExportError(f"what {client.canister_id} lists isn't what the network certifies for it")
    side = Side(
        capsule_id=capsule.id,
        bound=capsule.bound_to_web2,
        memories={memory.id: memory for memory in records[Kind.MEMORY]},
        galleries={gallery.id: gallery for gallery in records[Kind.GALLERY]},
        connections={name_of(connection.peer): connection for connection in records[Kind.CONNECTION]},
        groups={group.id: group for group in records[Kind.CONNECTION_GROUP]},
        events={key_of_event(recorded): recorded for recorded in capsule.events},
        executors=frozenset(executor.person for executor in capsule.executors),
        waits=waits,
    )
    return CertifiedSide(side, before, entries)


async def read_backend(backend: BackendClient, capsule_id: str, config: FactoryConfig) -> Side:
    """Reads the caller's capsule on the backend.

    Raises:
        CapsuleRefused: it isn't there, or is erased.
        PagingError: a list doesn't end.
    """
    info = await backend.get_capsule_info(capsule_id)
    rules = await backend.get_event_rules(capsule_id)
    return Side(
        capsule_id=capsule_id,
        bound=info.bound_to_web2,
        memories=await _memories(backend, capsule_id, config),
        galleries={gallery.id: gallery for gallery in await backend.get_my_galleries()},
        connections={name_of(connection.peer): connection for connection in await backend.list_connections()},
        groups={group.id: group for group in await backend.list_connection_groups()},
        events={key_of_event(recorded): recorded for recorded in await backend.list_capsule_events(capsule_id)},
        executors=frozenset(executor.person for executor in rules.executors),
        waits={wait.kind: wait.wait_ns for wait in rules.waits},
    )


async def _memories(client: CapsuleClient, capsule_id: str, config: FactoryConfig) -> dict[str, MemoryRecord]:
    async def fetch(after: str | None) -> MemoryPage:
        return await client.list_capsule_memories(capsule_id, PageRequest(after=after, limit=config.entries_per_page))

    kept: Kept[MemoryPage] = Kept("list_capsule_memories", most=config.max_entries)
    return {item.memory.id: item.memory async for page in pages(fetch, kept) for item in page.items}
