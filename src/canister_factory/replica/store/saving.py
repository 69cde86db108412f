"""What a snapshot consists of, as it is when the snapshot begins: canisters and their memories may change meanwhile.

Owns keeping that, and taking it back where the snapshot fails. Does not own what is written of it (`directory`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from canister_factory.replica.runtime.engine import Module
from canister_factory.replica.runtime.memory import MemoryTransaction
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.store.images import Run
from canister_factory.replica.store.journal import Journal
from canister_factory.replica.store.kept_statuses import SavedStatuses
from canister_factory.replica.store.manifest import Manifest
from canister_factory.replica.store.snapshot import StoredCanister
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.snapshot import Snapshot


class _Readable(Protocol):
    def read_committed(self, offset: int, size: int) -> bytes: ...


class SavedMemory:
    """A memory as it is now: `images.StoredMemory`. From here on the memory notes what a later snapshot has to write.

    Args:
        memory: with its content.
        known_as: what the image goes on from that is there; None: there is none.
        beside: the memory may change while this is read, by another thread.
    """

    def __init__(self, memory: MemoryTransaction | StableMemory, known_as: object, *, beside: bool) -> None:
        self._memory = memory
        self._former = memory.saved_as
        self.has_image = known_as is not None and memory.saved_as is known_as
        self.length = memory.length
        self._unsaved = memory.unsaved()
        self._runs = self._unsaved if self.has_image else None
        self._content: _Readable = memory
        if beside and self.length and self._runs != []:
            self._content = memory.reader() if isinstance(memory, StableMemory) else memory.view()
        memory.mark_saved()
        self.saved_as = memory.saved_as

    def read_committed(self, offset: int, size: int) -> bytes:
        return self._content.read_committed(offset, size)

    def unsaved(self) -> list[Run] | None:
        return self._runs

    def end(self, *, saved: bool) -> None:
        """Lets go of the content; what was to be saved is still to be, if it wasn't."""
        if isinstance(self._content, MemoryTransaction) and self._content is not self._memory:
            self._content.close()
        self._content = self._memory
        if not saved:
            self._memory.unmark_saved(self._unsaved, self._former)


@dataclass(frozen=True, slots=True)
class SavedCanister:
    """A canister as it is now, as far as it isn't in the encoded state. `main`: None where it has no code."""

    id: bytes
    module: Module | None
    globals: tuple[int, ...]
    main: SavedMemory | None
    stable: SavedMemory
    snapshots: dict[bytes, Snapshot]

    @property
    def saved_as(self) -> tuple[object, object]:
        """What the memories' next changes go on from."""
        return None if self.main is None else self.main.saved_as, self.stable.saved_as

    @property
    def memories(self) -> list[SavedMemory]:
        return [self.stable] if self.main is None else [self.main, self.stable]


def saved_canister(canister: CanisterState, known_as: tuple[object, object], *, beside: bool) -> SavedCanister:
    """The canister as it is now. `known_as`: what its images go on from, of main and stable memory."""
    main_as, stable_as = known_as
    instance = canister.instance
    stable = SavedMemory(canister.stable, stable_as, beside=beside)
    if instance is None:
        return SavedCanister(canister.id, None, (), None, stable, dict(canister.snapshots))
    values = instance.global_values
    main = SavedMemory(instance.memory, main_as, beside=beside)
    return SavedCanister(canister.id, instance.module, values, main, stable, dict(canister.snapshots))


@dataclass(slots=True)
class Saving:
    """A snapshot that has begun.

    Attributes:
        number: its generation.
        salt: of its journal.
        state: encoded.
        statuses: of requests, which the encoded state hasn't.
        canisters: all of them.
        journal: what follows it is noted there, too; it isn't valid before the snapshot is.
        manifest, stored, change_runs: once the files are written: what is valid then.
        before: the canisters of the state before, once this one is valid.
        former: the names of files that may go then.
    """

    number: int
    salt: bytes
    state: bytes
    statuses: SavedStatuses
    journal: Journal
    canisters: list[SavedCanister] = field(default_factory=list)
    manifest: Manifest | None = None
    stored: dict[bytes, StoredCanister] = field(default_factory=dict)
    change_runs: list[tuple[str, int, int]] = field(default_factory=list)
    before: dict[bytes, StoredCanister] = field(default_factory=dict)
    former: set[str] = field(default_factory=set)

    def end(self, *, saved: bool) -> None:
        """As `SavedMemory.end`, for all memories."""
        for canister in self.canisters:
            for memory in canister.memories:
                memory.end(saved=saved)
