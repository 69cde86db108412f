"""Puts a backup of a backend into a canister: uploaded as a snapshot, loaded, upgraded to its own module, and compared.

The upgrade gives the canister what a snapshot doesn't have: timers that look after handoffs and payments, and its own
id in the place of the former one, if it is another canister now. It is stopped until then, so that nobody meets it half
done. What a run has begun is on disk before (`Journal`): killed anywhere, the same call goes on.

Owns these steps, and what canister may be taken. Does not own: the files (`snapshot_files`), and what becomes of open
creations (`open_creations`).

Source: interface specification, "IC method upload_canister_snapshot_metadata" and those that follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInventory
from canister_factory.contract.artifacts import API_VERSION, backend_interface, compatible
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.factory.window import Window
from canister_factory.ic.agent import Agent
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_snapshot_types import GlobalTimer, Place, SnapshotPlace, UploadSnapshotMetadata
from canister_factory.ic.management_types import (
    CanisterSettings,
    CanisterStatus,
    InstallMode,
    MemoryPersistence,
    UpgradeOptions,
)
from canister_factory.operating.snapshot_files import Begun, Piece, SnapshotDirectory, SnapshotState
from canister_factory.owner.errors import RestoreError

_GIB = 2**30
_STORAGE_GIB_SECOND = 317_500
_INGRESS_BYTE = 2_000
_MESSAGES = 1_000_000_000_000
"""Cycles, by the dearest prices known of a subnet of 13 nodes: storage, what is received, and what must be there for
the longest messages; what isn't used of the last is given back."""


@dataclass(frozen=True, slots=True)
class BackendRestored:
    """What a restore did. `inventory`: what the backend holds now; `is_compared`: the backup says the same. `ids`: all
    that the backend has had, this canister's last. `sent_bytes`: what this run uploaded.
    """

    canister_id: Principal
    inventory: BackendInventory
    is_compared: bool
    ids: list[Principal]
    sent_bytes: int


def needed_cycles(state: SnapshotState) -> int:
    """What a canister must have to take a state: both copies of it above the freezing threshold, and the messages."""
    stored = 2 * state.size * _STORAGE_GIB_SECOND * state.freezing_threshold_s // _GIB
    return stored + state.size * _INGRESS_BYTE + _MESSAGES


class BackendRestore:
    """One restore into one canister: `run` is called once.

    Args:
        agent: calls as a controller of the canister.
        canister_id: one without a module, or, with `overwrite`, any; or one that an earlier call left unfinished.
        directory, name, state: what is restored; all of it has been checked, and the directory is locked.
        on_bytes: told how many bytes more are there.
    """

    def __init__(
        self,
        agent: Agent,
        canister_id: Principal,
        directory: SnapshotDirectory,
        name: str,
        state: SnapshotState,
        config: FactoryConfig,
        *,
        overwrite: bool = False,
        on_bytes: Callable[[int], None] = lambda _more: None,
    ) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._directory = directory
        self._name = name
        self._state = state
        self._overwrite = overwrite
        self._on_bytes = on_bytes
        self._journal = directory.restoring(canister_id)
        self._window = Window(config.start_window, config.max_window)
        self._retry = Retry(config, on_pressure=self._window.pressure)
        self._management = ManagementCanister(agent)
        self._client = BackendClient(agent, canister_id, repeat=self._retry)
        self._snapshot_id = b""
        self._sent = 0

    def __repr__(self) -> str:
        return f"BackendRestore({self._directory} to {self._canister_id})"

    async def run(self) -> BackendRestored:
        """Uploads, loads, upgrades and compares.

        Raises:
            RestoreError: the network, the canister or the caller isn't the right one, or can't take it; nothing was
                changed. Or what is there in the end isn't what the backup says.
            BackupError: what is on disk can't be read.
            RejectedError: the caller doesn't control the canister; or the network refused a step.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        begun = self._journal.begun()
        if begun is not None and begun.state != self._name:
            raise RestoreError(
                f"an interrupted restore into {self._canister_id} was of the state {begun.state}: end it with "
                f"--state {begun.state}; nothing was changed"
            )
        if begun is None:
            begun = await self._begin()
        if begun.step == "":
            begun = await self._load(begun)
        if begun.step == "loaded":
            await self._upgrade()
            begun = self._journal.save(begun.model_copy(update={"step": "upgraded"}))
        await self._retry("start_canister", self._management.start_canister, self._canister_id)
        restored = await self._compared()
        await self._tidy(begun)
        return restored

    # ---- Checks ----

    async def _begin(self) -> Begun:
        state = self._state
        if bytes.fromhex(self._directory.about.root_key) != self._agent.network.root_key:
            raise RestoreError(
                f"this is a backup of a backend on another network than {self._agent.network.name}, where its personal "
                "canisters aren't; nothing was changed"
            )
        if state.api_version and not compatible(state.api_version):
            raise RestoreError(
                f"this is a backup of a backend of API version {quoted(state.api_version, 40)}, and this version knows "
                f"{API_VERSION}: restore it with the version that made it; nothing was changed"
            )
        status = await self._retry("canister_status", self._management.canister_status, self._canister_id)
        self._check(status)
        listed = await self._retry("list", self._management.list_canister_snapshots, self._canister_id)
        settings = CanisterSettings(
            freezing_threshold=state.freezing_threshold_s, wasm_memory_limit=state.wasm_memory_limit
        )
        await self._retry("update_settings", self._management.update_settings, self._canister_id, settings)
        return self._journal.start(
            Begun(
                canister_id=self._canister_id,
                at_ns=self._agent.clock(),
                before=[each.id for each in listed],
                state=self._name,
            )
        )

    def _check(self, status: CanisterStatus) -> None:
        if status.module_hash is not None and not self._overwrite:
            raise RestoreError(
                f"{self._canister_id} runs the module {status.module_hash.hex()}, and a restore replaces all that it "
                "has: repeat the command with --yes if that is meant, or give a canister without a module; nothing was "
                "changed"
            )
        needed, allowed = needed_cycles(self._state), status.settings.memory_allocation
        if status.cycles < needed:
            raise RestoreError(
                f"{self._canister_id} has {status.cycles:,} cycles, and this state needs about {needed:,} to be "
                "uploaded, loaded and kept above the freezing threshold: top it up first; nothing was changed"
            )
        if 0 < allowed < 2 * self._state.size:
            raise RestoreError(
                f"{self._canister_id} has a memory allocation of {allowed:,} bytes, and this state takes "
                f"{2 * self._state.size:,} while it is loaded: set a larger one, or none; nothing was changed"
            )

    # ---- Loading ----

    async def _load(self, begun: Begun) -> Begun:
        begun = await self._uploaded(begun)
        assert begun.snapshot is not None
        await self._window.run(self._missing(), self._send)
        await self._retry("stop_canister", self._management.stop_canister, self._canister_id)
        load = self._management.load_canister_snapshot
        await self._retry("load_canister_snapshot", load, self._canister_id, begun.snapshot)
        return self._journal.save(begun.model_copy(update={"step": "loaded"}))

    async def _uploaded(self, begun: Begun) -> Begun:
        """With the snapshot that the pieces go to."""
        listed = await self._retry("list", self._management.list_canister_snapshots, self._canister_id)
        snapshot_id = begun.own(listed)
        if snapshot_id is None or begun.snapshot is None:
            # Whatever was sent went to a snapshot that isn't there any more.
            known = {"at_ns": self._agent.clock(), "before": [each.id for each in listed if each.id != snapshot_id]}
            begun = self._journal.start(begun.model_copy(update=known))
        if snapshot_id is None:
            state = self._state
            snapshot_id = await self._management.upload_canister_snapshot_metadata(
                UploadSnapshotMetadata(
                    canister_id=self._canister_id,
                    wasm_module_size=state.sizes["wasm_module"],
                    wasm_memory_size=state.sizes["wasm_memory"],
                    stable_memory_size=state.sizes["stable_memory"],
                    globals=state.globals,
                    certified_data=state.certified_data,
                    global_timer=GlobalTimer(inactive=None),  # the upgrade sets those that there are to be
                    on_low_wasm_memory_hook_status=state.hook,
                )
            )
        self._snapshot_id = snapshot_id
        return self._journal.save(begun.model_copy(update={"snapshot": snapshot_id}))

    def _missing(self) -> Iterator[Piece]:
        """What isn't in the snapshot yet, which was of zeroes at its beginning."""
        for piece in self._state.all_pieces():
            if self._journal.done.get((piece.kind, piece.offset)) != piece.sha256 or piece.kind == "wasm_chunk":
                yield piece

    async def _send(self, piece: Piece) -> None:
        data = self._directory.chunk(piece.sha256)
        is_chunk = piece.kind == "wasm_chunk"
        if is_chunk or data.strip(b"\0"):
            place = SnapshotPlace.of(piece.kind, None if is_chunk else Place(offset=piece.offset))
            upload = self._management.upload_canister_snapshot_data
            await self._retry(
                "upload_canister_snapshot_data", upload, self._canister_id, self._snapshot_id, place, data
            )
            self._sent += len(data)
        self._journal.add(piece)
        self._on_bytes(len(data))

    async def _upgrade(self) -> None:
        mode = InstallMode(upgrade=UpgradeOptions(wasm_memory_persistence=MemoryPersistence.of("keep")))
        module, argument = self._directory.module(self._state), encode(backend_interface().init_args, [None])
        await self._retry("install", self._management.install, self._canister_id, module, argument, mode=mode)

    # ---- Comparing ----

    async def _compared(self) -> BackendRestored:
        state = self._state
        found = (await self._retry("canister_info", self._agent.canister_info, self._canister_id)).module_hash
        if found != state.module_hash:
            raise RestoreError(
                f"{self._canister_id} runs the module {found.hex() if found else 'none'}, and the backup has "
                f"{state.module_hash.hex()}: somebody else may have changed it"
            )
        inventory, ids = await self._client.get_inventory(), await self._client.get_backend_ids()
        if state.is_exact and state.inventory is not None:
            differing = [
                f"{name} {now}, not {before}"
                for (name, now), (_, before) in zip(inventory, state.inventory, strict=True)
                if now != before and name != "open_creations"
            ]
            if differing:
                shown = ", ".join(each for each in differing if not each.startswith("root")) or "another root"
                raise RestoreError(f"{self._canister_id} doesn't hold what the backup says: {shown}")
        return BackendRestored(self._canister_id, inventory, state.is_exact, ids, self._sent)

    async def _tidy(self, begun: Begun) -> None:
        """Deletes the snapshot, whose storage the backend pays for."""
        listed = await self._retry("list", self._management.list_canister_snapshots, self._canister_id)
        if begun.snapshot is not None and begun.snapshot in {each.id for each in listed}:
            delete = self._management.delete_canister_snapshot
            await self._retry("delete_canister_snapshot", delete, self._canister_id, begun.snapshot)
        self._journal.end()
