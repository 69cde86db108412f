"""Anchors of instances and stable memories; those of linear memories are modelled with their strategies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.replica.runtime.memory import MemoryState
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory
from canister_factory.replica.runtime.undo import BLOCK_BYTES, Former, UndoLog
from support.runtime_harness import COUNTER, STRATEGIES, Canister, le64, taken


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.__name__)
def counter(request: pytest.FixtureRequest) -> Iterator[Canister]:
    with Canister(COUNTER, request.param) as canister:
        canister.numbers(canister.update("bump", le64(5)))
        yield canister


def _loaded(canister: Canister) -> list[int]:
    return canister.numbers(canister.query("load"))


def test_globals_and_memory_go_back_in_place(counter: Canister) -> None:
    before, live = _loaded(counter), counter.instance._live
    counter.instance.anchor()
    counter.numbers(counter.update("bump", le64(7)))
    assert _loaded(counter)[1] == 12
    counter.instance.revert()
    assert _loaded(counter)[:3] == before[:3]
    assert counter.instance._live is live


def test_a_memory_that_grew_is_put_under_a_new_instance(counter: Canister) -> None:
    before = _loaded(counter)
    counter.instance.anchor()
    counter.numbers(counter.update("bump", le64(7)))
    counter.numbers(counter.update("grow"))
    counter.instance.revert()
    assert counter.instance.export_state().memory.length == WASM_PAGE_BYTES
    assert _loaded(counter)[:3] == before[:3]


def test_a_closed_instance_opens_again(counter: Canister) -> None:
    before = _loaded(counter)
    counter.instance.anchor()
    counter.numbers(counter.update("bump", le64(7)))
    counter.instance.close()
    counter.instance.revert()
    assert _loaded(counter)[:3] == before[:3]


def test_a_closed_instance_whose_anchor_is_released_is_gone(counter: Canister) -> None:
    counter.instance.anchor()
    counter.instance.close()
    counter.instance.release()
    with pytest.raises(RuntimeError, match="closed"):
        counter.query("load")


def test_globals_of_the_outer_anchor_outlive_the_inner_one(counter: Canister) -> None:
    before = _loaded(counter)
    counter.instance.anchor()
    counter.instance.anchor()
    counter.numbers(counter.update("bump", le64(7)))
    counter.instance.release()
    counter.instance.revert()
    assert _loaded(counter)[:3] == before[:3]


def test_an_instance_in_use_is_not_restored_over_an_anchor(counter: Canister) -> None:
    state = counter.instance.export_state()
    counter.instance.anchor()
    with pytest.raises(AssertionError, match="anchor"):
        counter.instance.restore(state)


def test_a_stable_memory_keeps_what_is_overwritten_and_nothing_else() -> None:
    stable = StableMemory()
    stable.grow(16)
    stable.write(0, b"x" * 16 * WASM_PAGE_BYTES)
    before = stable.export_state()
    stable.anchor()
    for _ in range(3):
        stable.write(BLOCK_BYTES - 1, b"yy")
    assert stable.copied_bytes == 2 * BLOCK_BYTES
    stable.grow(1)
    stable.write(16 * WASM_PAGE_BYTES, b"beyond")
    stable.revert()
    assert stable.export_state() == before
    stable.grow(1)
    assert stable.read(16 * WASM_PAGE_BYTES, 6) == bytes(6)


def test_what_a_revert_changed_is_a_change_for_a_checkpoint() -> None:
    stable = StableMemory()
    stable.grow(1)
    stable.write(0, b"first")
    stable.anchor()
    stable.write(0, b"other")
    taken(stable)
    stable.revert()
    assert taken(stable) == MemoryState(WASM_PAGE_BYTES, ((0, b"first".ljust(BLOCK_BYTES, b"\0")),), complete=False)


@given(st.dictionaries(st.integers(0, 12), st.one_of(st.none(), st.binary(min_size=4096, max_size=4096))))
def test_runs_are_the_kept_blocks_within_the_length(blocks: dict[int, bytes | None]) -> None:
    length = 10 * BLOCK_BYTES
    image = bytearray(b"#" * length)
    for offset, data in Former(length, blocks).runs():
        image[offset : offset + len(data)] = data
    expected = [blocks.get(number, b"#" * BLOCK_BYTES) or bytes(BLOCK_BYTES) for number in range(10)]
    assert bytes(image) == b"".join(expected)


def test_blocks_beyond_the_anchored_length_need_not_be_kept() -> None:
    undo = UndoLog()
    assert undo.missing(0, 4 * BLOCK_BYTES) == []
    undo.open(2 * BLOCK_BYTES)
    undo.keep(0, b"known")
    assert undo.missing(0, 4 * BLOCK_BYTES) == [1]
    assert repr(undo) == "<UndoLog anchors=1 copied_bytes=5>"
