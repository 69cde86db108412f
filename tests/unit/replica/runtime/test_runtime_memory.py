"""Both memory strategies against one model."""

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import TestCase

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory, best_memory, copy_on_write_works
from canister_factory.replica.runtime.memory import FullCopyMemory, MemoryState, MemoryTransaction
from support.runtime_harness import STRATEGIES, Strategy, applied, taken

PAGE = 65536
CAPACITY = 8 * PAGE


class LinearMemory:
    """Address space as an engine gives it to an instance: reserved, zero, growing in place."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.area = mmap.mmap(-1, capacity)
        self.anchor = ctypes.c_char.from_buffer(self.area)
        self.base = ctypes.addressof(self.anchor)

    def close(self) -> None:
        del self.anchor
        self.area.close()


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.__name__)
def memory(request: pytest.FixtureRequest) -> Iterator[MemoryTransaction]:
    memory: MemoryTransaction = request.param()
    yield memory
    memory.close()


@pytest.fixture
def linear() -> Iterator[LinearMemory]:
    linear = LinearMemory()
    yield linear
    linear.close()


def test_a_rollback_restores_what_was_committed(memory: MemoryTransaction, linear: LinearMemory) -> None:
    linear.area[10:15] = b"first"
    memory.adopt(linear.base, 2 * PAGE)
    linear.area[10:15] = b"other"
    linear.area[PAGE] = 9
    memory.rollback()
    assert linear.area[10:15] == b"first"
    assert linear.area[PAGE] == 0


def test_a_commit_survives_later_rollbacks(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, PAGE)
    linear.area[0:4] = b"kept"
    memory.commit(PAGE)
    linear.area[0:4] = b"lost"
    memory.rollback()
    assert linear.area[0:4] == b"kept"


def test_the_image_moves_to_another_linear_memory(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, PAGE)
    linear.area[PAGE - 4 : PAGE] = b"tail"
    linear.area[2 * PAGE : 2 * PAGE + 4] = b"grew"
    memory.commit(3 * PAGE)
    other = LinearMemory()
    try:
        memory.attach(other.base)
        assert other.area[PAGE - 4 : PAGE] == b"tail"
        assert other.area[2 * PAGE : 2 * PAGE + 4] == b"grew"
        other.area[0] = 7
        memory.rollback()
        assert other.area[0] == 0
    finally:
        other.close()


def test_thousands_of_scattered_pages_are_rolled_back_and_committed(memory: MemoryTransaction) -> None:
    count, distance = 5000, 32768
    linear = LinearMemory(count * distance)
    try:
        memory.adopt(linear.base, count * distance)
        for turn in (1, 2):
            for i in range(count):
                linear.area[i * distance] = turn
            memory.rollback() if turn == 1 else memory.commit(count * distance)
        assert [linear.area[i * distance] for i in range(count)] == [2] * count
        assert memory.read(distance * (count - 1), 2) == b"\2\0"
    finally:
        linear.close()


def test_changes_are_in_proportion_to_what_was_written(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, CAPACITY)
    taken(memory)
    linear.area[5 * PAGE] = 1
    memory.commit(CAPACITY)
    changes = taken(memory)
    assert sum(len(data) for _, data in changes.extents) <= 2 * 4096
    assert not changes.complete
    assert taken(memory) == MemoryState(CAPACITY, (), complete=False)


def test_a_rolled_back_write_is_no_change(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, CAPACITY)
    taken(memory)
    linear.area[5 * PAGE] = 1
    memory.rollback()
    memory.commit(CAPACITY)
    assert taken(memory).extents == ()


def test_after_loading_a_checkpoint_only_new_writes_are_changes(
    memory: MemoryTransaction, linear: LinearMemory
) -> None:
    memory.restore(MemoryState(2 * PAGE, ((100, b"saved"),)))
    memory.mark_saved()
    memory.attach(linear.base)
    assert linear.area[100:105] == b"saved"
    linear.area[PAGE] = 1
    memory.commit(2 * PAGE)
    assert [offset for offset, _ in taken(memory).extents] == [PAGE]


def test_an_extent_beyond_the_memory_is_refused(memory: MemoryTransaction) -> None:
    with pytest.raises(ValueError, match="ends beyond the memory's 65536 bytes"):
        memory.restore(MemoryState(PAGE, ((PAGE - 2, b"long"),)))


def test_changes_cannot_be_restored_as_if_they_were_everything(memory: MemoryTransaction) -> None:
    with pytest.raises(ValueError, match="only a complete state"):
        memory.restore(MemoryState(PAGE, (), complete=False))


def test_an_empty_memory_can_be_adopted_and_grown(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, 0)
    memory.rollback()
    memory.commit(0)
    linear.area[3] = 3
    memory.commit(PAGE)
    linear.area[3] = 4
    memory.rollback()
    assert linear.area[3] == 3


def test_the_strategy_is_chosen_by_trying_it() -> None:
    assert best_memory() is (CopyOnWriteMemory if copy_on_write_works() else FullCopyMemory)


def test_without_the_kernels_help_every_write_is_still_transactional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.memfd_create", None)
    copy_on_write_works.cache_clear()
    try:
        monkeypatch.delattr("os.memfd_create")
        assert not copy_on_write_works()
        assert best_memory() is FullCopyMemory
    finally:
        copy_on_write_works.cache_clear()


class TransactionsMatchAByteArray(RuleBasedStateMachine):
    """Writes, growth, commits, rollbacks and moves against plain byte arrays."""

    strategy: Strategy = FullCopyMemory

    @initialize(pages=st.integers(0, 3))
    def start(self, pages: int) -> None:
        self.linear = LinearMemory()
        self.memory = self.strategy()
        self.length = pages * PAGE
        self.model = bytearray(self.length)
        self.committed = bytes(self.length)
        self.saved = bytearray()
        self.anchors: list[bytes] = []
        self.memory.adopt(self.linear.base, self.length)

    @precondition(lambda self: self.length)
    @rule(at=st.integers(0, CAPACITY), data=st.binary(min_size=1, max_size=200), times=st.integers(1, 60))
    def write(self, at: int, data: bytes, times: int) -> None:
        at %= self.length
        block = (data * times)[: self.length - at]
        self.linear.area[at : at + len(block)] = block
        self.model[at : at + len(block)] = block

    @rule(pages=st.integers(1, 2))
    def grow(self, pages: int) -> None:
        if self.length + pages * PAGE <= CAPACITY:
            self.length += pages * PAGE
            self.model += bytes(pages * PAGE)

    @rule()
    def commit(self) -> None:
        self.memory.commit(self.length)
        self.committed = bytes(self.model)

    @rule()
    def rollback(self) -> None:
        self.memory.rollback()
        if self.length > len(self.committed):
            self.move()  # as an instance does, since growth can't be undone
        self.model = bytearray(self.committed)
        self.length = len(self.model)

    @rule()
    def move(self) -> None:
        self.rollback_quietly()
        self.replace_linear_memory()

    def replace_linear_memory(self) -> None:
        other = LinearMemory()
        self.memory.attach(other.base)
        self.linear.close()
        self.linear = other

    def rollback_quietly(self) -> None:
        self.memory.rollback()
        self.model = bytearray(self.committed)
        self.length = len(self.model)

    @rule()
    def anchor(self) -> None:
        self.move()
        self.memory.anchor()
        self.anchors.append(self.committed)

    @precondition(lambda self: self.anchors)
    @rule()
    def revert(self) -> None:
        self.rollback()
        moves = self.memory.grown
        if moves:
            self.memory.detach()
        self.memory.revert()
        self.committed = self.anchors.pop()
        self.model = bytearray(self.committed)
        self.length = len(self.model)
        if moves:
            self.replace_linear_memory()

    @precondition(lambda self: self.anchors)
    @rule()
    def release(self) -> None:
        self.memory.release()
        self.anchors.pop()

    @rule()
    def checkpoint(self) -> None:
        self.saved = applied(taken(self.memory), self.saved)
        assert self.saved == self.committed

    @invariant()
    def memory_is_as_modelled(self) -> None:
        assert self.linear.area[: self.length] == self.model
        assert self.memory.committed == len(self.committed)
        assert self.memory.read(0, len(self.committed)) == self.committed
        assert applied(self.memory.export_state()) == self.committed

    def teardown(self) -> None:
        if hasattr(self, "memory"):
            self.memory.close()
            self.linear.close()


def machine(of: Strategy) -> type[TestCase]:
    class Machine(TransactionsMatchAByteArray):
        strategy = of

    Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
    return Machine.TestCase


TestFullCopyMatchesAByteArray = machine(FullCopyMemory)


class OftenRemappedMemory(CopyOnWriteMemory):
    """Maps the image anew after every other transaction, which otherwise only large images see."""

    _REMAP_AFTER_TRANSACTIONS = 2
    _REMAP_FROM_LENGTH = 0


if copy_on_write_works():
    TestOftenRemappedMatchesAByteArray = machine(OftenRemappedMemory)
    TestCopyOnWriteMatchesAByteArray = machine(CopyOnWriteMemory)


def saved_file(tmp_path: Path, length: int) -> int:
    """A file with a page of its own at the beginning of each 64 KiB but the last, open to be read."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(length)
        for offset in range(0, length - PAGE, PAGE):
            file.seek(offset)
            file.write(b"saved at %6d" % offset)
    return os.open(path, os.O_RDONLY)


def test_a_saved_image_is_used_from_its_file_which_is_never_written(
    memory: MemoryTransaction, linear: LinearMemory, tmp_path: Path
) -> None:
    length = 3 * PAGE
    memory.use_file(saved_file(tmp_path, length), length)
    before = (tmp_path / "image").read_bytes()
    memory.attach(linear.base)
    assert memory.read(PAGE, 15) == linear.area[PAGE : PAGE + 15] == b"saved at  65536"
    assert memory.unsaved() == []
    linear.area[5] = 1
    memory.rollback()
    memory.commit(length)
    assert linear.area[:8] == b"saved at"
    linear.area[PAGE + 5] = linear.area[2 * PAGE] = 1
    memory.commit(length)
    assert not memory.is_saved
    linear.area[0] = 0
    memory.rollback()
    assert memory.read(0, length) == linear.area[:length]
    assert linear.area[PAGE : PAGE + 8] == b"saved\x01at"
    assert [start // PAGE for start, _ in memory.unsaved() or []] == [1, 2]
    assert (tmp_path / "image").read_bytes() == before


def test_an_image_that_was_saved_meanwhile_is_used_from_its_file_under_a_live_memory(
    memory: MemoryTransaction, linear: LinearMemory, tmp_path: Path
) -> None:
    length = 2 * PAGE
    memory.adopt(linear.base, length)
    linear.area[7] = 7
    memory.commit(length)
    (tmp_path / "image").write_bytes(memory.read(0, length))
    memory.use_file(os.open(tmp_path / "image", os.O_RDONLY), length)
    assert (linear.area[7], memory.unsaved()) == (7, [])
    linear.area[8] = 8
    memory.rollback()
    assert linear.area[8] == 0
    linear.area[8] = 8
    memory.commit(length)
    assert memory.read(7, 2) == b"\7\10"


def test_a_memory_that_grows_beyond_its_file_is_copied(
    memory: MemoryTransaction, linear: LinearMemory, tmp_path: Path
) -> None:
    memory.use_file(saved_file(tmp_path, 2 * PAGE), 2 * PAGE)
    memory.attach(linear.base)
    linear.area[2 * PAGE] = 9
    memory.commit(3 * PAGE)
    assert memory.read(0, 8) == b"saved at"
    assert memory.read(2 * PAGE, 1) == b"\x09"
    assert (tmp_path / "image").stat().st_size == 2 * PAGE


@pytest.mark.skipif(not copy_on_write_works(), reason="others have read the whole file")
def test_a_file_that_somebody_cut_off_is_an_error(tmp_path: Path) -> None:
    with closing(CopyOnWriteMemory()) as memory:
        memory.use_file(saved_file(tmp_path, 2 * PAGE), 2 * PAGE)
        os.truncate(tmp_path / "image", PAGE)
        assert memory.read(PAGE - 1, 1) == b"\0"
        with pytest.raises(OSError, match="was cut off"):
            memory.read(PAGE - 1, 2)
