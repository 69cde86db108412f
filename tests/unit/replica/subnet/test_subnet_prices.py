"""What operations cost by the official replica's formulas; that a canister burns what its status says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import wasmtime

from canister_factory.candid.principal import Principal
from canister_factory.replica.subnet.cycles import prices_named
from canister_factory.replica.subnet.subnet import Subnet
from support import official_prices as official
from support.official_prices import DAY, Configured, Documented, Table
from support.replica_bench import MANAGEMENT, Bench, CallRejectedError, engine, management_argument, signed_size
from support.replica_puppet import call_argument, puppet
from support.system_api_modules import module, update

SPIN = """(local $i i32)
  (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {}))))"""
HOOKS = f"""(func (export "canister_init") {SPIN.format(3_000_000)})
  (func (export "canister_post_upgrade") {SPIN.format(5_000_000)})
  (func (export "canister_heartbeat") (call $count))"""
TRILLION = 10**12


def _wasm64() -> bytes:
    """A 64-bit canister: `spin` works for a while, `ask` calls the method `count` of its argument's canister."""
    zero = "(i64.const 0)"
    ask = f"""(call $msg_arg_data_copy {zero} {zero} (call $msg_arg_data_size))
      (call $call_new {zero} (call $msg_arg_data_size) (i64.const 64) (i64.const 5) {zero} {zero} {zero} {zero})
      (drop (call $call_perform))"""
    return bytes(
        wasmtime.wat2wasm(
            module(
                update(SPIN.format(4_000_000) + "(call $msg_reply)", "spin"),
                update(ask, "ask"),
                "(func $back (param i64) (call $msg_reply))",
                f'(func (export "canister_init") {SPIN.format(3_000_000)})',
                memory="i64 1",
                data=r"\00" * 64 + "count",
                more="(table i64 1 funcref) (elem (i64.const 0) $back)",
            )
        )
    )


class World:
    """A subnet with one table of prices, two puppets, a canister of 64 bits and an empty one."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, prices=table.NAME))
        self.one, self.two = self.bench.puppet(), self.bench.puppet()
        self.wide = self.bench.puppet(_wasm64())
        self.empty = self.bench.create()

    def balance(self, canister_id: bytes) -> int:
        return self.bench.canister(canister_id).balance

    @property
    def instructions(self) -> int:
        return self.bench.subnet.state.instructions

    def submitted(self, payer: bytes, callee: bytes, method: str, arg: bytes = b"") -> int:
        """What taking a message costs the payer."""
        before = self.balance(payer)
        self.bench.submit(callee, method, arg)
        return before - self.balance(payer)

    def executed(self, payer: bytes) -> tuple[int, int]:
        """Executes all that is queued: what it costs the payer, and how many instructions were executed in all."""
        before, instructions = self.balance(payer), self.instructions
        self.bench.run()
        return before - self.balance(payer), self.instructions - instructions

    def burned(self, canister_id: bytes, seconds: int) -> int:
        """What a canister burns in some time."""
        self.bench.run()
        before = self.balance(canister_id)
        self.bench.clock.advance(seconds)
        self.bench.subnet.execute_round(max_messages=0)
        return before - self.balance(canister_id)

    def managed(self, method: str, canister_id: bytes, **rest: object) -> bytes:
        return management_argument(method, {"canister_id": Principal(canister_id), **rest})


Figures = tuple[int, int]
"""What was charged, and what the official replica would."""


def ingress(size: int, w: World) -> Figures:
    return w.submitted(w.one, w.one, "echo", bytes(size)), official.ingress_induction_cost(
        signed_size("echo", bytes(size))
    )


def ingress_to_management(w: World) -> Figures:
    arg = w.managed("start_canister", w.one)
    charged = w.submitted(w.one, MANAGEMENT, "start_canister", arg)
    return charged, official.ingress_induction_cost(signed_size("start_canister", arg))


def short_settings(w: World) -> Figures:
    arg = w.managed("update_settings", w.one, settings={"compute_allocation": 0})
    assert w.submitted(w.one, MANAGEMENT, "update_settings", arg) == 0
    return w.executed(w.one)[0], official.ingress_induction_cost(len("update_settings") + len(arg))


def long_settings(w: World) -> Figures:
    variables = [{"name": f"name{n}", "value": "x" * 100} for n in range(5)]
    arg = w.managed("update_settings", w.one, settings={"environment_variables": variables})
    charged = w.submitted(w.one, MANAGEMENT, "update_settings", arg)
    assert w.executed(w.one)[0] == 0
    return charged, official.ingress_induction_cost(signed_size("update_settings", arg))


def execution(canister: str, method: str, w: World) -> Figures:
    canister_id = getattr(w, canister)
    w.bench.submit(canister_id, method, b"")
    charged, instructions = w.executed(canister_id)
    return charged, w.table.execution_cost(instructions, wasm64=canister == "wide")


def timer(w: World) -> Figures:
    w.bench.call(w.one, "set_timer", (1).to_bytes(8, "little"))
    w.bench.clock.advance(1)
    charged, instructions = w.executed(w.one)
    return charged, w.table.execution_cost(instructions)


def heartbeat(w: World) -> Figures:
    w.bench.install(w.empty, puppet(HOOKS))
    w.bench.run()
    w.bench.clock.advance(1)
    charged, instructions = w.executed(w.empty)
    return charged, w.table.execution_cost(instructions)


def call(forward: str, method: str, arg: bytes, reply_bytes: int, w: World) -> Figures:
    """The caller: two executions, and the bytes of both ways. The callee: its execution."""
    w.bench.submit(w.one, forward, call_argument(w.two, method, arg))
    callee_before = w.balance(w.two)
    charged, instructions = w.executed(w.one)
    by_callee = callee_before - w.balance(w.two) - official.UPDATE_MESSAGE_EXECUTION_FEE
    executions = w.table.execution_cost(instructions - by_callee) + official.UPDATE_MESSAGE_EXECUTION_FEE
    transmitted = len(method) + len(arg) + reply_bytes
    return charged, executions + official.XNET_CALL_FEE + official.XNET_BYTE_TRANSMISSION_FEE * transmitted


def call_by_64_bits(w: World) -> Figures:
    w.bench.submit(w.wide, "ask", w.two)
    callee_before = w.balance(w.two)
    charged, instructions = w.executed(w.wide)
    by_callee = callee_before - w.balance(w.two) - official.UPDATE_MESSAGE_EXECUTION_FEE
    executions = w.table.execution_cost(instructions - by_callee, True) + official.UPDATE_MESSAGE_EXECUTION_FEE
    return charged, executions + official.XNET_CALL_FEE + official.XNET_BYTE_TRANSMISSION_FEE * (5 + 4)


def held_for_an_answer(canister: str, w: World) -> Figures:
    """What a call takes out of the balance until its answer is there."""
    canister_id = getattr(w, canister)
    method, arg = ("ask", w.two) if canister == "wide" else ("forward", call_argument(w.two, "count"))
    w.bench.submit(canister_id, method, arg)
    before, instructions = w.balance(canister_id), w.instructions
    w.bench.subnet.execute_round(max_messages=1)
    executed = w.table.execution_cost(w.instructions - instructions, canister == "wide")
    return before - w.balance(canister_id) - executed, w.table.xnet_call_total_fee(5, canister == "wide")


def call_of_management(w: World) -> Figures:
    arg = w.managed("deposit_cycles", w.two)
    w.bench.submit(w.one, "forward", call_argument(MANAGEMENT, "deposit_cycles", arg))
    charged, instructions = w.executed(w.one)
    executions = w.table.execution_cost(instructions) + official.UPDATE_MESSAGE_EXECUTION_FEE
    transmitted = len("deposit_cycles") + len(arg) + len(b"DIDL\0\0")
    return charged, executions + official.XNET_CALL_FEE + official.XNET_BYTE_TRANSMISSION_FEE * transmitted


def creation(w: World) -> Figures:
    arg = management_argument("create_canister", {})
    known = set(w.bench.subnet.canisters)
    w.bench.call(w.one, "forward", call_argument(MANAGEMENT, "create_canister", arg, 2 * TRILLION))
    (created,) = set(w.bench.subnet.canisters) - known
    return 2 * TRILLION - w.balance(created), official.CANISTER_CREATION_FEE


def installation(wasm: bytes, mode: str, wasm64: bool, w: World) -> Figures:
    target = w.empty if mode == "install" else w.one
    before, instructions = w.balance(target), w.instructions
    w.bench.install(target, wasm, mode)
    size = signed_size("install_code", _install_argument(w, target, wasm, mode))
    charged = before - w.balance(target) - official.ingress_induction_cost(size)
    return charged, w.table.execution_cost(w.instructions - instructions, wasm64)


def _install_argument(w: World, target: bytes, wasm: bytes, mode: str) -> bytes:
    from canister_factory.candid.values import Case

    return w.managed("install_code", target, mode=Case(mode), wasm_module=wasm, arg=b"")


def chunk(times: int, w: World) -> Figures:
    arg = w.managed("upload_chunk", w.one, chunk=b"abc")
    for _ in range(times):
        w.bench.submit(MANAGEMENT, "upload_chunk", arg)
    return w.executed(w.one)[0], official.DEFAULT_UPLOAD_CHUNK_INSTRUCTIONS * 10 // 10


def idling(settings: dict[str, int], w: World) -> Figures:
    w.bench.on("update_settings", w.one, settings=settings)
    memory = max(w.bench.canister(w.one).memory_bytes, settings.get("memory_allocation", 0))
    burned = w.burned(w.one, 7 * DAY)
    return burned, 7 * w.table.idle_cycles_burned_rate(memory, settings.get("compute_allocation", 0))


def idling_empty(w: World) -> Figures:
    memory = w.bench.canister(w.empty).memory_bytes
    return w.burned(w.empty, 1000 * DAY), 1000 * w.table.idle_cycles_burned_rate(memory)


def chunk_storage(w: World) -> Figures:
    before = w.bench.on("canister_status", w.one)["idle_cycles_burned_per_day"]
    w.bench.on("upload_chunk", w.one, chunk=b"abc")
    after = w.bench.on("canister_status", w.one)["idle_cycles_burned_per_day"]
    return after - before, w.table.idle_cycles_burned_rate(1 << 20) - w.table.BASE_PER_SECOND_FEE * DAY


def threshold(w: World) -> Figures:
    canister = w.bench.canister(w.one)
    expected = w.table.idle_cycles_burned_rate(canister.memory_bytes) * 30
    return canister.freezing_threshold_cycles(prices_named(w.table.NAME)), expected


def least_balance(canister: str, w: World) -> Figures:
    """The lowest balance with which an update is executed, above what freezes the canister."""
    state = w.bench.canister(getattr(w, canister))
    method = "spin" if canister == "wide" else "count"
    state.balance = 10 * TRILLION
    w.bench.submit(state.id, method)
    low, high = 0, 10 * TRILLION
    subnet = w.bench.subnet
    while high - low > 1000:
        middle = (low + high) // 2
        anchor = subnet.anchor()
        state.balance = middle
        request_id = list(subnet.request_statuses)[-1]
        w.bench.run()
        response = w.bench.outcome(request_id)
        assert response is not None
        low, high = (low, middle) if response.is_reply else (middle, high)
        subnet.revert(anchor)
    frozen = w.table.idle_cycles_burned_rate(state.memory_bytes) * 30
    return high - frozen, w.table.execution_cost(official.MAX_INSTRUCTIONS_PER_MESSAGE, canister == "wide")


def least_for_installation(w: World) -> Figures:
    needed = w.table.execution_cost(official.MAX_INSTRUCTIONS_PER_INSTALL_CODE)
    frozen = w.table.idle_cycles_burned_rate(w.bench.canister(w.empty).memory_bytes) * 30
    w.bench.canister(w.empty).balance = frozen + needed + 10**9  # and the message itself
    w.bench.install(w.empty)
    other = w.bench.create(frozen + needed - 10**9)
    with pytest.raises(CallRejectedError, match="IC0207"):
        w.bench.install(other)
    return needed, needed


def deletion(w: World) -> Figures:
    """All that is left is destroyed."""
    w.bench.on("stop_canister", w.empty)
    consumed = w.bench.subnet.state.cycles_consumed
    left = w.balance(w.empty)
    w.bench.on("delete_canister", w.empty)
    return w.bench.subnet.state.cycles_consumed - consumed, left


def told(body: str, expected: Callable[[Table], int], w: World) -> Figures:
    """What a canister is told by the System API."""
    wasm = wasmtime.wat2wasm(
        module(update(body + "(call $msg_reply_data_append (i32.const 0) (i32.const 16)) (call $msg_reply)"))
    )
    w.bench.install(w.empty, bytes(wasm))
    return int.from_bytes(w.bench.call(w.empty, "x"), "little"), expected(w.table)


OPERATIONS: dict[str, Callable[[World], Figures]] = {
    "a small message of a user": partial(ingress, 0),
    "a large message of a user": partial(ingress, 100_000),
    "a user's message to the management canister": ingress_to_management,
    "short settings, charged afterwards": short_settings,
    "long settings, charged before": long_settings,
    "an update": partial(execution, "one", "count"),
    "an update of 64 bits": partial(execution, "wide", "spin"),
    "an update that traps": partial(execution, "one", "count_and_trap"),
    "a query in replicated mode": partial(execution, "one", "read"),
    "a timer": timer,
    "a heartbeat": heartbeat,
    "a call": partial(call, "forward", "count", b"", 4),
    "a call with a long argument": partial(call, "forward", "silent", bytes(60_000), len("did not reply") + 60),
    "a call with a long reply": partial(call, "forward", "echo", bytes(60_000), 60_000),
    "a call that is rejected": partial(call, "forward", "refuse", b"", 14),
    "a best-effort call": partial(call, "forward_best_effort", "count", b"", 4),
    "a call whose callback traps, with its cleanup": partial(call, "forward_and_trap_later", "count", b"", 4),
    "a call by a canister of 64 bits": call_by_64_bits,
    "a call of the management canister": call_of_management,
    "what a call holds for its answer": partial(held_for_an_answer, "one"),
    "what a call of 64 bits holds for its answer": partial(held_for_an_answer, "wide"),
    "a creation": creation,
    "an installation": partial(installation, puppet(HOOKS), "install", False),
    "an installation of 64 bits": partial(installation, _wasm64(), "install", True),
    "a reinstallation": partial(installation, puppet(HOOKS), "reinstall", False),
    "a chunk": partial(chunk, 1),
    "the same chunk again": partial(chunk, 3),
    "memory": partial(idling, {}),
    "an allocation of memory": partial(idling, {"memory_allocation": 5 << 30}),
    "an allocation of computation": partial(idling, {"compute_allocation": 3}),
    "an empty canister": idling_empty,
    "a stored chunk": chunk_storage,
    "what freezes": threshold,
    "what an update needs": partial(least_balance, "one"),
    "what an update of 64 bits needs": partial(least_balance, "wide"),
    "what an installation needs": least_for_installation,
    "a deletion": deletion,
    "ic0.cost_call": partial(
        told,
        "(call $cost_call (i64.const 10) (i64.const 90) (i32.const 0))",
        lambda table: table.xnet_call_total_fee(100),
    ),
    "ic0.cost_create_canister": partial(
        told, "(call $cost_create_canister (i32.const 0))", lambda _: official.CANISTER_CREATION_FEE
    ),
    "ic0.cost_http_request": partial(
        told,
        "(call $cost_http_request (i64.const 500) (i64.const 2000) (i32.const 0))",
        lambda _: official.http_request_fee(500, 2000, 13),
    ),
}


@pytest.mark.parametrize("table", [Configured, Documented], ids=lambda table: table.NAME)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_costs_what_it_does_on_the_official_replica(operation: str, table: Table) -> None:
    charged, expected = OPERATIONS[operation](World(table))
    assert expected > 0
    assert charged == pytest.approx(expected, rel=0.01)
