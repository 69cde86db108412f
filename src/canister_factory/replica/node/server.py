"""A running replica: the subnet, its certified view and its rounds behind an HTTP server on the loopback interface.

Owns putting the parts together, and an orderly end. Does not own what requests mean (`http_api`), HTTP itself
(`http_server`), or the process around it (`cli.replica`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.compiled_modules import compiled_modules_directory
from canister_factory.replica.node.http_api import HttpApi
from canister_factory.replica.node.http_server import MAX_CONNECTIONS, Answer, HttpServer
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.listening import ServerError, listen
from canister_factory.replica.node.open_files import raise_limit
from canister_factory.replica.node.outcalls import Outcalls
from canister_factory.replica.node.rounds import PACE, Rounds
from canister_factory.replica.node.signature_checks import SignatureChecks
from canister_factory.replica.node.state_lock import acquire, unusable
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.slices import Slices
from canister_factory.replica.runtime.workers import Workers, spare_processors
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.store.files import Files
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins

__all__ = ["ReplicaServer", "ServerError"]


class ReplicaServer:
    """An embedded replica that answers at `url` until `stop`.

    Args:
        state_dir: where keys and state are kept. None: in memory, gone at the end.
        clock_ns: nanoseconds since 1970.
        subnet_admins: principals of a new subnet's admins; one that is restored keeps its own.
        prices: "configured" or "documented" (`subnet.cycles`); a state directory keeps the ones it began with.
        power: what was answered survives a power failure, for one `fdatasync` a round; else the end of the process.
        beside: signatures may be checked in a second process, once there are many (`signature_checks`).
        threads: modules are compiled and long queries executed by other threads than the event loop's. Without them
            the replica never waits for anything but time, which the event loop may then make up.

    Use `start`; a directory belongs to one process at a time.

    Raises:
        StateDirectoryError: another process uses the directory, or the system refuses it.
        KeyFileError, CheckpointError: what is in the directory can't be used.
        PricesError: the directory's prices are others.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        subnet_admins: tuple[bytes, ...] = (),
        prices: str | None = None,
        power: bool = True,
        beside: bool = False,
        threads: bool = True,
    ) -> None:
        self._beside = beside
        self._threads = threads
        self._clock_ns = clock_ns
        self._files = Files(power=power)
        self._subnet_admins = subnet_admins
        self._lock = acquire(state_dir) if state_dir is not None else None
        try:
            self._open(state_dir, prices)
        except BaseException as error:
            if self._lock is not None:
                self._lock.close()
            if isinstance(error, OSError) and state_dir is not None:
                raise unusable(state_dir, error) from error
            raise

    def _open(self, state_dir: Path | None, prices: str | None) -> None:
        clock_ns = self._clock_ns
        self._max_connections = min(MAX_CONNECTIONS, raise_limit() // 4)  # others are for canisters
        engine = self._engine = Engine(
            compiled_modules_directory(),
            background=self._threads,
            slices=Slices(time.perf_counter_ns),
            query_workers=Workers("queries", spare) if (spare := spare_processors() if self._threads else 0) else None,
        )
        checkpoint = (
            None
            if state_dir is None
            else Checkpoint(state_dir, engine, files=self._files, workers=Workers("snapshots"))
        )
        keys = self._keys(state_dir, is_new=checkpoint is not None and checkpoint.is_new)
        self.root_key = keys.root.public_key
        changes = Changes()
        self.subnet = Subnet(
            engine,
            clock_ns=clock_ns,
            subnet_id=keys.subnet.principal,
            node_id=keys.node.principal,
            subnet_admins=self._subnet_admins,
            root_key=keys.root.public_key,
            listeners=changes.listeners,
            builtins=builtins(),
            prices=prices,
            checkpoint=checkpoint,
            pace=PACE,
        )
        view = self._view = CertifiedView(keys, self.subnet, changes, clock_ns)
        self._signatures = SignatureChecks(CertificateVerifier(keys.root.public_key), beside=self._beside)
        self._rounds = Rounds(
            self.subnet,
            view,
            changes,
            clock_ns,
            self._signatures.settled,
            lambda: checkpoint is not None and checkpoint.written_ahead,
        )
        self._api = HttpApi(self.subnet, self._rounds, keys, clock_ns, signatures=self._signatures)
        self._http: HttpServer | None = None
        self.url = ""

    def _keys(self, state_dir: Path | None, *, is_new: bool) -> ReplicaKeys:
        if state_dir is None:
            return ReplicaKeys.generate()
        return ReplicaKeys.create(state_dir, self._files) if is_new else ReplicaKeys.load(state_dir)

    def __repr__(self) -> str:
        return f"<ReplicaServer {self.url or 'not listening'} {self.subnet!r}>"

    @property
    def failure(self) -> str | None:
        """Why nothing is executed any more, for people; None while all is well."""
        return self._rounds.failure

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen; port 0 picks a free one.

        Raises:
            ServerError: the address isn't a loopback one, or the port is taken.
        """
        listening, self.url = listen(host, port)
        self._http = HttpServer(listening, self._api.serve, self._max_connections)
        await self._http.start()
        self._rounds.start()
        return self

    async def stop(self) -> None:
        """Take no more requests, finish and answer those that were taken, make all durable.

        Raises:
            CheckpointError: the state couldn't be written at the end; what was answered before is durable.
        """
        if self._http is not None:
            self._http.stop_listening()
            self._api.stop()
            await self._rounds.stop()
            await self._http.stop()
            self._signatures.stop()
        try:
            self.subnet.close()
        finally:
            self.release()

    def release(self) -> None:
        """Lets go of the state directory and the threads. To be called once the subnet is closed; `stop` does both."""
        self._engine.end()
        if self._lock is not None:
            self._lock.close()

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answers one request as if it had come by HTTP."""
        return await self._api.handle(method, path, body)

    @property
    def outcalls(self) -> Outcalls:
        """The HTTP requests of canisters; `outcalls.perform` makes them, and may be replaced."""
        return self._rounds.outcalls

    # --- going back: to be called in the event loop of `start` -------------------------------------------------------

    def anchor(self) -> Anchor:
        """Remembers the state; see `Subnet.anchor`."""
        return self.subnet.anchor()

    def revert(self, anchor: Anchor) -> None:
        """Goes back to an anchor. Calls that came since are forgotten: who still waits for one is told nothing.

        Certificates and time follow the clock, so the caller sets that back as far as it was moved.

        Raises:
            AnchorError, SubnetBrokenError: as `Subnet.revert`.
        """
        self.subnet.revert(anchor)
        self._view.rewind()
        self._rounds.went_back(self.subnet.request_statuses)

    def tick(self) -> bool:
        """Executes a round at once; whether more is queued.

        Raises:
            RoundFailedError: it broke off, or an earlier one did.
        """
        return self._rounds.tick()

    async def __aenter__(self) -> Self:
        return self if self._http is not None else await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
