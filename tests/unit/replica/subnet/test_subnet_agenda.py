"""A round looks at the canisters that want something, not at all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.replica.subnet.agenda import Agenda, next_task_ns, stop_deadline_ns
from canister_factory.replica.subnet.canister import CanisterState, Settings
from canister_factory.replica.subnet.state import SubnetState
from support.replica_bench import SECOND_NS, Bench
from support.replica_puppet import puppet

T = TypeVar("T")
HEARTBEAT = '(func (export "canister_heartbeat") (call $count))'


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Whose timer, heartbeat, stop requests or storage were looked at, one entry each time."""
    seen: list[bytes] = []

    def watched(function: Callable[[CanisterState], T]) -> Callable[[CanisterState], T]:
        def noting(canister: CanisterState) -> T:
            seen.append(canister.id)
            return function(canister)

        return noting

    monkeypatch.setattr("canister_factory.replica.subnet.calls.next_task_ns", watched(next_task_ns))
    monkeypatch.setattr("canister_factory.replica.subnet.calls.stop_deadline_ns", watched(stop_deadline_ns))
    size = CanisterState.memory_bytes.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(CanisterState, "memory_bytes", property(watched(size)))
    return seen


def test_an_update_looks_at_the_canister_it_is_for_and_no_other(looked_at: list[bytes]) -> None:
    bench = Bench()
    others = [bench.puppet() for _ in range(20)]
    with_timer, busy = others[0], others[1]
    bench.call(with_timer, "set_timer", (bench.clock.now_ns + 100 * SECOND_NS).to_bytes(8, "little"))
    bench.run()
    bench.subnet.next_wakeup_ns()
    looked_at.clear()
    bench.call(busy, "count")
    bench.subnet.next_wakeup_ns()
    assert set(looked_at) <= {busy, with_timer}
    assert looked_at.count(with_timer) <= 4  # the earliest timer, asked for its time


def test_a_due_heartbeat_looks_at_its_own_canister_only(looked_at: list[bytes]) -> None:
    bench = Bench()
    for _ in range(20):
        bench.puppet()
    beating = bench.puppet(puppet(HEARTBEAT))
    bench.clock.advance(1)
    looked_at.clear()
    bench.run()
    assert bench.count(beating) == 1
    assert set(looked_at) == {beating}


def test_what_was_due_while_a_canister_could_not_run_comes_when_it_can() -> None:
    bench = Bench()
    canister = bench.puppet(puppet(HEARTBEAT))
    bench.on("stop_canister", canister)
    for _ in range(2):
        bench.clock.advance(5)
        bench.run()
    bench.on("start_canister", canister)
    bench.run()
    assert bench.count(canister) == 1


class TestAgenda:
    """Against the same question asked of all canisters."""

    @given(
        st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(1, 40)), st.integers(0, 3)), max_size=60)
    )
    def test_it_gives_each_canister_once_when_its_time_has_come(self, steps: list[tuple[int, int | None, int]]) -> None:
        state = SubnetState(bytes(32))
        for number in range(5):
            state.canisters[bytes([number])] = CanisterState(bytes([number]), Settings())
        wanted: dict[bytes, int | None] = {}
        tested = Agenda(state, lambda canister: wanted.get(canister.id))
        now = 0
        for number, time_ns, pause in steps:
            canister = state.canisters[bytes([number])]
            wanted[canister.id] = time_ns
            tested.note(canister)
            now += pause
            open_times = sorted(time for time in wanted.values() if time is not None)
            assert tested.next_ns == (open_times[0] if open_times else None)
            due = tested.take_due(now)
            assert [canister.id for canister in due] == sorted(
                canister_id for canister_id, time in wanted.items() if time is not None and time <= now
            )
            for canister in due:
                wanted[canister.id] = None
            assert len(tested._heap) <= 2 * len(tested._noted) + 65

    def test_a_deleted_canister_is_forgotten(self) -> None:
        state = SubnetState(bytes(32))
        state.canisters[b"a"] = CanisterState(b"a", Settings())
        tested = Agenda(state, lambda canister: 7)
        del state.canisters[b"a"]
        assert (tested.next_ns, tested.take_due(10)) == (None, [])


def test_the_memory_of_a_canister_is_the_sum_of_its_metrics() -> None:
    bench = Bench()
    canister = bench.puppet()
    bench.call(canister, "remember", b"12345678")
    bench.on("upload_chunk", canister, chunk=b"some bytes")
    state = bench.subnet.canisters[canister]
    assert state.memory_bytes == sum(state.memory_metrics().values()) > 65536
