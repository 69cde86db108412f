"""The management canister's methods that users may call, each sent to the right effective canister id.

Owns effective ids, and installing modules of any size. Methods about snapshots are in `management_snapshots`. What only
canisters can call, such as `create_canister`, `deposit_cycles` and `canister_info`, isn't offered.

Source: interface specification, "The IC management canister".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Literal

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal, PrincipalLike, as_principal
from canister_factory.ic.errors import IcError, ProtocolError
from canister_factory.ic.management_calls import answer
from canister_factory.ic.management_snapshots import SnapshotMethods
from canister_factory.ic.management_types import (
    CanisterIdRange,
    CanisterIdRanges,
    CanisterLogs,
    CanisterMetrics,
    CanisterSettings,
    CanisterStatus,
    ChunkHash,
    InstallChunkedCode,
    InstallCode,
    InstallMode,
    LogRecord,
    ProvisionalCreate,
    ProvisionalTopUp,
    Target,
    UpdateSettings,
    UpgradeOptions,
    UploadChunk,
)
from canister_factory.ic.task_group import task_group
from canister_factory.ic.trace import noting_call
from canister_factory.ic.verdict import Verdict, verdict

_MANAGEMENT = Principal.management_canister()

CHUNK_BYTES = 1 << 20
"""The largest chunk that the chunk store takes."""

MAX_STORED_CHUNKS = 100
DIRECT_INSTALL_BYTES = 1_800_000
"""Module and argument up to this size fit one ingress message (2 MiB) together with its envelope."""

_UPLOADS_IN_FLIGHT = 4
_UPLOAD_ATTEMPTS = 3

ModeName = Literal["install", "reinstall", "upgrade"]


def install_mode(mode: InstallMode | ModeName) -> InstallMode:
    """The mode of a name; `upgrade` with default options."""
    if isinstance(mode, InstallMode):
        return mode
    return InstallMode(upgrade=UpgradeOptions()) if mode == "upgrade" else InstallMode.of(mode)


class ManagementCanister(SnapshotMethods):
    """The management canister, called by one agent. All methods raise what `Agent.update` raises."""

    def __repr__(self) -> str:
        return f"ManagementCanister({self.agent!r})"

    # --- Creation, on test networks only ---

    async def provisional_create_canister_with_cycles(
        self,
        amount: int | None = None,
        settings: CanisterSettings | None = None,
        *,
        specified_id: PrincipalLike | None = None,
    ) -> Principal:
        """Creates a canister out of nothing with `amount` cycles (default: the network's). Mainnet rejects this."""
        chosen = None if specified_id is None else as_principal(specified_id)
        effective = chosen or await self.agent.default_effective_canister_id()
        argument = ProvisionalCreate(amount=amount, settings=settings, specified_id=chosen)
        call = self._call("provisional_create_canister_with_cycles", effective, argument)
        return (await answer(call, Target)).canister_id

    async def provisional_top_up_canister(self, canister_id: PrincipalLike, amount: int) -> None:
        """Adds `amount` cycles to a canister out of nothing. Mainnet rejects this."""
        canister = as_principal(canister_id)
        await self._call("provisional_top_up_canister", canister, ProvisionalTopUp(canister_id=canister, amount=amount))

    # --- Settings and life cycle ---

    async def canister_status(self, canister_id: PrincipalLike, *, certified: bool = True) -> CanisterStatus:
        """A canister's state, settings, memory and cycles; for its controllers, and those whom its settings allow it.

        Without `certified` it is a query: sooner there, for nothing, but believed of one node.
        """
        ask = self._call_about if certified else self._query_about
        return await answer(ask("canister_status", canister_id), CanisterStatus)

    async def canister_metrics(self, canister_id: PrincipalLike, *, certified: bool = True) -> CanisterMetrics:
        """What a canister's cycles were consumed for since its creation; for its controllers."""
        ask = self._call_about if certified else self._query_about
        return await answer(ask("canister_metrics", canister_id), CanisterMetrics)

    async def list_canisters(self, *, effective_canister_id: PrincipalLike | None = None) -> list[CanisterIdRange]:
        """The canisters of a subnet (that of the effective id; by default where new ones go), for the subnet's admins.

        A query, so not certified.
        """
        if effective_canister_id is None:
            effective = await self.agent.default_effective_canister_id()
        else:
            effective = as_principal(effective_canister_id)
        query = self.agent.query(_MANAGEMENT, "list_canisters", encode([], []), effective_canister_id=effective)
        return (await answer(query, CanisterIdRanges)).canisters

    async def update_settings(
        self, canister_id: PrincipalLike, settings: CanisterSettings, *, latest_ns: int | None = None
    ) -> None:
        """Changes the settings that aren't `None`; not after `latest_ns` (nanoseconds since 1970), if given."""
        canister = as_principal(canister_id)
        argument = UpdateSettings(canister_id=canister, settings=settings)
        await self._call("update_settings", canister, argument, latest_ns=latest_ns)

    async def start_canister(self, canister_id: PrincipalLike) -> None:
        """Lets a canister process calls again."""
        await self._call_about("start_canister", canister_id)

    async def stop_canister(self, canister_id: PrincipalLike) -> None:
        """Stops a canister: waits until the calls that it has made are answered."""
        await self._call_about("stop_canister", canister_id)

    async def delete_canister(self, canister_id: PrincipalLike) -> None:
        """Deletes a stopped canister; its cycles are lost."""
        await self._call_about("delete_canister", canister_id)

    async def uninstall_code(self, canister_id: PrincipalLike) -> None:
        """Removes a canister's module and all of its memory."""
        await self._call_about("uninstall_code", canister_id)

    async def fetch_canister_logs(self, canister_id: PrincipalLike) -> list[LogRecord]:
        """What the canister printed lately, oldest first: a query, so not certified."""
        return (await answer(self._query_about("fetch_canister_logs", canister_id), CanisterLogs)).canister_log_records

    # --- Code ---

    async def install_code(
        self, canister_id: PrincipalLike, wasm_module: bytes, arg: bytes, *, mode: InstallMode | ModeName = "install"
    ) -> None:
        """Installs a module that fits one message, with Candid-encoded init or upgrade arguments."""
        canister = as_principal(canister_id)
        argument = InstallCode(mode=install_mode(mode), canister_id=canister, wasm_module=wasm_module, arg=arg)
        await self._call("install_code", canister, argument)

    async def upload_chunk(self, canister_id: PrincipalLike, chunk: bytes) -> bytes:
        """Puts at most 1 MiB into a canister's chunk store and returns its SHA-256."""
        canister = as_principal(canister_id)
        call = self._call("upload_chunk", canister, UploadChunk(canister_id=canister, chunk=chunk))
        return (await answer(call, ChunkHash)).hash

    async def stored_chunks(self, canister_id: PrincipalLike) -> list[bytes]:
        """The SHA-256 of each chunk in a canister's chunk store."""
        stored = await answer(self._call_about("stored_chunks", canister_id), list[ChunkHash])
        return [chunk.hash for chunk in stored]

    async def clear_chunk_store(self, canister_id: PrincipalLike) -> None:
        """Empties a canister's chunk store."""
        await self._call_about("clear_chunk_store", canister_id)

    async def install_chunked_code(
        self,
        target_canister: PrincipalLike,
        chunk_hashes: Sequence[bytes],
        wasm_module_hash: bytes,
        arg: bytes,
        *,
        mode: InstallMode | ModeName = "install",
        store_canister: PrincipalLike | None = None,
    ) -> None:
        """Installs the module that stored chunks make in this order; they are in the target's own store by default."""
        target = as_principal(target_canister)
        argument = InstallChunkedCode(
            mode=install_mode(mode),
            target_canister=target,
            store_canister=None if store_canister is None else as_principal(store_canister),
            chunk_hashes_list=[ChunkHash(hash=digest) for digest in chunk_hashes],
            wasm_module_hash=wasm_module_hash,
            arg=arg,
        )
        await self._call("install_chunked_code", target, argument)

    async def install(
        self,
        canister_id: PrincipalLike,
        wasm_module: bytes,
        arg: bytes,
        *,
        mode: InstallMode | ModeName = "install",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Installs a module of any size: in one message if it fits, else through the canister's chunk store.

        Repeating an interrupted installation uploads only the chunks that are missing. `on_progress(done, total)` is
        told bytes of the module.
        """
        canister = as_principal(canister_id)
        report = on_progress or (lambda done, total: None)
        if len(wasm_module) + len(arg) <= DIRECT_INSTALL_BYTES:
            await self.install_code(canister, wasm_module, arg, mode=mode)
            report(len(wasm_module), len(wasm_module))
            return
        view = memoryview(wasm_module)
        chunks = [bytes(view[start : start + CHUNK_BYTES]) for start in range(0, len(view), CHUNK_BYTES)]
        hashes = [sha256(chunk).digest() for chunk in chunks]
        wanted = dict(zip(hashes, chunks, strict=True))
        stored = set(await self.stored_chunks(canister))
        if len(stored | wanted.keys()) > MAX_STORED_CHUNKS and stored - wanted.keys():
            await self.clear_chunk_store(canister)
            stored = set()
        await self._upload(canister, wanted, stored, report, len(wasm_module))
        await self.install_chunked_code(canister, hashes, sha256(wasm_module).digest(), arg, mode=mode)
        await self.clear_chunk_store(canister)
        report(len(wasm_module), len(wasm_module))

    async def _upload(
        self,
        canister: Principal,
        wanted: dict[bytes, bytes],
        stored: Iterable[bytes],
        report: Callable[[int, int], None],
        total: int,
    ) -> None:
        done = sum(len(wanted[digest]) for digest in stored if digest in wanted)
        missing = iter([digest for digest in wanted if digest not in set(stored)])
        report(done, total)

        async def worker() -> None:
            nonlocal done
            for digest in missing:
                await self._upload_one(canister, digest, wanted[digest])
                done += len(wanted[digest])
                report(done, total)

        async with task_group() as group:
            for _ in range(_UPLOADS_IN_FLIGHT):
                group.create_task(worker())

    async def _upload_one(self, canister: Principal, digest: bytes, chunk: bytes) -> None:
        for attempt in range(1, _UPLOAD_ATTEMPTS + 1):
            with noting_call(_MANAGEMENT):
                try:
                    stored = await self.upload_chunk(canister, chunk)
                except IcError as error:
                    # A chunk is named by its content, so uploading it twice does no harm.
                    if attempt == _UPLOAD_ATTEMPTS or verdict(error) is Verdict.FINAL:
                        raise
                    continue
                if stored != digest:
                    raise ProtocolError(f"the chunk store of {canister} returned another hash than the chunk's SHA-256")
                return
