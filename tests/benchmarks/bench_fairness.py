"""How long others wait while one or two canisters do their worst: updates, queries, status, and the end by SIGTERM.

The replica runs in a process of its own. A quiet canister is asked every 50 ms while another one is busy in one of
several ways. Figures are the longest waits, as a client sees them; bounds to compare with are in docs/performance.md.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import wasmtime

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess
from support.http_load import COUNTER

SECONDS = 4.0
PAUSE_S = 0.05

BUSY = """(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (memory 1)
  (func $endless (loop $again (br $again)))
  (func $repeat (param $times i32) (param $what i32)
    (loop $next
      (if (i32.eqz (local.get $what)) (then (drop (call $time))) (else (call $print (i32.const 0) (i32.const 100))))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $next (local.get $times))))
  (func $grow (drop (memory.grow (i32.const 16383))))
  (func (export "canister_update endless") (call $endless))
  (func (export "canister_query endless_query") (call $endless))
  (func (export "canister_update calls") (call $repeat (i32.const 20000000) (i32.const 0)) (call $reply))
  (func (export "canister_query calls_query") (call $repeat (i32.const 20000000) (i32.const 0)) (call $reply))
  (func (export "canister_update prints") (call $repeat (i32.const 2000000) (i32.const 1)) (call $reply))
  (func (export "canister_update fills")
    (call $grow)
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3fff0000)) (call $reply))
  (func (export "canister_update touches") (local $at i32)
    (call $grow)
    (loop $next
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0x3fff0000))))
    (call $reply))
  (func (export "canister_query stable_reads")
    (call $grow)
    (drop (call $stable_grow (i64.const 16384)))
    (call $stable_read (i64.const 0) (i64.const 0) (i64.const 0x3fff0000)) (call $reply))
  (func (export "canister_update stable_writes")
    (call $grow)
    (drop (call $stable_grow (i64.const 16384)))
    (call $stable_write (i64.const 0) (i64.const 0) (i64.const 0x3fff0000)) (call $reply))
  (func (export "canister_update timer") (drop (call $timer (i64.const 1))) (call $reply))
  (func (export "canister_global_timer") (drop (call $timer (i64.add (call $time) (i64.const 1))))))"""

TALKATIVE = """(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 40)
  (func (export "canister_update talk") (call $append (i32.const 0) (i32.const 2000000)) (call $reply)))"""

# By name: the method that two canisters are asked for, how often at once, and whether it is a query.
KINDS: dict[str, tuple[str, int, bool]] = {
    "endless_updates": ("endless", 3, False),
    "endless_queries": ("endless_query", 20, True),
    "20M_host_calls": ("calls", 1, False),
    "20M_host_calls_of_queries": ("calls_query", 1, True),
    "2M_prints": ("prints", 1, False),
    "nanosecond_timer": ("timer", 1, False),
    "fills_of_1_GiB": ("fills", 1, False),
    "touched_pages_of_1_GiB": ("touches", 1, False),
    "stable_reads_of_1_GiB": ("stable_reads", 1, True),
    "stable_writes_of_1_GiB": ("stable_writes", 1, False),
}


@dataclass
class Waits:
    """The longest waits in seconds, by what was asked."""

    longest: dict[str, float] = field(default_factory=dict)
    asked: int = 0

    async def time(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await work()
        self.asked += 1
        self.longest[name] = max(self.longest.get(name, 0.0), time.perf_counter() - started)


async def ask(waits: Waits, agent: Agent, quiet: Principal, url: str, until: float) -> None:
    """Asks the quiet canister, and for the status, until the time is over."""

    async def updates() -> None:
        while time.perf_counter() < until:
            await waits.time("updates", lambda: agent.update(quiet, "add", b""))
            await asyncio.sleep(PAUSE_S)

    async def queries() -> None:
        while time.perf_counter() < until:
            await waits.time("queries", lambda: agent.query(quiet, "read", b""))
            await asyncio.sleep(PAUSE_S)

    async def status() -> None:
        async with httpx.AsyncClient() as client:
            while time.perf_counter() < until:
                await waits.time("status", lambda: client.get(f"{url}/api/v2/status", timeout=60))
                await asyncio.sleep(PAUSE_S)

    await asyncio.gather(updates(), queries(), status())


def memory_mib(pid: int, field_name: str = "VmHWM") -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field_name)) // 1024


async def one_kind(method: str, count: int, *, is_query: bool) -> dict[str, object]:
    async with ReplicaProcess() as replica:
        network = Network.resolve(replica.url, root_key=replica.root_key)
        async with Agent(Identity.generate(), network) as agent:
            management = ManagementCanister(agent)

            async def installed(wat: str) -> Principal:
                canister = await management.provisional_create_canister_with_cycles(10**18)
                await management.install(canister, bytes(wasmtime.wat2wasm(wat)), b"")
                return canister

            quiet, busy = await installed(COUNTER), [await installed(BUSY) for _ in range(2)]
            before = memory_mib(replica.pid, "VmRSS")
            act = agent.query if is_query else agent.update
            load = [asyncio.ensure_future(act(canister, method, b"")) for canister in busy for _ in range(count)]
            await asyncio.sleep(0.1)
            waits = Waits()
            await ask(waits, agent, quiet, replica.url, time.perf_counter() + SECONDS)
            figures: dict[str, object] = {f"{name}_ms": round(1000 * wait) for name, wait in waits.longest.items()}
            figures["asked"] = waits.asked
            figures["memory_grew_MiB"] = memory_mib(replica.pid) - before
            figures["busy_ones_answered"] = sum(task.done() for task in load)
            started = time.perf_counter()
            child = replica._child
            assert child is not None
            child.send_signal(signal.SIGTERM)
            await asyncio.to_thread(child.wait)
            figures["sigterm_ms"] = round(1000 * (time.perf_counter() - started))
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
            return figures


async def memory_of_replies() -> dict[str, object]:
    """The replica's memory after so many replies of 2 MB, all of them younger than five minutes."""
    async with ReplicaProcess() as replica:
        network = Network.resolve(replica.url, root_key=replica.root_key)
        async with Agent(Identity.generate(), network) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(10**18)
            await management.install(canister, bytes(wasmtime.wat2wasm(TALKATIVE)), b"")
            figures: dict[str, object] = {}
            done = 0
            for replies in (100, 200, 400):
                while done < replies:
                    done += 5
                    await asyncio.gather(*(agent.update(canister, "talk", b"") for _ in range(5)))
                figures[f"MiB_after_{replies}"] = memory_mib(replica.pid)
            return figures


def measure() -> dict[str, object]:
    """For each way to be busy, the longest waits of others in milliseconds."""
    return {
        "replies_of_2_MB": json.dumps(asyncio.run(memory_of_replies())),
        **{
            name: json.dumps(asyncio.run(one_kind(method, count, is_query=is_query)))
            for name, (method, count, is_query) in KINDS.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
