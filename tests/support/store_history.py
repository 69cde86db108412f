"""A life of a subnet with a state directory, step by step: what was promised at each moment, and what a start finds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.runtime.workers import Workers
from canister_factory.replica.store.checkpoint import Checkpoint, ReplayLimits
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.listeners import NOBODY, Listeners
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from support.faulty_files import Died
from support.late_workers import LateWorkers
from support.replica_bench import MANAGEMENT, Bench, engine, management_argument
from support.replica_puppet import puppet, with_custom_section

USUAL = Pace()


def contents(subnet: Subnet) -> bytes:
    """A digest of all that a state directory has to keep. Rounds in which nothing happens aren't kept."""
    digest = hashlib.sha256(encode_state(replace(subnet.state, time_ns=0)))
    digest.update(b"".join(subnet.state.statuses.contents.values()))
    for canister in subnet.canisters.values():
        digest.update(repr(canister.stable.export_state()).encode())
        if canister.instance is not None:
            digest.update(canister.instance.module.hash + repr(canister.instance.export_state()).encode())
        for snapshot in canister.snapshots.values():
            digest.update(snapshot.wasm + repr((snapshot.main.export_state(), snapshot.stable.export_state())).encode())
    return digest.digest()


def opener(
    directory: Path,
    listeners: Listeners = NOBODY,
    files: Files | None = None,
    pace: Pace = USUAL,
    workers: Workers | None = None,
    **limits: int,
) -> Callable[[Callable[[], int]], Subnet]:
    """What a bench opens its subnet with: the state in a directory, snapshots by these `ReplayLimits`."""

    def opened(clock: Callable[[], int]) -> Subnet:
        checkpoint = Checkpoint(directory, engine(), files=files, limits=ReplayLimits(**limits), workers=workers)
        return Subnet(engine(), clock_ns=clock, listeners=listeners, checkpoint=checkpoint, pace=pace)

    return opened


def make_state(directory: Path) -> None:
    """A state directory as a replica leaves it, with a canister that counted to 1."""
    server = ReplicaServer(directory, power=False)
    server.subnet.close()
    server.release()
    bench = Bench(opener(directory, files=Files(power=False)))
    bench.call(bench.puppet(), "count")
    bench.subnet.close()


class History:
    """A bench whose calls are made durable one by one, with a snapshot after every few of them.

    Args:
        directory: of the state.
        files: the disk.
        beside: snapshots are written while the next calls are executed.

    Attributes:
        promised: contents when the last call was answered; None: not even the beginning was.
        possible: contents that a start may find as well: of what was begun since.
        refused: how often there was no room.
    """

    def __init__(self, directory: Path, files: Files, *, beside: bool = False) -> None:
        self.directory = directory
        self._files = files
        self._workers = LateWorkers() if beside else None
        self.promised: bytes | None = None
        self.possible: set[bytes] = set()
        self.refused = 0
        self.first = self.second = b""
        self._noted: Any = None

    def open(self) -> None:
        """Starts the subnet, the first time or again."""
        self.bench = Bench(opener(self.directory, files=self._files, workers=self._workers, messages=3))
        self.promised, self.possible = contents(self.bench.subnet), set()
        checkpoint: Any = self.bench.subnet._checkpoint
        note_submitted = checkpoint.note_submitted

        def note(request: Any) -> None:
            self._noted = request
            note_submitted(request)

        checkpoint.note_submitted = note

    def call(self, callee: bytes, method: str, arg: bytes = b"") -> bytes | None:
        """A call that is durable when it is answered; None: it was refused, since there was no room."""
        subnet = self.bench.subnet
        if self._workers is not None:
            self._workers.time_passes()
        try:
            request = self.bench.submit(callee, method, arg)
        except CheckpointError as error:
            if not error.passing:
                raise
            self.refused += 1
            return None
        except Died:  # what was to be queued may be in the journal, where it is written ahead
            subnet.enqueue(self._noted)
            self.possible.add(contents(subnet))
            raise
        self.possible.add(contents(subnet))
        try:
            while subnet.execute_round():
                pass
        finally:
            self.possible.add(contents(subnet))
        return self._answered(request)

    def _answered(self, request: bytes) -> bytes | None:
        try:
            self.bench.subnet.persist()
        except CheckpointError as error:
            if not error.passing:
                raise
            self.refused += 1
            return None
        self.promised, self.possible = contents(self.bench.subnet), set()
        response = self.bench.outcome(request)
        assert response is not None
        return response.data

    def manage(self, method: str, **argument: object) -> bytes | None:
        return self.call(MANAGEMENT, method, management_argument(method, argument))

    def steps(self) -> Iterator[None]:
        """A life with all that happens to files: memories, new, changed and loaded; new code, deletion, restarts."""
        self.open()
        yield
        self.first = self.create()
        yield
        for turn in range(3):
            self.call(self.first, "count")
            yield
            self.call(self.first, "remember", b"turn %d " % turn)
            yield
        self.second = self.create()
        yield
        self.install(self.first, with_custom_section(puppet(), "other"), Case("upgrade", None))
        yield
        self.manage("take_canister_snapshot", canister_id=Principal(self.first))
        yield
        self.call(self.first, "count")
        self.call(self.second, "remember", b"second")
        yield
        for snapshot in self.bench.canister(self.first).snapshots if self.first in self.bench.subnet.canisters else ():
            self.manage("load_canister_snapshot", canister_id=Principal(self.first), snapshot_id=snapshot)
        yield
        self.manage("stop_canister", canister_id=Principal(self.second))
        self.manage("delete_canister", canister_id=Principal(self.second))
        yield
        self.bench.subnet.close()
        yield
        self.open()
        for _ in range(5):
            self.call(self.first, "count")
            yield

    def create(self) -> bytes:
        """A canister with the puppet, if there is room; its id, if there is."""
        before = set(self.bench.subnet.canisters)
        self.manage("provisional_create_canister_with_cycles", amount=None, settings=None)
        created = [canister_id for canister_id in self.bench.subnet.canisters if canister_id not in before]
        if not created:
            return b"\xff\xff\xff\xff\xff\xe0\0\x63\x01\x01"
        self.install(created[0], puppet(), "install")
        return created[0]

    def install(self, canister_id: bytes, wasm: bytes, mode: str | Case) -> None:
        mode = Case(mode) if isinstance(mode, str) else mode
        self.manage("install_code", mode=mode, canister_id=Principal(canister_id), wasm_module=wasm, arg=b"")

    def found(self, directory: Path | None = None) -> bytes:
        """The contents that a start with a disk in order finds.

        Raises:
            CheckpointError: it refuses.
        """
        return contents(Bench(opener(directory or self.directory, files=Files(power=False))).subnet)
