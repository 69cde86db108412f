"""Takes a backup of a backend: a snapshot of its canister, read piece by piece, and deleted when all of it is on disk.

The canister is stopped while the snapshot is taken, since a snapshot with calls under way can't be upgraded any more:
some seconds, whatever its size. What a run has begun is on disk before (`Journal`): the next run starts a canister that
was left stopped, goes on with the snapshot that was being read, and deletes it.

Owns these steps. Does not own: the files (`snapshot_files`).

Source: interface specification, "IC method take_canister_snapshot" and those that follow it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInventory
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import ContractError
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.factory.window import Window
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_snapshot_types import Slice, SnapshotMetadata, SnapshotPiece
from canister_factory.ic.management_types import CanisterStatus, ChunkHash, RunState
from canister_factory.operating.snapshot_files import Begun, Piece, SnapshotDirectory, SnapshotState, places
from canister_factory.owner.errors import BackupError

_MOST_SNAPSHOTS = 10
_RESUMED_FOR_NS = 86_400 * 10**9
"""A snapshot that was left is read to its end for a day; after that another one is taken."""


@dataclass(frozen=True, slots=True)
class BackendBackedUp:
    """What a backup did: its state, the bytes that it read and those of them that weren't on disk yet. `was_begun`: an
    interrupted run had taken the snapshot.
    """

    name: str
    state: SnapshotState
    was_begun: bool
    read_bytes: int
    new_bytes: int


class BackendBackup:
    """Copies a backend into a directory: `take` is called once.

    Args:
        agent: calls as a controller of the backend.
        directory: where to; locked by the caller.
        on_bytes: told how many bytes more were read.
        say: told what happens to the backend, for people.
    """

    def __init__(
        self,
        agent: Agent,
        backend_id: Principal,
        directory: SnapshotDirectory,
        config: FactoryConfig,
        *,
        on_bytes: Callable[[int], None] = lambda _more: None,
        say: Callable[[str], None] = lambda _message: None,
    ) -> None:
        self._agent = agent
        self._backend_id = backend_id
        self._directory = directory
        self._on_bytes = on_bytes
        self._say = say
        self._journal = directory.taking()
        self._window = Window(config.start_window, config.max_window)
        self._retry = Retry(config, on_pressure=self._window.pressure)
        self._management = ManagementCanister(agent)
        self._client = BackendClient(agent, backend_id, repeat=self._retry)
        self._writing: defaultdict[bytes, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._read = self._new = 0

    def __repr__(self) -> str:
        return f"BackendBackup({self._backend_id} to {self._directory})"

    async def take(self) -> BackendBackedUp:
        """Takes a snapshot or goes on with the one that was left, reads what isn't on disk yet, and adds the state.

        Raises:
            BackupError: the directory can't be written; the canister has no module, or no room for a snapshot.
            RejectedError: the caller doesn't control the backend; or the network refused the snapshot.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        begun = self._journal.begun()
        if begun is not None:
            begun = await self._resumed(begun)
        was_begun = begun is not None
        if begun is None:
            begun = await self._snapshot()
        assert begun.snapshot is not None
        state = await self._state(begun, begun.snapshot)
        name = self._directory.add(state)
        await self._end(begun.snapshot)
        return BackendBackedUp(name, state, was_begun, self._read, self._new)

    async def _end(self, snapshot_id: bytes) -> None:
        """Deletes the snapshot, whose storage the backend pays for."""
        delete = self._management.delete_canister_snapshot
        try:
            await self._retry("delete_canister_snapshot", delete, self._backend_id, snapshot_id)
        except RejectedError:
            listed = await self._management.list_canister_snapshots(self._backend_id)
            if snapshot_id in {each.id for each in listed}:
                raise
        self._journal.end()

    # ---- The snapshot ----

    async def _resumed(self, begun: Begun) -> Begun | None:
        """What an interrupted run began, if it can be gone on with; else nothing of it is left."""
        if begun.canister_id != self._backend_id:
            raise BackupError(
                f"an interrupted backup of {begun.canister_id} has a snapshot there: run it again first, with "
                f"--backend {begun.canister_id}"
            )
        if begun.step == "stopped":
            await self._start()
        listed = await self._retry("list", self._management.list_canister_snapshots, self._backend_id)
        snapshot_id = begun.own(listed)
        if snapshot_id is None:
            self._journal.end()
            return None
        taken = next(each.taken_at_timestamp for each in listed if each.id == snapshot_id)
        if self._agent.clock() - taken > _RESUMED_FOR_NS:
            self._say("a snapshot of an interrupted backup is too old: it is deleted")
            await self._end(snapshot_id)
            return None
        self._say("going on with the snapshot of an interrupted backup")
        return self._journal.save(begun.model_copy(update={"snapshot": snapshot_id, "step": ""}))

    async def _snapshot(self) -> Begun:
        status = await self._status()
        if status.module_hash is None:
            raise BackupError(f"{self._backend_id} has no module: there is nothing to back up")
        listed = await self._retry("list", self._management.list_canister_snapshots, self._backend_id)
        if len(listed) >= _MOST_SNAPSHOTS:
            raise BackupError(
                f"{self._backend_id} has {len(listed)} snapshots, as many as a canister may have: delete one "
                "(icp canister snapshot delete); nothing was changed"
            )
        is_running = status.status == RunState.running
        begun = Begun(
            canister_id=self._backend_id,
            at_ns=self._agent.clock(),
            before=[each.id for each in listed],
            step="stopped" if is_running else "",
            inventory=await self._inventory() if is_running else None,
        )
        self._journal.start(begun)
        try:
            if is_running:
                self._say("the backend is stopped for the snapshot")
                await self._retry("stop_canister", self._management.stop_canister, self._backend_id)
            snapshot = await self._management.take_canister_snapshot(self._backend_id)
        finally:
            if is_running:
                await self._start()
        return self._journal.save(begun.model_copy(update={"snapshot": snapshot.id, "step": ""}))

    async def _start(self) -> None:
        await self._retry("start_canister", self._management.start_canister, self._backend_id)
        self._say("the backend runs again")

    async def _status(self) -> CanisterStatus:
        return await self._retry("canister_status", self._management.canister_status, self._backend_id)

    async def _inventory(self) -> BackendInventory | None:
        """`None` where the backend can't say: it is of another build, or holds more than a query can look at."""
        with suppress(ContractError, RejectedError):
            return await self._client.get_inventory()
        return None

    # ---- Reading ----

    async def _state(self, begun: Begun, snapshot_id: bytes) -> SnapshotState:
        read = self._management.read_canister_snapshot_metadata
        metadata = await self._retry("read_metadata", read, self._backend_id, snapshot_id)
        sizes = {
            "wasm_module": metadata.wasm_module_size,
            "wasm_memory": metadata.wasm_memory_size,
            "stable_memory": metadata.stable_memory_size,
        }
        await self._window.run(self._missing(sizes, metadata), lambda piece: self._fetch(snapshot_id, piece))
        done = self._journal.done
        pieces = {kind: [done[kind, offset] for offset, _ in places(size)] for kind, size in sizes.items()}
        module = b"".join(map(self._directory.chunk, pieces["wasm_module"]))
        status, after = await self._status(), await self._inventory()
        chunks = [chunk.hash for chunk in metadata.wasm_chunk_store]
        return SnapshotState(
            canister_id=self._backend_id,
            snapshot_id=snapshot_id,
            taken_at_ns=metadata.taken_at_timestamp,
            module_hash=hashlib.sha256(module).digest(),
            api_version=await self._client.get_api_version() if after is not None else "",
            sizes=sizes,
            pieces=pieces,
            chunk_store=chunks,
            chunk_sizes=[len(self._directory.chunk(chunk)) for chunk in chunks],
            globals=metadata.globals,
            certified_data=metadata.certified_data,
            hook=metadata.on_low_wasm_memory_hook_status,
            controllers=status.settings.controllers,
            freezing_threshold_s=status.settings.freezing_threshold,
            wasm_memory_limit=status.settings.wasm_memory_limit,
            inventory=begun.inventory,
            is_exact=begun.inventory is not None and begun.inventory == after,
        )

    def _missing(self, sizes: dict[str, int], metadata: SnapshotMetadata) -> Iterator[Piece]:
        """What no run has read of this snapshot; hashes are known afterwards, but for chunks."""
        for kind, size in sizes.items():
            for offset, length in places(size):
                sha256 = self._journal.done.get((kind, offset))
                if sha256 is None or not self._directory.has_chunk(sha256):
                    yield Piece(kind, offset, length, b"")
        for chunk in metadata.wasm_chunk_store:
            if not self._directory.has_chunk(chunk.hash):
                yield Piece("wasm_chunk", 0, 0, chunk.hash)

    async def _fetch(self, snapshot_id: bytes, piece: Piece) -> None:
        if piece.kind == "wasm_chunk":
            wanted = SnapshotPiece(wasm_chunk=ChunkHash(hash=piece.sha256))
        else:
            wanted = SnapshotPiece.of(piece.kind, Slice(offset=piece.offset, size=piece.size))
        read = self._management.read_canister_snapshot_data
        data = await self._retry("read_canister_snapshot_data", read, self._backend_id, snapshot_id, wanted)
        sha256 = hashlib.sha256(data).digest()
        async with self._writing[sha256]:  # many pieces are alike, such as those of zeroes
            if not self._directory.has_chunk(sha256):
                await asyncio.to_thread(self._directory.put_chunk, sha256, data)
                self._new += len(data)
        if piece.kind != "wasm_chunk":
            self._journal.add(piece._replace(sha256=sha256))
        self._read += len(data)
        self._on_bytes(len(data))
