"""One canister for each function of the System API, and ways to have it call that function in each context.

The facts (which function may be called where) are in `system_api_modules`; the contexts are the specification's letters
with the entry points that they stand for. Everything goes through a whole subnet: installation, messages, callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case, FuncRef
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.messages import HttpResponse, OutcallAnswer
from support.replica_bench import Bench, CallRejectedError, management_argument
from support.runtime_harness import assembled
from support.system_api_modules import KNOWN, module

ANSWERS = ("msg_reply", "msg_reject")
EVERYWHERE = "I G U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F T"
_BUILDERS = ("call_on_cleanup", "call_data_append", "call_with_best_effort_response", "call_perform")
_CYCLES = ("call_cycles_add", "call_cycles_add128")


def allowed_modes(name: str) -> frozenset[str]:
    """The letters of the contexts in which the specification lets a function be called."""
    return frozenset(KNOWN[name][2].replace("*", EVERYWHERE).split())


_ENTRY_POINTS = """
      (export "canister_init" (func $if_argument)) (export "canister_post_upgrade" (func $if_argument))
      (export "canister_pre_upgrade" (func $if_armed)) (export "canister_heartbeat" (func $if_armed))
      (export "canister_global_timer" (func $if_armed)) (export "canister_on_low_wasm_memory" (func $if_armed))
      (export "canister_update update" (func $f_and_answer)) (export "canister_query query" (func $f_and_answer))
      (export "canister_composite_query composite" (func $f_and_answer))
      (export "canister_update ask_reply" (func $ask_reply)) (export "canister_update ask_reject" (func $ask_reject))
      (export "canister_update ask_cleanup" (func $ask_cleanup))
      (export "canister_composite_query composite_reply" (func $ask_reply))
      (export "canister_composite_query composite_reject" (func $ask_reject))
      (export "canister_composite_query composite_cleanup" (func $ask_more))
"""


def _callbacks(pointer: str, at: Callable[[int], str]) -> str:
    """What calls end with, and calls of the canister itself that end with each of it."""
    return f"""
      (func $nothing (param {pointer}))
      (func $f_back (param {pointer}) (call $f_and_answer))
      (func $f_clean (param {pointer}) (call $f))
      (func $boom (param {pointer}) (unreachable))
      (func $answer_back (param {pointer}) (call $msg_reply))
      (func $reject_back (param {pointer})
        (call $msg_reject_msg_copy {at(6000)} {at(0)} (call $msg_reject_msg_size))
        (call $msg_reject {at(6000)} (call $msg_reject_msg_size)))
      (table funcref (elem $nothing $f_back $f_clean $boom $answer_back $reject_back))
      (func $ask (param $method {pointer}) (param $reply {pointer}) (param $reject {pointer})
        (call $canister_self_copy {at(3000)} {at(0)} {at(10)})
        (call $call_new {at(3000)} {at(10)} (local.get $method) {at(4)}
          (local.get $reply) {at(0)} (local.get $reject) {at(0)}))
      (func $perform (if (call $call_perform) (then (unreachable))))
      (func $ask_reply (call $ask {at(4000)} {at(1)} {at(3)}) (call $perform))
      (func $ask_reject (call $ask {at(4004)} {at(3)} {at(1)}) (call $perform))
      (func $ask_cleanup (call $ask {at(4000)} {at(3)} {at(3)}) (call $call_on_cleanup {at(2)} {at(0)}) (call $perform))
      (func $ask_more (call $ask_cleanup) (call $ask {at(4000)} {at(4)} {at(3)}) (call $perform))
    """


def _methods(at: Callable[[int], str]) -> str:
    """What the canister is called for, by itself and by the test, beside the function."""
    return f"""
      (data {at(4000)} "pongpang") (data {at(4100)} "http_request")
      (func (export "canister_update outcall")
        (call $call_new {at(0)} {at(0)} {at(4100)} {at(12)} {at(4)} {at(0)} {at(5)} {at(0)})
        (call $msg_arg_data_copy {at(5000)} {at(0)} (call $msg_arg_data_size))
        (call $call_data_append {at(5000)} (call $msg_arg_data_size))
        (call $call_cycles_add128 (i64.const 0) (i64.const 1000000000000)) (call $perform))
      (func (export "canister_query pong") (call $msg_reply))
      (func (export "canister_query pang") (call $msg_reject {at(0)} {at(0)}))
      (func (export "canister_update arm") (i32.store8 {at(2000)} (i32.const 1)) (call $msg_reply))
      (func (export "canister_update set_timer") (drop (call $global_timer_set (i64.const 1)))
        (i32.store8 {at(2000)} (i32.const 1)) (call $msg_reply))
      (func (export "canister_query came_back") (call $msg_reply_data_append {at(1000)} {at(1)}) (call $msg_reply))
    """


def calling(name: str, *, at_start: bool = False, memory64: bool = False) -> bytes:
    """A canister that calls a function with zeroes wherever it is asked to; `at_start`: in its start function only.

    Memory: 1000 tells that the function came back, 2000 that entry points without argument are to call it.
    """
    pointer = "i64" if memory64 else "i32"

    def at(address: int) -> str:
        return f"({pointer}.const {address})"

    parameters, result, _ = KNOWN[name]
    zeroes = "".join(f" ({pointer if kind == 'I' else kind}.const 0)" for kind in parameters.split())
    call = f"(call ${name}{zeroes})"
    begin = f"(call $call_new{f' {at(0)}' * 8})" if name in (*_BUILDERS, *_CYCLES) else ""
    function = f"(func $f {begin} {f'(drop {call})' if result else call} (i32.store8 {at(1000)} (i32.const 1)))"
    memory = "i64 1" if memory64 else "1"
    if at_start:
        return assembled(module(function, "(start $f)", memory=memory))
    answer = "" if name in ANSWERS else "(call $msg_reply)"
    accept = "" if name == "accept_message" else "(call $accept_message)"
    functions = f"""
      {function}
      (func $f_and_answer (call $f) {answer})
      (func $if_armed (if (i32.load8_u {at(2000)}) (then (call $f))))
      (func $if_argument (if (i32.eqz ({pointer}.eqz (call $msg_arg_data_size))) (then (call $f))))
      {_callbacks(pointer, at)}
      {_methods(at)}
      (func (export "canister_inspect_message") (call $if_armed) {accept})
      {_ENTRY_POINTS}
    """
    return assembled(module(functions, memory=memory))


class Calling:
    """A subnet with a canister that calls one function; methods say what came of it: "", or the error."""

    def __init__(self, name: str, *, memory64: bool = False) -> None:
        self.bench = Bench()
        self.code = calling(name, memory64=memory64)
        self.at_start = calling(name, at_start=True, memory64=memory64)
        self.canister = self.bench.create(environment_variables=[{"name": "", "value": ""}])

    def _error(self, attempt: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        try:
            attempt(*arguments, **options)
        except (CallRejectedError, CanisterError) as error:
            return str(error)
        return ""

    def _logged_error(self) -> str:
        """Of what nobody gets an answer: the canister's log tells why it failed, its memory that it didn't."""
        if self.bench.query(self.canister, "came_back") == b"\1":
            return ""
        return self.bench.canister(self.canister).logs[-1].content

    def _installed(self) -> None:
        self.bench.install(self.canister, self.code)

    def _armed(self) -> None:
        self._installed()
        self.bench.call(self.canister, "arm")

    def start(self) -> str:
        return self._error(self.bench.install, self.canister, self.at_start)

    def init(self) -> str:
        return self._error(self.bench.install, self.canister, self.code, arg=b"call it")

    def post_upgrade(self) -> str:
        self._installed()
        return self._error(self.bench.install, self.canister, self.code, Case("upgrade", None), arg=b"call it")

    def pre_upgrade(self) -> str:
        self._armed()
        return self._error(self.bench.install, self.canister, self.code, Case("upgrade", None))

    def _called(self, method: str) -> str:
        self._installed()
        return self._error(self.bench.call, self.canister, method)

    def _queried(self, method: str) -> str:
        self._installed()
        return self._error(self.bench.query, self.canister, method, certificate=b"certificate")

    def update(self) -> str:
        return self._called("update")

    def replicated_query(self) -> str:
        return self._called("query")

    def query(self) -> str:
        return self._queried("query")

    def transform(self) -> str:
        """Of an outcall whose answer the query transforms; it always fails, since the query replies with nothing."""
        self._installed()
        function = FuncRef(Principal(self.canister), "query")
        argument = management_argument(
            "http_request",
            {
                "url": "https://example.com",
                "method": Case("get"),
                "headers": [],
                "transform": {"function": function, "context": b""},
            },
        )
        request = self.bench.submit(self.canister, "outcall", argument)
        self.bench.run()
        (outcall,) = self.bench.subnet.outcalls.values()
        response = HttpResponse(200, b"", ())
        self.bench.subnet.submit_outcall_answer(OutcallAnswer(outcall.caller, outcall.id, response, ""))
        self.bench.run()
        outcome = self.bench.outcome(request)
        return "" if outcome is None else outcome.message

    def composite_query(self) -> str:
        return self._queried("composite")

    def reply_callback(self) -> str:
        return self._called("ask_reply")

    def reject_callback(self) -> str:
        return self._called("ask_reject")

    def cleanup(self) -> str:
        self._called("ask_cleanup")
        return self._logged_error()

    def composite_reply_callback(self) -> str:
        return self._queried("composite_reply")

    def composite_reject_callback(self) -> str:
        return self._queried("composite_reject")

    def composite_cleanup(self) -> str:
        """The query goes on with its second call, which is replied to, only if the cleanup went through."""
        return self._queried("composite_cleanup")

    def inspect_message(self) -> str:
        self._armed()
        return self._error(self.bench.check, self.canister, "update")

    def heartbeat(self) -> str:
        self._armed()
        self.bench.clock.advance(1)
        self.bench.run()
        return self._logged_error()

    def global_timer(self) -> str:
        self._installed()
        self.bench.call(self.canister, "set_timer")
        self.bench.run()
        return self._logged_error()

    def on_low_wasm_memory(self) -> str:
        self._armed()
        self.bench.on("update_settings", self.canister, settings={"wasm_memory_threshold": 1 << 48})
        return self._logged_error()


CONTEXTS: dict[str, tuple[str, Callable[[Calling], str]]] = {
    "start": ("s", Calling.start),
    "init": ("I", Calling.init),
    "post_upgrade": ("I", Calling.post_upgrade),
    "pre_upgrade": ("G", Calling.pre_upgrade),
    "update": ("U", Calling.update),
    "replicated query": ("RQ", Calling.replicated_query),
    "query": ("NRQ", Calling.query),
    "transform": ("TQ", Calling.transform),
    "composite query": ("CQ", Calling.composite_query),
    "reply callback": ("Ry", Calling.reply_callback),
    "reject callback": ("Rt", Calling.reject_callback),
    "cleanup": ("C", Calling.cleanup),
    "composite reply callback": ("CRy", Calling.composite_reply_callback),
    "composite reject callback": ("CRt", Calling.composite_reject_callback),
    "composite cleanup": ("CC", Calling.composite_cleanup),
    "inspect_message": ("F", Calling.inspect_message),
    "heartbeat": ("T", Calling.heartbeat),
    "global timer": ("T", Calling.global_timer),
    "on_low_wasm_memory": ("T", Calling.on_low_wasm_memory),
}
"""The specification's letter of each entry point, and how the function is called there."""
