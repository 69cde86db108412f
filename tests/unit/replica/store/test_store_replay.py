"""How much a start executes again: bounded, whatever was executed since the directory is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.replica.store.checkpoint import Checkpoint, ReplayLimits
from canister_factory.replica.store.files import Files
from canister_factory.replica.subnet.durability import Replayable
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import Bench, engine
from support.store_history import opener

FILES = Files(power=False)


class Counting(Checkpoint):
    """Counts what a start executes again."""

    def replay(self, subnet: Replayable) -> None:
        before = subnet.state.messages_executed, subnet.state.instructions
        super().replay(subnet)
        Counting.messages = subnet.state.messages_executed - before[0]
        Counting.instructions = subnet.state.instructions - before[1]

    messages = instructions = 0


def replayed(path: Path) -> tuple[int, int, int]:
    """Messages and instructions that a start executes again, and the bytes of the journal that it reads."""
    Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Counting(path, engine(), files=FILES)))
    (journal,) = path.glob("journal-*")
    return Counting.messages, Counting.instructions, len(journal.read_bytes().rstrip(b"\0"))


@pytest.mark.parametrize("calls", [3, 25, 48])
def test_messages_are_executed_again_up_to_the_limit(tmp_path: Path, calls: int) -> None:
    bench = Bench(opener(tmp_path, files=FILES, messages=10))
    canister = bench.puppet()
    bench.subnet.persist()
    for _ in range(calls):
        bench.call(canister, "count")
        bench.subnet.persist()
    assert replayed(tmp_path)[0] <= 10
    bench.restart()
    assert bench.count(canister) == calls


def test_instructions_are_executed_again_up_to_the_limit(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES, instructions=200))
    canister = bench.puppet()
    bench.subnet.persist()
    most = 0
    for _ in range(60):
        before = bench.subnet.state.instructions
        bench.call(canister, "count")
        bench.subnet.persist()
        most = max(most, bench.subnet.state.instructions - before)
    assert bench.subnet.state.instructions > 3 * 200
    assert replayed(tmp_path)[1] <= 200 + most


def test_a_journal_is_as_long_as_the_limit_and_a_round(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES, journal_bytes=50_000))
    canister = bench.puppet()
    bench.subnet.persist()
    for number in range(20):
        bench.call(canister, "count", bytes([number]) * 20_000)
        bench.subnet.persist()
        (journal,) = tmp_path.glob("journal-*")
        assert len(journal.read_bytes().rstrip(b"\0")) <= 50_000 + 21_000
    assert replayed(tmp_path)[2] <= 50_000 + 21_000


def test_the_limits_are_a_few_seconds_of_work() -> None:
    """0.12 ms a message, 5 G instructions a second, 0.3 GB a second: measured on two cores that others used too."""
    limits = ReplayLimits()
    assert limits.messages * 0.12e-3 + limits.instructions / 5e9 + limits.journal_bytes / 0.3e9 < 5


def test_an_end_with_much_to_save_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES, unsaved_at_end=100_000))
    canister = bench.puppet()
    for _ in range(3):
        bench.call(canister, "count")
    bench.subnet.close()
    assert replayed(tmp_path)[0] > 3
    bench = Bench(opener(tmp_path, files=FILES, unsaved_at_end=100_000))
    assert bench.count(canister) == 3


def test_after_an_orderly_end_nothing_is_executed_again(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES))
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.close()
    assert replayed(tmp_path)[:2] == (0, 0)
