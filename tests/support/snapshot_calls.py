"""What tests of canister snapshots share: a canister with a global that changes, and the calls that they make."""

from __future__ import annotations

from typing import Any

from canister_factory.replica.subnet.snapshot import Snapshot
from support.replica_bench import Bench
from support.replica_puppet import puppet

# A counter in a global besides the puppet's counter in memory.
GLOBAL_COUNTER = """
  (global $turns (mut i64) (i64.const 100)) (global (export "limit") i32 (i32.const -3))
  (func (export "canister_update turn") (global.set $turns (i64.add (global.get $turns) (i64.const 1)))
    (i64.store (i32.const 4096) (global.get $turns)) (call $append (i32.const 4096) (i32.const 8)) (call $reply))
"""
WITH_GLOBALS = puppet(GLOBAL_COUNTER)


def take(bench: Bench, canister: bytes, **rest: Any) -> bytes:
    taken: bytes = bench.on("take_canister_snapshot", canister, **rest)["id"]
    return taken


def load(bench: Bench, canister: bytes, snapshot_id: bytes) -> None:
    bench.on("load_canister_snapshot", canister, snapshot_id=snapshot_id)


def turn(bench: Bench, canister: bytes) -> int:
    return int.from_bytes(bench.call(canister, "turn"), "little")


def snapshot(bench: Bench, canister: bytes, snapshot_id: bytes) -> Snapshot:
    return bench.canister(canister).snapshots[snapshot_id]
