"""Durable state: a snapshot in SQLite, and a journal of what happened since, which is executed again at start.

Owns the state directory's `state.sqlite` and `journal-<n>`. Does not own the state (`subnet.state`), its form as bytes
(`state_codec`), keys, or the lock on the directory (`server`).

The subnet is a deterministic state machine, so inputs are all that has to be written for a message to be durable: it
costs one write of the message. A snapshot, which costs as much as memory changed, is taken when the journal grew long
and at an orderly end. A process killed at any instant starts again with every committed round and nothing half done.
After a power failure the last rounds may be missing: the journal is not forced to disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cbor2

from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.runtime.instance import Instance, InstanceState
from canister_factory.replica.runtime.memory import MemoryState
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.store.canister_snapshots import SCHEMA as SNAPSHOT_SCHEMA
from canister_factory.replica.store.canister_snapshots import load_snapshots, save_snapshots
from canister_factory.replica.store.journal import Journal
from canister_factory.replica.store.state_codec import StateFormatError, decode_state, encode_state
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.durability import CheckpointError, Replayable
from canister_factory.replica.subnet.messages import OutcallAnswer, Request
from canister_factory.replica.subnet.schedule import Round
from canister_factory.replica.subnet.snapshot import Snapshot
from canister_factory.replica.subnet.state import SubnetState

FORMAT = 4
JOURNAL_BYTES = 256 << 20
JOURNAL_INSTRUCTIONS = 50_000_000_000  # executing them again takes some ten seconds
BLOCK_BYTES = 4096
_MAIN, _STABLE = 0, 1
_SUBMITTED, _ROUND = 0, 1

_SCHEMA = (
    """
CREATE TABLE snapshot (number INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE module (hash BLOB PRIMARY KEY, wasm BLOB NOT NULL);
CREATE TABLE canister (
  id BLOB PRIMARY KEY, module_hash BLOB, globals BLOB, main_bytes INTEGER NOT NULL, stable_bytes INTEGER NOT NULL);
CREATE TABLE block (
  canister BLOB NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL,
  PRIMARY KEY (canister, kind, number));
"""
    + SNAPSHOT_SCHEMA
)


class Checkpoint:
    """The durable form of one subnet's state.

    Args:
        directory: existing, and used by no other process.
        engine: compiles the modules of restored canisters.
        journal_bytes: a snapshot is taken when the journal is longer.
        journal_instructions: ... or when it would take more instructions to execute again.

    Raises:
        CheckpointError: the files can't be opened, or another version wrote them.
    """

    def __init__(
        self,
        directory: Path,
        engine: Engine,
        *,
        journal_bytes: int = JOURNAL_BYTES,
        journal_instructions: int = JOURNAL_INSTRUCTIONS,
    ) -> None:
        self._directory = directory
        self._engine = engine
        self._journal_bytes = journal_bytes
        self._journal_instructions = journal_instructions
        self._saved: dict[bytes, tuple[Instance | None, StableMemory, int]] = {}
        self._saved_snapshots: dict[bytes, Snapshot] = {}
        self._instructions_at_snapshot = 0
        with self._explained("opened"):
            self._database = sqlite3.connect(directory / "state.sqlite", isolation_level=None)
            self._database.execute("PRAGMA page_size = 16384")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._create_or_check()
            row = self._database.execute("SELECT number, state FROM snapshot").fetchone()
            self._number: int = row[0] if row else 0
            self._state_blob: bytes | None = row[1] if row else None
            self._journal = Journal(self._journal_path)
            for path in directory.glob("journal-*"):
                if path != self._journal_path:  # left by a process that was killed right after a snapshot
                    path.unlink()

    def __repr__(self) -> str:
        return f"<Checkpoint snapshot={self._number} {self._journal!r}>"

    @property
    def _journal_path(self) -> Path:
        return self._directory / f"journal-{self._number}"

    def _create_or_check(self) -> None:
        (written,) = self._database.execute("PRAGMA user_version").fetchone()
        if written == 0:
            self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif written != FORMAT:
            raise CheckpointError(
                f"the state in {self._directory} has format {written}, this version reads format {FORMAT}: use the "
                "version that wrote it, or choose another directory with --state-dir"
            )

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, StateFormatError) as error:
            cause = (isinstance(error, OSError) and error.strerror) or error
            raise CheckpointError(
                f"the state in {self._directory} can't be {what} ({cause}): check space and permissions, or choose "
                "another directory with --state-dir"
            ) from error

    # --- reading -----------------------------------------------------------------------------------------------------

    def load(self) -> SubnetState | None:
        """The state of the newest snapshot; None in a new directory.

        Raises:
            CheckpointError: what is there can't be read.
        """
        if self._state_blob is None:
            return None
        with self._explained("read"):
            state = decode_state(self._state_blob)
            self._state_blob = None
            for canister in state.canisters.values():
                self._load_memories(canister)
            self._saved_snapshots = load_snapshots(self._database, state)
            self._instructions_at_snapshot = state.instructions
            return state  # type: ignore[no-any-return]

    def _load_memories(self, canister: CanisterState) -> None:
        module_hash, globals_, main_bytes, stable_bytes = self._database.execute(
            "SELECT module_hash, globals, main_bytes, stable_bytes FROM canister WHERE id = ?", (canister.id,)
        ).fetchone()
        canister.stable.restore(self._memory(canister.id, _STABLE, stable_bytes), saved=True)
        if module_hash is not None:
            (wasm,) = self._database.execute("SELECT wasm FROM module WHERE hash = ?", (module_hash,)).fetchone()
            try:
                canister.module = self._engine.compile(wasm)
            except CanisterError as error:
                raise StateFormatError(f"module {module_hash.hex()} is refused: {error.message}") from error
            canister.instance = canister.new_instance(self._engine, canister.module, canister.stable)
            content = self._memory(canister.id, _MAIN, main_bytes)
            canister.instance.restore(InstanceState(content, tuple(cbor2.loads(globals_))), saved=True)
        self._saved[canister.id] = (canister.instance, canister.stable, canister.version)

    def _memory(self, canister_id: bytes, kind: int, length: int) -> MemoryState:
        query = "SELECT number, content FROM block WHERE canister = ? AND kind = ? ORDER BY number"
        blocks = self._database.execute(query, (canister_id, kind))
        return MemoryState(length, tuple((number * BLOCK_BYTES, content) for number, content in blocks))

    def replay(self, subnet: Replayable) -> None:
        """Executes again what the journal holds, and takes the first snapshot of a new subnet.

        Raises:
            CheckpointError: execution took another course than when the journal was written, or a defect broke it off.
        """
        for position, record in enumerate(self._journal.records()):
            content = cbor2.loads(record)
            try:
                if content[0] == _SUBMITTED:
                    subnet.enqueue(decode_state(content[1]))
                    continue
                _, time_ns, with_tasks, done, *expected = content
                subnet.repeat_round(Round(time_ns, with_tasks, done))
            except Exception as error:
                raise self._not_again(position, f"broke off by an internal error ({error!r})") from error
            actual = _fingerprint(subnet.state)
            if actual[2:] != expected[2:]:
                difference = f"{actual[2]} messages failed by an internal error, but {expected[2]} when it was written"
                raise self._not_again(position, f"took another course: {difference}")
            if actual != expected:
                difference = (
                    f"left {actual[:2]} (instructions, cycles consumed), but {expected[:2]} when it was written"
                )
                raise self._not_again(position, difference)
        if self._number == 0:
            self.snapshot(subnet.state)

    def _not_again(self, position: int, what: str) -> CheckpointError:
        return CheckpointError(
            f"the journal in {self._directory} can't be executed again: record {position} {what}. Another version of "
            "this program or of wasmtime wrote it; use that one, or choose another directory with --state-dir"
        )

    # --- writing -----------------------------------------------------------------------------------------------------

    def note_submitted(self, request: Request | OutcallAnswer) -> None:
        """An input was queued; durable with the next `commit`."""
        self._journal.append(cbor2.dumps([_SUBMITTED, encode_state(request)]))

    def note_round(self, executed: Round, state: SubnetState) -> None:
        """A round was executed and changed the state; durable with the next `commit`."""
        what = [executed.time_ns, executed.with_tasks, executed.done]
        self._journal.append(cbor2.dumps([_ROUND, *what, *_fingerprint(state)]))

    def commit(self, state: SubnetState) -> None:
        """Makes everything noted so far durable; to be called before anything of it is answered.

        Raises:
            CheckpointError: the disk refuses; nothing may be answered.
        """
        try:
            with self._explained("written"):
                self._journal.flush()
        except CheckpointError as error:
            error.durable = None if self._journal.torn else False
            raise
        executed = state.instructions - self._instructions_at_snapshot
        if self._journal.size_bytes > self._journal_bytes or executed > self._journal_instructions:
            try:
                self.snapshot(state)
            except CheckpointError as error:
                error.durable = True  # the journal has it
                raise

    def snapshot(self, state: SubnetState) -> None:
        """Writes the whole state (of memories: what changed) and begins a new journal.

        Raises:
            CheckpointError: the disk refuses; the former snapshot and journal are still valid.
        """
        with self._explained("written"):
            saved: dict[bytes, tuple[Instance | None, StableMemory, int]] = {}
            database = self._database
            database.execute("BEGIN IMMEDIATE")
            try:
                for canister_id in self._saved.keys() - state.canisters.keys():
                    database.execute("DELETE FROM canister WHERE id = ?", (canister_id,))
                    database.execute("DELETE FROM block WHERE canister = ?", (canister_id,))
                for canister in state.canisters.values():
                    now = saved[canister.id] = (canister.instance, canister.stable, canister.version)
                    if now != self._saved.get(canister.id):
                        self._write_memories(canister)
                saved_snapshots = save_snapshots(database, self._saved_snapshots, state)
                used = "SELECT module_hash FROM canister WHERE module_hash IS NOT NULL"
                database.execute(f"DELETE FROM module WHERE hash NOT IN ({used})")  # noqa: S608 - a constant
                database.execute("DELETE FROM snapshot")
                database.execute("INSERT INTO snapshot VALUES (?, ?)", (self._number + 1, encode_state(state)))
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:  # a full disk ends it by itself
                    database.execute("ROLLBACK")
                self._saved = {}  # some changes were taken from the memories: the next snapshot writes them whole
                raise
            self._saved, self._saved_snapshots = saved, saved_snapshots
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._number += 1
            former, self._journal = self._journal, Journal(self._journal_path)
            former.close()
            former.path.unlink()
            self._instructions_at_snapshot = state.instructions

    def _write_memories(self, canister: CanisterState) -> None:
        """Writes what changed since the last snapshot; everything where that isn't known."""
        instance, stable, whole = canister.instance, canister.stable, canister.id not in self._saved
        module_hash, globals_, main = None, None, MemoryState(0, ())
        if instance is not None:
            changes = instance.take_changes()
            content = instance.export_state() if whole else changes
            module_hash, globals_, main = instance.module.hash, cbor2.dumps(list(content.globals)), content.memory
            self._database.execute("INSERT OR IGNORE INTO module VALUES (?, ?)", (module_hash, instance.module.wasm))
        stable_changes = stable.take_changes()
        stable_content = stable.export_state() if whole else stable_changes
        self._write_blocks(canister.id, _MAIN, main)
        self._write_blocks(canister.id, _STABLE, stable_content)
        self._database.execute(
            "INSERT OR REPLACE INTO canister VALUES (?, ?, ?, ?, ?)",
            (canister.id, module_hash, globals_, main.length, stable_content.length),
        )

    def _write_blocks(self, canister_id: bytes, kind: int, content: MemoryState) -> None:
        if content.complete:
            self._database.execute("DELETE FROM block WHERE canister = ? AND kind = ?", (canister_id, kind))
        rows = (
            (canister_id, kind, (offset + at) // BLOCK_BYTES, data[at : at + BLOCK_BYTES])
            for offset, data in content.extents
            for at in range(0, len(data), BLOCK_BYTES)
        )
        self._database.executemany("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?)", rows)

    def close(self, state: SubnetState) -> None:
        """Takes a last snapshot, so that the next start has nothing to execute, and lets go of the files."""
        self.commit(state)
        if self._journal.size_bytes:
            self.snapshot(state)
        self._journal.close()
        self._database.close()


def _fingerprint(state: SubnetState) -> list[int]:
    """What two executions of the same messages must agree on; differs as soon as one runs another course."""
    return [state.instructions, state.cycles_consumed, state.failures, state.last_failure]
