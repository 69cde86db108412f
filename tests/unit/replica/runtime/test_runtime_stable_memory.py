import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from canister_factory.replica.runtime.memory import MemoryState
from canister_factory.replica.runtime.stable_memory import MAX_WASM_PAGES, StableMemory
from support.runtime_harness import applied, taken

PAGE = 65536


def test_new_pages_are_zero_and_growth_tells_the_former_size() -> None:
    stable = StableMemory()
    assert stable.grow(2) == 0
    assert stable.grow(1) == 2
    assert stable.read(3 * PAGE - 8, 8) == bytes(8)


def test_growth_beyond_500_gib_fails_and_changes_nothing() -> None:
    stable = StableMemory()
    assert stable.grow(MAX_WASM_PAGES) == 0
    assert stable.grow(1) == -1
    assert stable.wasm_pages == MAX_WASM_PAGES


def test_a_write_at_the_far_end_of_a_huge_memory_takes_one_block() -> None:
    stable = StableMemory()
    stable.grow(MAX_WASM_PAGES)
    stable.write(stable.size_bytes - 3, b"end")
    assert stable.read(stable.size_bytes - 4, 4) == b"\0end"
    assert "blocks_used=1" in repr(stable)


@pytest.mark.parametrize(("offset", "size"), [(PAGE, 1), (PAGE - 1, 2), (1 << 63, 1)])
def test_ranges_beyond_the_end_are_refused(offset: int, size: int) -> None:
    stable = StableMemory()
    stable.grow(1)
    with pytest.raises(IndexError, match="stable memory of 65536 bytes"):
        stable.write(offset, bytes(size))
    with pytest.raises(IndexError, match="stable memory of 65536 bytes"):
        stable.read(offset, size)


def test_forks_go_separate_ways() -> None:
    stable = StableMemory()
    stable.grow(1)
    stable.write(0, b"shared")
    twin = stable.fork()
    twin.write(0, b"twin's")
    twin.grow(1)
    assert stable.read(0, 6) == b"shared"
    assert stable.wasm_pages == 1
    assert twin.read(0, 6) == b"twin's"


def test_a_reader_keeps_what_changes_and_copies_nothing_else() -> None:
    stable = StableMemory()
    stable.grow(100)
    stable.write(0, b"x" * 100 * PAGE)
    reader = stable.reader()
    stable.begin()
    stable.write(50 * PAGE, b"new")
    stable.commit()
    assert reader.read(50 * PAGE, 3) == b"xxx"
    (blocks,) = stable._readers
    assert len(blocks._own) == 1
    del reader, blocks
    assert not stable._readers


def test_going_back_to_an_anchor_leaves_readers_what_they_saw() -> None:
    stable = StableMemory()
    stable.grow(1)
    stable.anchor()
    stable.write(0, b"after")
    reader = stable.reader()
    stable.revert()
    assert (stable.read(0, 5), reader.read(0, 5)) == (bytes(5), b"after")


def test_a_fork_remembers_what_no_checkpoint_has_seen() -> None:
    stable = StableMemory()
    stable.grow(1)
    stable.write(0, b"unsaved")
    assert taken(stable.fork()).extents[0][1][:7] == b"unsaved"


def test_a_restored_memory_replaces_the_old_one() -> None:
    stable = StableMemory()
    stable.grow(3)
    stable.write(2 * PAGE, b"old")
    taken(stable)
    stable.restore(MemoryState(PAGE, ((5, b"new"),)))
    stable.grow(2)
    assert stable.read(0, 8) == bytes(5) + b"new"
    assert stable.read(2 * PAGE, 3) == bytes(3)
    assert applied(taken(stable), b"x" * 3 * PAGE) == stable.read(0, 3 * PAGE)


def test_after_restoring_a_checkpoint_only_new_writes_are_changes() -> None:
    stable = StableMemory()
    stable.restore(MemoryState(PAGE, ((5, b"saved"),)), saved=True)
    assert taken(stable) == MemoryState(PAGE, (), complete=False)
    stable.write(PAGE - 1, b"!")
    assert [offset for offset, _ in taken(stable).extents] == [PAGE - 4096]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (MemoryState(PAGE + 1, ()), "isn't whole pages"),
        (MemoryState(PAGE, ((PAGE - 1, b"12"),)), "ends beyond"),
        (MemoryState(PAGE, (), complete=False), "only a complete state"),
    ],
)
def test_states_that_cannot_be_right_are_refused(state: MemoryState, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StableMemory().restore(state)


class StableMemoryMatchesAByteArray(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stable = StableMemory()
        self.model = bytearray()
        self.before: bytearray | None = None
        self.saved = bytearray()
        self.readers: list[tuple[StableMemory, bytearray]] = []

    @rule(pages=st.integers(0, 2))
    def grow(self, pages: int) -> None:
        if len(self.model) < 5 * PAGE:
            self.stable.grow(pages)
            self.model += bytes(pages * PAGE)

    @precondition(lambda self: self.model)
    @rule(at=st.integers(0, 8 * PAGE), data=st.binary(max_size=100), times=st.integers(1, 200))
    def write(self, at: int, data: bytes, times: int) -> None:
        at %= len(self.model)
        block = (data * times)[: len(self.model) - at]
        self.stable.write(at, block)
        self.model[at : at + len(block)] = block

    @precondition(lambda self: self.before is None)
    @rule()
    def begin(self) -> None:
        self.stable.begin()
        self.before = bytearray(self.model)

    @precondition(lambda self: self.before is not None)
    @rule()
    def commit(self) -> None:
        self.stable.commit()
        self.before = None

    @precondition(lambda self: self.before is not None)
    @rule()
    def rollback(self) -> None:
        self.stable.rollback()
        assert self.before is not None
        self.model = self.before
        self.before = None

    @property
    def committed(self) -> bytearray:
        return self.model if self.before is None else self.before

    @rule()
    def checkpoint(self) -> None:
        """Also in the middle of a transaction, which it doesn't contain."""
        self.saved = applied(taken(self.stable), self.saved)
        assert self.saved == self.committed

    @rule()
    def begin_to_read(self) -> None:
        self.readers.append((self.stable.reader(), bytearray(self.committed)))

    @precondition(lambda self: self.readers)
    @rule(number=st.integers(0, 99), at=st.integers(0, 8 * PAGE), data=st.binary(max_size=9_000), kept=st.booleans())
    def write_to_a_reader(self, number: int, at: int, data: bytes, kept: bool) -> None:
        reader, seen = self.readers[number % len(self.readers)]
        if seen:
            at %= len(seen)
            data = data[: len(seen) - at]
            reader.begin()
            reader.write(at, data)
            if kept:
                reader.commit()
                seen[at : at + len(data)] = data
            else:
                reader.rollback()

    @precondition(lambda self: self.before is None and self.readers)
    @rule()
    def become_another(self) -> None:
        """By a restart's restoring, or by going back to an anchor."""
        self.stable.restore(MemoryState(PAGE, ((7, b"another"),)))
        self.model = bytearray(PAGE)
        self.model[7:14] = b"another"
        self.saved = bytearray()

    @invariant()
    def readers_see_what_was_committed_when_they_began(self) -> None:
        for reader, seen in self.readers:
            assert reader.read(0, len(seen)) == seen
            assert applied(reader.export_state()) == seen

    @invariant()
    def content_is_as_modelled(self) -> None:
        assert self.stable.read(0, len(self.model)) == self.model
        assert self.stable.size_bytes == len(self.committed)
        assert applied(self.stable.export_state()) == self.committed
        assert applied(self.stable.fork().export_state()) == self.committed


TestStableMemoryMatchesAByteArray = StableMemoryMatchesAByteArray.TestCase
TestStableMemoryMatchesAByteArray.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
