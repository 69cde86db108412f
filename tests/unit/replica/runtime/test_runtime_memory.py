"""Both memory strategies against one model."""

import ctypes
import mmap
from collections.abc import Iterator
from unittest import TestCase

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory, best_memory, copy_on_write_works
from canister_factory.replica.runtime.memory import FullCopyMemory, MemoryState, MemoryTransaction
from support.runtime_harness import STRATEGIES, Strategy, applied

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
    memory.take_changes()
    linear.area[5 * PAGE] = 1
    memory.commit(CAPACITY)
    changes = memory.take_changes()
    assert sum(len(data) for _, data in changes.extents) <= 2 * 4096
    assert not changes.complete
    assert memory.take_changes() == MemoryState(CAPACITY, (), complete=False)


def test_a_rolled_back_write_is_no_change(memory: MemoryTransaction, linear: LinearMemory) -> None:
    memory.adopt(linear.base, CAPACITY)
    memory.take_changes()
    linear.area[5 * PAGE] = 1
    memory.rollback()
    memory.commit(CAPACITY)
    assert memory.take_changes().extents == ()


def test_after_loading_a_checkpoint_only_new_writes_are_changes(
    memory: MemoryTransaction, linear: LinearMemory
) -> None:
    memory.restore(MemoryState(2 * PAGE, ((100, b"saved"),)))
    memory.mark_saved()
    memory.attach(linear.base)
    assert linear.area[100:105] == b"saved"
    linear.area[PAGE] = 1
    memory.commit(2 * PAGE)
    assert [offset for offset, _ in memory.take_changes().extents] == [PAGE]


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
        self.saved = applied(self.memory.take_changes(), self.saved)
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
