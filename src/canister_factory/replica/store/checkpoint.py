"""Durable state: a snapshot, and a journal of the inputs since, which are executed again at start.

Owns what the journal's records mean, and when a snapshot is due. Does not own the files (`directory`), the state's
form as bytes (`state_codec`), keys, or the lock on the directory (`node`).

The subnet is a deterministic state machine, so inputs are all that has to be written for a message to be durable: it
costs one write of the message. A snapshot costs as much as changed since the last one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cbor2

from canister_factory.ic.cbor import head
from canister_factory.replica.runtime.engine import Engine, Module
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.workers import Workers
from canister_factory.replica.store.directory import StateDirectory, explained
from canister_factory.replica.store.files import Files, SyncFailedError
from canister_factory.replica.store.images import StoredMemory
from canister_factory.replica.store.journal import LARGE_BYTES, Journal, checksum_of
from canister_factory.replica.store.snapshot_writer import SnapshotWriter
from canister_factory.replica.store.state_codec import FORM, StateFormatError, decode_state, state_parts
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.durability import CheckpointError, Replayable
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import OutcallAnswer, Request
from canister_factory.replica.subnet.schedule import Round
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.statuses import Statuses

logger = logging.getLogger(__name__)

ROUND_BYTES: Final = 1 << 16
"""More than the record of a round takes."""
ROOM_AGAIN_BYTES: Final = 4 << 20
"""How much room ends a shortage: enough for the largest message, so that small ones don't take turns with refusals."""
_AT_MOST_BEHIND: Final = 0.5
"""How much more than a start may execute again may be noted while a snapshot is written; then all else waits for it."""
_DUE_AT_REST: Final = 0.1
"""So much of what a start may execute again is worth a snapshot where that disturbs nobody: 0.2 s of work."""
_SUBMITTED, _ROUND = 0, 1
_SUBMITTED_HEAD: Final = head(4, 2) + head(0, _SUBMITTED)  # and a byte string: CBOR


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """How much a start executes again at most; a snapshot is taken before it becomes more.

    Each is some two seconds of work on a slow machine.
    """

    journal_bytes: int = 128 << 20
    instructions: int = 10_000_000_000
    messages: int = 10_000
    unsaved_at_end: int = 256 << 20
    """Bytes of memories that an orderly end still saves, half a second of work; with more, the next start executes."""


class Checkpoint:
    """The durable form of one subnet's state.

    Args:
        directory: existing, and used by no other process.
        engine: compiles the modules of restored canisters.
        files: how the disk is reached, and what durable means.
        limits: when a snapshot is taken.
        workers: write snapshots beside everything else; None: all else waits for them.

    Attributes:
        is_new: the directory had no state; its keys are to be written before the subnet is made.

    Raises:
        CheckpointError: the files can't be opened, are damaged, or another version wrote them.
    """

    def __init__(
        self,
        directory: Path,
        engine: Engine,
        *,
        files: Files | None = None,
        limits: ReplayLimits = ReplayLimits(),
        workers: Workers | None = None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._at_saving = self._at_snapshot = (0, 0)  # instructions and messages when these began
        self._due_at = 1.0
        self._short = False  # there was no room
        self._journal: Journal | None = None
        self._files = files or Files()
        with explained(directory, "opened"):
            self._directory = StateDirectory(directory, self._files)
            self._writer = SnapshotWriter(self._directory, workers)
            manifest = self._directory.manifest
            self.is_new = manifest is None
            if self.is_new:
                self._directory.begin()
        if manifest is not None and manifest.form != FORM:
            raise CheckpointError(
                f"the state in {directory} was written by another version of this program (its form is "
                f"{manifest.form}, this version's {FORM}): use that version, or choose another directory with "
                "--state-dir"
            )

    def __repr__(self) -> str:
        return f"<Checkpoint {self._directory!r} {self._journal!r}>"

    # --- reading -----------------------------------------------------------------------------------------------------

    def load(self) -> SubnetState | None:
        """The state of the newest snapshot; None in a new directory.

        Raises:
            CheckpointError: what is there can't be read, or isn't what was written.
        """
        if self.is_new:
            return None
        with self._directory.explained("read"):
            snapshot = self._directory.load()
            state = snapshot.subnet_state()
            state.statuses = Statuses(self._directory.statuses.load(snapshot.statuses))
            stored = self._directory.stored
            files = self._directory.images.open_all(stored[canister_id].main for canister_id in state.canisters)
            modules: dict[bytes, Module] = {}
            for canister, file in zip(state.canisters.values(), files, strict=True):
                self._load_memories(canister, file, modules)
            self._at_snapshot = state.instructions, state.messages_executed
            self._journal = self._directory.open_journal()
            return state

    def _load_memories(self, canister: CanisterState, main: int, modules: dict[bytes, Module]) -> None:
        """`main`: the open file with the Wasm memory's image."""
        stored, images = self._directory.stored[canister.id], self._directory.images
        canister.stable.restore(images.load(stored.stable), saved=True)
        if stored.module_hash is None:
            os.close(main)
        else:
            if stored.module_hash not in modules:
                modules[stored.module_hash] = self._module(stored.module_hash)
            canister.module = modules[stored.module_hash]
            canister.instance = Instance(self._engine, canister.module, canister.stable)
            memory = self._engine.new_memory()
            memory.use_file(main, stored.main.length)
            canister.instance.resume(memory, stored.globals)
        self._directory.snapshots.load(canister, stored, self._directory.module)
        self._directory.loaded(canister)

    def _module(self, module_hash: bytes) -> Module:
        try:
            return self._engine.compile(self._directory.module(module_hash))
        except CanisterError as error:
            raise StateFormatError(f"module {module_hash.hex()} is refused: {error.message}") from error

    def replay(self, subnet: Replayable) -> None:
        """Executes again what the journal holds, and takes the first snapshot of a new subnet.

        Raises:
            CheckpointError: execution took another course than when the journal was written, or a defect broke it off.
        """
        if self._journal is None:
            self.snapshot(subnet.state)
        else:
            with self._directory.explained("read"):
                for position, record in enumerate(self._journal.records()):
                    self._replay_one(subnet, position, record)
        self._directory.sweep()

    def _replay_one(self, subnet: Replayable, position: int, record: bytes) -> None:
        content = cbor2.loads(record)
        try:
            if content[0] == _SUBMITTED:
                subnet.enqueue(decode_state(content[1]))
                return
            _, time_ns, with_tasks, done, *expected = content
            subnet.repeat_round(Round(time_ns, with_tasks, done))
        except Exception as error:
            raise self._not_again(position, f"broke off by an internal error ({error!r})") from error
        actual = _fingerprint(subnet.state)
        if actual[2:] != expected[2:]:
            difference = f"{actual[2]} messages failed by an internal error, but {expected[2]} when it was written"
            raise self._not_again(position, f"took another course: {difference}")
        if actual != expected:
            difference = f"left {actual[:2]} (instructions, cycles consumed), but {expected[:2]} when it was written"
            raise self._not_again(position, difference)

    def _not_again(self, position: int, what: str) -> CheckpointError:
        return CheckpointError(
            f"the journal in {self._directory.path} can't be executed again: record {position} {what}. Another version "
            "of this program or of wasmtime wrote it; use that one, or choose another directory with --state-dir"
        )

    def listening(self, listeners: Listeners) -> Listeners:
        """Listeners that also have the statuses noted which a snapshot has to write."""
        return self._directory.statuses.listening(listeners)

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def written_ahead(self) -> bool:
        """Whether a start may find what was noted since the last `commit`."""
        return self._journal is not None and self._journal.written_ahead

    @property
    def _open_journal(self) -> Journal:
        assert self._journal is not None, "the state wasn't loaded"
        return self._journal

    def note_submitted(self, request: Request | OutcallAnswer) -> None:
        """An input is to be queued; durable with the next `commit`.

        Raises:
            CheckpointError: there is no room; nothing was noted.
        """
        parts = state_parts(request)
        content_bytes = sum(map(len, parts))
        record = _SUBMITTED_HEAD, head(2, content_bytes), *parts
        self._make_room(content_bytes + ROUND_BYTES)
        if content_bytes < LARGE_BYTES:
            self._append(b"".join(record))
        else:
            self._append(*record)
            self._open_journal.write_ahead()

    def make_room(self) -> None:
        """Makes sure that a round that is executed now can be noted.

        Raises:
            CheckpointError: there is no room; nothing has changed.
        """
        self._make_room(ROUND_BYTES)

    def _make_room(self, size: int) -> None:
        if not self._short and self._open_journal.has_room(size):
            return
        try:
            with self._directory.explained("written"):
                self._open_journal.make_room(ROOM_AGAIN_BYTES if self._short else size)
            self._short = False
        except CheckpointError as error:
            self._short = error.passing = True
            raise

    def note_round(self, executed: Round, state: SubnetState) -> None:
        """A round was executed and changed the state; durable with the next `commit`."""
        what = [executed.time_ns, executed.with_tasks, executed.done]
        self._append(cbor2.dumps([_ROUND, *what, *_fingerprint(state)]))

    def _append(self, *record: bytes) -> None:
        checksum = checksum_of(record)
        self._open_journal.append(*record, checksum=checksum)
        self._writer.note(*record, checksum=checksum)

    def commit(self, state: SubnetState, meanwhile: Callable[[], None] | None = None, *, at_rest: bool = False) -> None:
        """Makes everything noted so far durable; to be called before anything of it is answered.

        `meanwhile`: as `Journal.flush`. `at_rest`: a snapshot is taken that would be due later.

        Raises:
            CheckpointError: the disk refuses; nothing may be answered.
        """
        try:
            with self._directory.explained("written"):
                self._open_journal.flush(meanwhile)
        except CheckpointError as error:
            error.passing = not isinstance(error.__cause__, SyncFailedError)
            error.durable = False if error.passing else None
            raise
        due = self._replay_share(state)
        try:
            self._save_if_due(state, due, at_rest=at_rest)
        except CheckpointError as error:
            error.durable = True  # the journal has it
            if not error.passing:
                raise
            if self._due_at == 1.0:
                logger.warning("the snapshot is put off, nothing is lost: %s", error)
            self._due_at = max(1.0, due) + 0.1

    def _replay_share(self, state: SubnetState) -> float:
        """How much a start would have to execute again, as a share of what it may."""
        instructions, messages = self._at_snapshot
        return max(
            self._open_journal.size_bytes / self._limits.journal_bytes,
            (state.instructions - instructions) / self._limits.instructions,
            (state.messages_executed - messages) / self._limits.messages,
        )

    # --- snapshots ---------------------------------------------------------------------------------------------------

    @property
    def awaited(self) -> list[Future[None]]:
        """What is written for a snapshot now; when that is done, the next `commit` goes on with it."""
        return self._writer.awaited

    def snapshot(self, state: SubnetState) -> None:
        """Writes the whole state (of memories: what changed) and begins a new journal.

        Raises:
            CheckpointError: the disk refuses. The former snapshot and journal are still valid; where it isn't
                `passing`, nothing may be noted any more.
        """
        with self._saving():
            self._begin(state)
            self._go_on(state, to_end=True)

    def _save_if_due(self, state: SubnetState, due: float, *, at_rest: bool) -> None:
        with self._saving():
            self._writer.write_notes()
            # What a start has to execute again is bounded, however slow the disk is.
            self._go_on(state, to_end=due > self._due_at + _AT_MOST_BEHIND)
            due_at = _DUE_AT_REST if at_rest and self._due_at == 1.0 else self._due_at  # where one failed, later
            if not self._writer.busy and self._replay_share(state) > due_at:
                self._begin(state)
                self._go_on(state)

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with self._directory.explained("written"):
                yield
        except CheckpointError as error:
            error.passing = not isinstance(error.__cause__, SyncFailedError)
            raise

    def _begin(self, state: SubnetState) -> None:
        self._writer.begin(state)
        self._at_saving = state.instructions, state.messages_executed

    def _go_on(self, state: SubnetState, *, to_end: bool = False) -> None:
        journal = self._writer.go_on(state.canisters.values(), to_end=to_end)
        if journal is not None:
            if self._journal is not None:
                self._journal.close()
            self._journal = journal
            self._at_snapshot = self._at_saving
            self._due_at = 1.0

    def close(self, state: SubnetState, *, in_full: bool = False) -> None:
        """Takes a last snapshot, so that the next start has nothing to execute, and lets go of the files.

        Where that would take long, it is left out unless it is to be `in_full`: what the journal has can always be
        executed again.

        Raises:
            CheckpointError: that fails. What was committed before is durable all the same.
        """
        try:
            self._writer.hurry()
            self.commit(state)
            with suppress(CheckpointError), self._saving():  # it was given up
                self._go_on(state, to_end=True)
            if self._open_journal.size_bytes and (in_full or _unsaved_bytes(state) <= self._limits.unsaved_at_end):
                self.snapshot(state)
        finally:
            self._open_journal.close()
            self._files.end()
            self._writer.end()


def _unsaved_bytes(state: SubnetState) -> int:
    memories: list[StoredMemory] = [canister.stable for canister in state.canisters.values()]
    memories += [canister.instance.memory for canister in state.canisters.values() if canister.instance is not None]
    total = 0
    for memory in memories:
        runs = memory.unsaved()
        total += memory.length if runs is None else sum(end - start for start, end in runs)
    return total


def _fingerprint(state: SubnetState) -> list[int]:
    """What two executions of the same messages must agree on; differs as soon as one runs another course."""
    return [state.instructions, state.cycles_consumed, state.failures, state.last_failure]
