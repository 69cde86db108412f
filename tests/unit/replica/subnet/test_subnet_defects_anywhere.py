"""A defect of ours before any line that a message executes: it is taken back wholly, whatever it has done so far."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.text import parse_args
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import HttpResponse, Message, OutcallAnswer
from canister_factory.replica.subnet.request_status import RequestStatus
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins
from canister_factory.replica.system_canisters.cycles_ledger import CYCLES_LEDGER, LEDGER
from support.injected_faults import Fault, injected, picture
from support.replica_bench import MANAGEMENT, OWNER, STRANGER, Bench, CallRejectedError, engine, management_argument
from support.replica_puppet import call_argument, puppet

BILLION = 10**9
HOOKS = '(func (export "canister_pre_upgrade") (call $count)) (func (export "canister_post_upgrade") (call $count))'
Told = list[tuple[str, bytes, RequestStatus | None]]


class World:
    """A subnet with two puppets, one of which waits for the other, is being stopped, and has chunks and logs."""

    def __init__(self) -> None:
        self.told: Told = []
        listeners = Listeners(
            lambda request_id, status: self.told.append(("status", request_id, status)),
            lambda canister_id: self.told.append(("canister", canister_id, None)),
        )
        self.bench = Bench(
            lambda clock: Subnet(
                engine(), clock_ns=clock, subnet_id=b"\x01\x02", listeners=listeners, builtins=builtins()
            )
        )
        bench = self.bench
        self.stopped = bench.create()
        bench.on("stop_canister", self.stopped)
        self.one, self.two = bench.puppet(puppet(HOOKS)), bench.puppet()
        self.empty = bench.create()
        controllers = [Principal(OWNER), Principal(self.one)]
        bench.on("update_settings", self.two, settings={"controllers": controllers})
        bench.on("upload_chunk", self.one, chunk=b"chunk")
        bench.call(self.one, "remember", b"12345678")
        with pytest.raises(CallRejectedError):
            bench.call(self.one, "count_and_trap")  # which leaves a line in the log

    def manage(self, method: str, **argument: object) -> None:
        self.bench.submit(MANAGEMENT, method, management_argument(method, dict(argument)))

    def on(self, method: str, canister_id: bytes, **rest: object) -> None:
        self.manage(method, canister_id=Principal(canister_id), **rest)

    def forward(self, method: str, callee: bytes, called: str, arg: bytes = b"", cycles: int = 0) -> None:
        self.bench.submit(self.one, method, call_argument(callee, called, arg, cycles))

    def step(self, messages: int) -> None:
        self.bench.subnet.execute_round(max_messages=messages)

    def waiting(self) -> None:
        """One waits for an answer of two, and somebody for its stop."""
        self.forward("forward", self.two, "silent", cycles=BILLION)
        self.step(1)
        self.on("stop_canister", self.one)
        self.bench.newest_first()
        self.step(1)


def _install(world: World, canister_id: bytes, mode: str, wasm: bytes | None = None) -> None:
    case = Case(mode, None) if mode == "upgrade" else Case(mode)
    world.on("install_code", canister_id, mode=case, wasm_module=wasm or puppet(HOOKS), arg=b"")


def _ledger(world: World, method: str, text: str) -> None:
    world.bench.submit(CYCLES_LEDGER, method, encode(*parse_args(text, LEDGER.method_type(method).args)))


def _answered(world: World, method: str, called: str) -> None:
    world.forward(method, world.two, called, cycles=BILLION)
    world.step(2)


def _on_its_way(world: World, called: str) -> None:
    world.forward("forward", world.two, called, cycles=BILLION)
    world.step(1)


def _timer(world: World) -> None:
    world.bench.call(world.one, "set_timer", (1).to_bytes(8, "little"))
    world.bench.subnet.state.time_ns = world.bench.clock.now_ns
    world.bench.subnet._upkeep.run()


def _open_and(method: str, **rest: object) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.waiting()
        world.on(method, world.one, **rest)
        world.bench.newest_first()

    return prepare


def _chunked(world: World) -> None:
    digest = world.bench.on("upload_chunk", world.two, chunk=puppet())["hash"]
    world.manage(
        "install_chunked_code",
        mode=Case("reinstall"),
        target_canister=Principal(world.two),
        chunk_hashes_list=[{"hash": digest}],
        wasm_module_hash=digest,
        arg=b"",
    )


def _by_canister(method: str, cycles: int = 0, **argument: object) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        named = {name: Principal(getattr(world, str(value))) for name, value in argument.items()}
        data = management_argument(method, dict(named))
        world.forward("forward", MANAGEMENT, method, data, cycles)
        world.step(1)

    return prepare


def _asked(world: World, *, answered: bool) -> None:
    request = {"url": "https://example.com/", "method": Case("get"), "headers": [], "max_response_bytes": 100}
    data = management_argument("http_request", request)
    world.forward("forward", MANAGEMENT, "http_request", data, cycles=BILLION)
    world.step(2 if answered else 1)
    for number in world.bench.subnet.outcalls:
        world.bench.subnet.submit_outcall_answer(OutcallAnswer(world.one, number, HttpResponse(200, b"here")))


_TRILLION = 10**12
_CREATION = (
    f"(record {{ amount = {2 * _TRILLION}; from_subaccount = null; created_at_time = null; creation_args = null }})"
)
SCENARIOS: dict[str, Callable[[World], object]] = {
    "update": lambda world: world.bench.submit(world.one, "count"),
    "stable write": lambda world: world.bench.submit(world.one, "remember", b"abcdefgh"),
    "certified data": lambda world: world.bench.submit(world.one, "certify", b"abc"),
    "trap": lambda world: world.bench.submit(world.one, "count_and_trap"),
    "burn": lambda world: world.bench.submit(world.one, "burn"),
    "query as update": lambda world: world.bench.submit(world.one, "read"),
    "outgoing call": lambda world: world.forward("forward", world.two, "accept", cycles=BILLION),
    "outgoing best-effort call": lambda world: world.forward("forward_best_effort", world.two, "accept"),
    "incoming call with cycles": lambda world: _on_its_way(world, "accept"),
    "reply": lambda world: _answered(world, "forward", "accept_half"),
    "reject": lambda world: _answered(world, "forward", "refuse"),
    "reply, then trap and cleanup": lambda world: _answered(world, "forward_and_trap_later", "count"),
    "timer": _timer,
    "create": lambda world: world.manage("provisional_create_canister_with_cycles", amount=5),
    "create by canister": _by_canister("create_canister", 2 * _TRILLION),
    "deposit by canister": _by_canister("deposit_cycles", BILLION, canister_id="two"),
    "info by canister": _by_canister("canister_info", canister_id="two"),
    "top up": lambda world: world.on("provisional_top_up_canister", world.two, amount=5),
    "controllers": lambda world: world.on(
        "update_settings", world.two, settings={"controllers": [Principal(STRANGER)]}
    ),
    "memory limit": lambda world: world.on("update_settings", world.two, settings={"wasm_memory_limit": 1 << 20}),
    "install": lambda world: _install(world, world.empty, "install"),
    "reinstall": lambda world: _install(world, world.one, "reinstall", puppet()),
    "upgrade": lambda world: _install(world, world.one, "upgrade"),
    "install chunks": _chunked,
    "upload chunk": lambda world: world.on("upload_chunk", world.one, chunk=b"another"),
    "clear chunks": lambda world: world.on("clear_chunk_store", world.one),
    "stop": lambda world: world.on("stop_canister", world.two),
    "stop with open calls": _open_and("stop_canister"),
    "start with a waiting stop": _open_and("start_canister"),
    "uninstall with open calls": _open_and("uninstall_code"),
    "delete": lambda world: world.on("delete_canister", world.stopped),
    "status": lambda world: world.on("canister_status", world.one),
    "take a snapshot": lambda world: world.on("take_canister_snapshot", world.one),
    "replace a snapshot and uninstall": lambda world: world.on(
        "take_canister_snapshot", world.one, replace_snapshot=_snapshot(world), uninstall_code=True
    ),
    "load a snapshot": lambda world: world.on("load_canister_snapshot", world.two, snapshot_id=_snapshot(world)),
    "delete a snapshot": lambda world: world.on("delete_canister_snapshot", world.one, snapshot_id=_snapshot(world)),
    "read a snapshot": lambda world: world.on(
        "read_canister_snapshot_data", world.one, snapshot_id=_snapshot(world), kind=_piece(size=5)
    ),
    "upload a snapshot's metadata": lambda world: world.on("upload_canister_snapshot_metadata", world.two, **_SIZES),
    "upload a piece": lambda world: world.on(
        "upload_canister_snapshot_data", world.two, snapshot_id=_uploaded(world), kind=_piece(), chunk=b"12345"
    ),
    "randomness": _by_canister("raw_rand"),
    "http request": lambda world: _asked(world, answered=False),
    "http answer": lambda world: _asked(world, answered=True),
    "ledger creates": lambda world: _ledger(world, "create_canister", _CREATION),
    "ledger withdraws": lambda world: _ledger(
        world,
        "withdraw",
        "(record { amount = 7; from_subaccount = null; created_at_time = null; "
        f'to = principal "{Principal(world.two)}" }})',
    ),
}


_SIZES: dict[str, object] = {
    "wasm_module_size": 10,
    "wasm_memory_size": 65536,
    "stable_memory_size": 0,
    "globals": [],
    "certified_data": b"",
}


def _snapshot(world: World) -> bytes:
    taken: bytes = world.bench.on("take_canister_snapshot", world.one)["id"]
    return taken


def _uploaded(world: World) -> bytes:
    made: bytes = world.bench.on("upload_canister_snapshot_metadata", world.two, **_SIZES)["snapshot_id"]
    return made


def _piece(**size: int) -> Case:
    return Case("wasm_memory", {"offset": 0, **size})


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_defect_before_any_line_leaves_nothing_of_the_message_but_its_rejection(
    name: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    world = World()
    SCENARIOS[name](world)
    subnet = world.bench.subnet
    outcomes = []
    with_lines = Fault(at=10**9)
    anchor = subnet.anchor()
    message = next_message(subnet)
    with injected(with_lines):
        subnet._processing.process(message)
    subnet.revert(anchor)
    assert with_lines.lines > 10
    chosen = range(2, with_lines.lines + 1)
    if not request.config.getoption("sweep"):
        chosen = sorted(random.Random(name).sample(chosen, min(25, len(chosen))))  # type: ignore[assignment]
    for line in (1, *chosen):
        anchor = subnet.anchor()
        before = picture(subnet)
        world.told.clear()
        fault = Fault(at=line)
        message = next_message(subnet)
        with injected(fault):
            subnet._processing.process(message)
        assert fault.struck
        outcomes.append((picture(subnet), list(world.told)))
        subnet.revert(anchor)
        assert picture(subnet) == before
    (first, told), *others = outcomes
    assert first["failures"] == 1
    assert (first["canisters"] != before["canisters"]) == (name in ANSWERS)
    assert len(told) <= 1
    for seen, told_then in others:
        assert seen == first
        assert told_then == told


def next_message(subnet: Subnet) -> Message:
    message = subnet.state.queue.take(())
    assert message is not None
    return message


# Their callbacks count as having trapped: the call is over, and its cycles are back.
ANSWERS = ("reply", "reject", "reply, then trap and cleanup")
