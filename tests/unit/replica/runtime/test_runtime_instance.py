import gc
import threading
from pathlib import Path

import pytest

from canister_factory.replica.runtime.execution import Callback, Entry, Outcome, RejectCode, finish
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory import InstanceState, MemoryState
from canister_factory.replica.runtime.memory_copy import copy_in
from canister_factory.replica.runtime.stable_memory import StableMemory
from support.runtime_harness import (
    BILLION,
    COUNTER,
    IMPORTS_OF_A_CANISTER,
    STRATEGIES,
    Canister,
    Strategy,
    env,
    failure,
    le64,
    reply,
    taken,
)

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.__name__)
# What COUNTER answers: first word of memory, global, pages of memory, pages of stable memory.
FRESH = [0, 0, 1, 0]


@each_strategy
def test_an_update_keeps_memory_globals_and_stable_memory(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        assert canister.numbers(canister.update("bump", le64(5))) == [5, 5, 1, 1]
        assert canister.numbers(canister.update("bump", le64(7))) == [7, 12, 1, 2]
        assert canister.numbers(canister.query("load")) == [7, 12, 1, 2]
        assert canister.stable.read(0, 8) == le64(7)


@each_strategy
@pytest.mark.parametrize("method", ["bump_and_trap", "grow_and_trap"])
def test_a_trap_undoes_memory_globals_growth_and_stable_memory(strategy: Strategy, method: str) -> None:
    with Canister(COUNTER, strategy) as canister:
        canister.update("bump", le64(5))
        failure(canister.update(method, le64(9)))
        assert canister.numbers(canister.query("load")) == [5, 5, 1, 1]
        assert canister.stable.read(0, 8) == le64(5)


@each_strategy
def test_a_query_sees_its_own_changes_and_leaves_none(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        assert canister.numbers(canister.query("bump_in_query", le64(3))) == [3, 3, 1, 1]
        assert canister.numbers(canister.query("grow_in_query", le64(3))) == [3, 3, 4, 1]
        assert canister.numbers(canister.query("load")) == FRESH


@each_strategy
def test_memory_grown_by_a_query_cannot_be_read_afterwards(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        canister.query("grow_in_query", le64(3))
        assert "heap out of bounds" in failure(canister.query("beyond")).message
        canister.update("grow")
        assert canister.numbers(canister.query("beyond"))[0] == (1 << 64) - 1
        assert canister.instance.memory_bytes == 4 * 65536


def test_an_update_that_is_not_to_be_committed_leaves_nothing() -> None:
    with Canister(COUNTER) as canister:
        assert canister.numbers(canister.update("bump", le64(5), commit=False)) == [5, 5, 1, 1]
        assert canister.numbers(canister.query("load")) == FRESH


TRAPS = """(module
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (memory 1) (data (i32.const 0) "no such key") (table 3 funcref) (elem (i32.const 0) $wrong)
  (func $wrong (param f64))
  (func $deep (param i64) (result i64) (i64.add (i64.const 1) (call $deep (local.get 0))))
  (func $named_function (unreachable))
  (func (export "canister_update unreachable") (call $named_function))
  (func (export "canister_update explicit")
    (call $print (i32.const 3) (i32.const 4)) (call $trap (i32.const 0) (i32.const 11)))
  (func (export "canister_update zero") (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "canister_update heap") (i32.store (i32.const -1) (i32.const 1)))
  (func (export "canister_update pointer") (call $trap (i32.const 65530) (i32.const 7)))
  (func (export "canister_update pointer_wraps") (call $trap (i32.const -1) (i32.const -1)))
  (func (export "canister_update deep") (drop (call $deep (i64.const 1))))
  (func (export "canister_update loop") (loop (br 0)))
  (func (export "canister_update ok")))"""


@pytest.mark.parametrize(
    ("method", "error_code", "message"),
    [
        ("unreachable", "IC0502", "trapped: unreachable"),
        ("explicit", "IC0503", "trapped explicitly: no such key"),
        ("zero", "IC0502", "trapped: integer division by zero"),
        ("heap", "IC0502", "trapped: heap out of bounds"),
        ("pointer", "IC0502", "trapped: heap out of bounds"),
        ("pointer_wraps", "IC0502", "trapped: heap out of bounds"),
        ("deep", "IC0502", "trapped: stack overflow"),
        ("loop", "IC0522", "exceeded the limit of 1000000000 instructions"),
        ("absent", "IC0536", "has no update method 'absent'"),
    ],
)
def test_a_failure_names_the_canister_and_the_reason(method: str, error_code: str, message: str) -> None:
    with Canister(TRAPS) as canister:
        error = failure(canister.update(method))
        assert error.code is RejectCode.CANISTER_ERROR
        assert error.error_code == error_code
        assert error.message.startswith(f"Canister rrkah-fqaaa-aaaaa-aaaaq-cai {message}")
        assert canister.update("ok").error is None


def test_the_log_of_a_trap_has_the_prints_and_a_backtrace() -> None:
    with Canister(TRAPS) as canister:
        (line,) = canister.update("unreachable").log
        assert line.startswith("Canister rrkah-fqaaa-aaaaa-aaaaq-cai trapped: unreachable\n  in named_function\n  in ")
        printed, trapped = canister.update("explicit").log
        assert printed == "such"
        assert trapped.startswith("Canister rrkah-fqaaa-aaaaa-aaaaq-cai trapped explicitly: no such key\n  in ")


def test_a_stack_overflow_in_another_thread_traps_too() -> None:
    outcomes: list[Outcome] = []
    with Canister(TRAPS) as canister:
        thread = threading.Thread(target=lambda: outcomes.append(canister.update("deep")))
        thread.start()
        thread.join()
    assert "stack overflow" in failure(outcomes[0]).message


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (0, "wrong signature"),
        (1, "table entry 1 is null"),
        (7, "no entry 7"),
        (1 << 32, "no entry"),
        ((1 << 32) - 1, "no entry"),
    ],
)
def test_a_callback_that_cannot_be_called_traps(function: int, message: str) -> None:
    with Canister(TRAPS) as canister:
        outcome = canister.run(Entry.REPLY_CALLBACK, callback=Callback(function, 0))
        assert message in failure(outcome).message
        assert canister.update("ok").error is None


def test_a_callback_gets_its_environment() -> None:
    wat = """(module (import "ic0" "debug_print" (func $print (param i32 i32)))
      (memory 1) (table 1 funcref) (elem (i32.const 0) $f) (func (export "reply") unreachable)
      (func $f (param i32) (i32.store8 (i32.const 0) (local.get 0)) (call $print (i32.const 0) (i32.const 1))))"""
    with Canister(wat) as canister:
        assert canister.run(Entry.REPLY_CALLBACK, callback=Callback(0, ord("k"))).log == ["k"]


def test_missing_system_entry_points_do_nothing() -> None:
    with Canister(TRAPS) as canister:
        for entry in (Entry.INIT, Entry.PRE_UPGRADE, Entry.POST_UPGRADE, Entry.START, Entry.HEARTBEAT):
            outcome = canister.run(entry)
            assert (outcome.error, outcome.instructions, outcome.response) == (None, 0, None)


def test_a_module_that_cannot_be_instantiated_fails_at_the_first_execution() -> None:
    with Canister('(module (memory 1) (data (i32.const 65535) "ab"))') as canister:
        error = failure(canister.run(Entry.INIT))
        assert error.error_code == "IC0505"
        assert "out of bounds" in error.message


def test_instructions_count_what_ran_and_never_exceed_the_limit() -> None:
    with Canister(COUNTER) as canister:
        one = canister.update("bump", le64(1)).instructions
        overheads = 4 * 500 + 2 * 20  # grow, argument, append and reply; size and write of the stable memory
        assert 40 < one - overheads < 200
        assert canister.update("bump", le64(1)).instructions == one
        assert canister.update("bump", le64(1), limit=one).error is None
        short = canister.update("bump", le64(1), limit=one - 1)
        assert "limit" in failure(short).message
        assert short.instructions == one - 1


def test_bytes_copied_by_the_host_count_as_instructions() -> None:
    wat = """(module (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
      (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32))) (import "ic0" "msg_reply" (func $reply))
      (memory 16)
      (func (export "canister_update copy") (call $arg (i32.const 8) (i32.const 0) (i32.const 1000000))
        (i64.store (i32.const 0) (call $counter (i32.const 0)))
        (call $append (i32.const 0) (i32.const 8)) (call $reply)))"""
    with Canister(wat) as canister:
        outcome = canister.update("copy", bytes(1_000_000))
        assert 1_000_000 <= canister.numbers(outcome)[0] <= outcome.instructions <= 1_000_000 + 1_700 + 100
        assert failure(canister.update("copy", bytes(1_000_000), limit=999_999)).error_code == "IC0522"


def test_memory_does_not_grow_beyond_its_limit() -> None:
    wat = """(module (memory 1) (func (export "canister_update grow")
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))"""
    with Canister(wat) as canister:
        limited = Instance(canister.engine, canister.module, StableMemory(), memory_limit=65536)
        assert limited.execute(Entry.UPDATE, env("grow"), instruction_limit=BILLION).error is None
        assert limited.memory_bytes == 65536
        limited.close()


def test_a_64_bit_memory_reaches_beyond_4_gib() -> None:
    wat = """(module (import "ic0" "debug_print" (func $print (param i64 i64))) (memory i64 1)
      (func (export "canister_query far") (drop (memory.grow (i64.const 65600)))
        (i64.store (i64.const 0x100000000) (i64.const 0x6b6f)) (call $print (i64.const 0x100000000) (i64.const 2))))"""
    with Canister(wat) as canister:
        assert canister.query("far").log == ["ok"]
        assert canister.instance.memory_bytes == 65536


TABLES = """(module (import "ic0" "trap" (func $trap (param i32 i32))) (memory 1)
  (table $t 2 10 funcref) (elem declare func $bad) (data $d "seg")
  (func $bad (unreachable)) (type $v (func)) (global $g (mut i32) (i32.const 0))
  (func (export "canister_update spoil") (global.set $g (i32.const 1)) (i32.store (i32.const 100) (i32.const 5))
    (table.set (i32.const 0) (ref.func $bad)) (drop (table.grow (ref.null func) (i32.const 3))) (data.drop $d))
  (func (export "canister_query look")
    (if (i32.ne (table.size) (i32.const 2)) (then (unreachable)))
    (if (i32.eqz (ref.is_null (table.get (i32.const 0)))) (then (unreachable)))
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))
    (if (i32.ne (global.get $g) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 100)) (i32.const 5)) (then (unreachable)))))"""


@each_strategy
def test_each_execution_finds_tables_and_segments_as_the_module_has_them(strategy: Strategy) -> None:
    with Canister(TABLES, strategy) as canister:
        for _ in range(2):
            assert canister.update("spoil").error is None
            assert canister.query("look").error is None


@each_strategy
def test_a_state_is_restored_without_running_anything_again(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        canister.update("bump", le64(5))
        canister.update("grow")
        state = canister.instance.export_state()
        stable = canister.stable.export_state()
    other = StableMemory()
    other.restore(stable)
    restored = Instance(canister.engine, canister.module, other)
    restored.restore(state)
    assert restored.export_state() == state
    with Canister(COUNTER, strategy, restored) as again:
        assert again.numbers(again.query("load")) == [5, 5, 4, 1]
        assert again.numbers(again.query("beyond"))[0] == (1 << 64) - 1


@each_strategy
def test_changes_taken_after_each_update_add_up_to_the_state(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        image = bytearray()
        for turn, method in enumerate(["bump", "grow", "bump_and_trap", "bump"]):
            canister.update(method, le64(turn))
            changes = taken(canister.instance.memory)
            assert changes.complete == (turn == 0)
            image += bytes(changes.length - len(image))
            for offset, data in changes.extents:
                image[offset : offset + len(data)] = data
        assert canister.instance.global_values == (3,)
        restored = Instance(canister.engine, canister.module, canister.stable)
        restored.restore(InstanceState(MemoryState(len(image), ((0, bytes(image)),)), (3,)))
        restored.memory.mark_saved()
        assert restored.export_state() == canister.instance.export_state()
        assert taken(restored.memory) == MemoryState(len(image), (), complete=False)
        restored.close()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (InstanceState(MemoryState(65536, ()), ()), "has 0 globals, the module 1"),
        (InstanceState(MemoryState(65537, ()), (1,)), "isn't whole pages"),
        (InstanceState(MemoryState(65536, (), complete=False), (1,)), "only a complete state"),
        (InstanceState(MemoryState(65536, ((65536, b"x"),)), (1,)), "ends beyond"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(state: InstanceState, message: str) -> None:
    with Canister(COUNTER) as canister:
        canister.update("bump", le64(5))
        with pytest.raises(ValueError, match=message):
            canister.instance.restore(state)
        assert canister.numbers(canister.query("load")) == [5, 5, 1, 1]


@each_strategy
def test_a_fork_goes_its_own_way(strategy: Strategy) -> None:
    with Canister(COUNTER, strategy) as canister:
        canister.update("bump", le64(5))
        twin = canister.instance.fork(canister.stable.fork())
        assert canister.numbers(twin.execute(Entry.UPDATE, env("bump", le64(1)), instruction_limit=BILLION)) == [
            1,
            6,
            1,
            2,
        ]
        twin.close()
        assert canister.numbers(canister.query("load")) == [5, 5, 1, 1]


@each_strategy
def test_an_upgrade_that_keeps_memory_starts_globals_anew(strategy: Strategy) -> None:
    start = "(func $first (global.set $count (i64.const 40))) (start $first)"
    upgraded = COUNTER.replace("(memory 1)", "(memory 3)").replace("(func $bump", f"{start} (func $bump", 1)
    with Canister(COUNTER, strategy) as old:
        old.update("bump", le64(5))
        with Canister(upgraded, strategy) as new:
            finish(copy_in(new.instance, old.instance.memory))
            assert new.run(Entry.START).error is None
            assert new.numbers(new.query("load")) == [5, 40, 3, 0]
        assert old.numbers(old.query("load")) == [5, 5, 1, 1]


def test_not_a_number_has_one_bit_pattern() -> None:
    wat = f"""(module {IMPORTS_OF_A_CANISTER} (memory 1) (func (export "canister_query nan")
      (f64.store (i32.const 0) (f64.add (f64.const nan:0x8000000000123) (f64.const 1)))
      (call $append (i32.const 0) (i32.const 8)) (call $reply)))"""
    with Canister(wat) as canister:
        assert reply(canister.query("nan")).hex() == "000000000000f87f"


def _address_space() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@each_strategy
def test_closed_instances_give_their_address_space_and_files_back(strategy: Strategy) -> None:
    def cycle(times: int) -> None:
        for _ in range(times):
            with Canister(COUNTER, strategy) as canister:
                canister.update("bump", le64(1))
                canister.query("grow_in_query", le64(1))
                canister.query("load")

    cycle(5)
    gc.collect()
    size, files = _address_space(), len(list(Path("/proc/self/fd").iterdir()))
    cycle(200)
    assert _address_space() - size < 1 << 20  # KiB; one instance left open would hold 8 GiB
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


def test_a_closed_instance_can_be_closed_again_but_not_used() -> None:
    canister = Canister(COUNTER)
    canister.update("bump", le64(1))
    canister.instance.close()
    canister.instance.close()
    with pytest.raises(RuntimeError, match="is closed"):
        canister.query("load")


def test_instances_work_side_by_side_in_threads() -> None:
    def work(total: list[int]) -> None:
        with Canister(COUNTER) as canister:
            for _ in range(200):
                canister.query("grow_in_query", le64(1))
                canister.update("bump", le64(1))
            total.append(canister.numbers(canister.query("load"))[1])

    totals: list[int] = []
    threads = [threading.Thread(target=work, args=(totals,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [200] * 4


def test_an_interruption_from_outside_undoes_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    with Canister(COUNTER) as canister:
        canister.update("bump", le64(5))

        def interrupted(_stable: StableMemory, _pages: int) -> int:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(StableMemory, "grow", interrupted)
            with pytest.raises(KeyboardInterrupt):
                canister.update("bump", le64(9))
        assert canister.numbers(canister.query("load")) == [5, 5, 1, 1]


def test_the_repr_says_what_it_is_and_how_much_memory_it_holds() -> None:
    with Canister(COUNTER) as canister:
        assert "not instantiated" in repr(canister.instance)
        canister.update("bump", le64(1))
        assert repr(canister.instance).endswith(" live memory_bytes=65536>")
