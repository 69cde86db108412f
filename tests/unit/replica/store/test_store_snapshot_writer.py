"""Snapshots that are written while the next messages are executed."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from canister_factory.replica.runtime.workers import Workers
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.manifest import read_manifest
from canister_factory.replica.subnet.durability import CheckpointError
from support.faulty_files import FaultyFiles, failing
from support.late_workers import LateWorkers
from support.replica_bench import Bench
from support.store_history import contents, opener

FILES = Files(power=False)
MESSAGES = 10


class World:
    """A canister on a subnet that takes a snapshot after ten messages, by workers who are late."""

    def __init__(self, directory: Path, files: Files = FILES) -> None:
        directory.mkdir()
        self.directory = directory
        self.workers = LateWorkers()
        self.bench = Bench(opener(directory, files=files, workers=self.workers, messages=MESSAGES))
        self.canister = self.bench.puppet()
        self.calls(MESSAGES)
        self.to_the_end()

    def calls(self, count: int) -> None:
        for _ in range(count):
            self.bench.call(self.canister, "count")
            self.bench.subnet.persist()

    def until_one_begins(self) -> int:
        """Calls until a snapshot has begun; the generation that is valid."""
        while not self.bench.subnet.awaited:
            self.calls(1)
        return self.generation

    def to_the_end(self) -> None:
        """What has begun is written, made valid and ended."""
        while self.bench.subnet.awaited:
            self.workers.time_passes()
            self.bench.subnet.persist()

    @property
    def generation(self) -> int:
        manifest = read_manifest(FILES, self.directory)
        assert manifest is not None
        return manifest.generation

    def found(self, copy: Path) -> bytes:
        """What a start finds if the process is killed now."""
        shutil.copytree(self.directory, copy)
        return contents(Bench(opener(copy, files=FILES)).subnet)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state")


def test_calls_are_answered_while_it_is_written_and_are_in_both_journals(world: World, tmp_path: Path) -> None:
    before = world.until_one_begins()
    world.calls(3)
    assert world.generation == before
    assert world.found(tmp_path / "unwritten") == contents(world.bench.subnet)
    world.to_the_end()
    assert world.generation == before + 1
    assert world.found(tmp_path / "written") == contents(world.bench.subnet)
    assert world.bench.count(world.canister) > MESSAGES


def test_it_has_what_was_there_when_it_began(world: World, tmp_path: Path) -> None:
    world.bench.call(world.canister, "remember", b"before")
    world.until_one_begins()
    began = contents(world.bench.subnet)
    world.bench.call(world.canister, "remember", b"after")
    world.bench.subnet.persist()
    world.to_the_end()
    (journal,) = world.directory.glob("journal-*")
    shutil.copytree(world.directory, tmp_path / "copy")
    # A journal of the same salt without records: what the snapshot alone holds.
    content = bytearray((tmp_path / "copy" / journal.name).read_bytes())
    first = content.index(b"\xa9rec")
    content[first:] = bytes(len(content) - first)
    (tmp_path / "copy" / journal.name).write_bytes(content)
    assert contents(Bench(opener(tmp_path / "copy", files=FILES)).subnet) == began


def test_a_canister_that_is_deleted_or_changed_meanwhile_is_written_as_it_was(world: World, tmp_path: Path) -> None:
    other = world.bench.puppet()
    world.bench.call(other, "remember", b"other")
    world.until_one_begins()
    world.bench.on("uninstall_code", other)
    world.bench.subnet.persist()
    world.to_the_end()
    assert world.found(tmp_path / "copy") == contents(world.bench.subnet)
    world.until_one_begins()
    world.to_the_end()
    assert world.found(tmp_path / "later") == contents(world.bench.subnet)


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_one_that_fails_is_made_up_for_by_the_next(tmp_path: Path, at: int) -> None:
    files = FaultyFiles(fault=failing(28))
    world = World(tmp_path / "state", files)
    world.until_one_begins()
    files.at = files.done + at
    files.count = 1
    for _ in range(8 * MESSAGES):
        world.workers.time_passes()
        try:
            world.calls(1)
        except CheckpointError as error:
            if not error.passing:  # it isn't known what a power failure leaves: work ends
                assert "sync" in files.kinds[files.at]
                break
            world.bench.subnet.persist()
    else:
        world.to_the_end()
        assert world.generation > 2
    assert world.found(tmp_path / "copy") == contents(world.bench.subnet)


def test_what_a_start_executes_again_stays_bounded_however_late_it_is_written(world: World) -> None:
    before = world.until_one_begins()
    executed = world.bench.subnet.state.messages_executed
    while world.generation == before:
        world.calls(1)
    assert world.bench.subnet.state.messages_executed - executed <= MESSAGES // 2 + 1


class Gate(Files):
    """A disk that keeps the writing of images waiting."""

    def __init__(self) -> None:
        super().__init__(power=False)
        self.open_gate = threading.Event()
        self.reached = threading.Event()
        self.owner = threading.current_thread()

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        if threading.current_thread() is not self.owner:
            self.reached.set()
            assert self.open_gate.wait(10)
        super().write(file, data, offset)


class Awaited(Workers):
    """Workers whose disk goes on once somebody waits for them."""

    def __init__(self, files: Gate) -> None:
        super().__init__("test")
        self._files = files

    def wait(self, work: Future[Any]) -> None:
        self._files.open_gate.set()
        super().wait(work)


def test_a_slow_disk_keeps_nobody_waiting_and_an_orderly_end_gives_up_what_is_not_written(tmp_path: Path) -> None:
    files = Gate()
    files.open_gate.set()
    (tmp_path / "state").mkdir()
    bench = Bench(opener(tmp_path / "state", files=files, workers=Awaited(files), messages=MESSAGES))
    canister = bench.puppet()
    files.open_gate.clear()
    while not bench.subnet.awaited:
        bench.call(canister, "count")
        bench.subnet.persist()
    assert files.reached.wait(10)
    bench.call(canister, "count")
    bench.subnet.persist()
    before = contents(bench.subnet)
    assert not files.open_gate.is_set(), "nobody waited"
    bench.subnet.close()
    assert contents(Bench(opener(tmp_path / "state", files=FILES)).subnet) == before
