"""What going back costs: 100 canisters of 1 MB each, of which three are called between the anchor and its end."""

from __future__ import annotations

import statistics
import time

from support.replica_bench import Bench
from support.replica_puppet import puppet

CANISTERS = 100
TOUCHED = 3
REPEATS = 50
FILL = """(func (export "canister_update fill") (drop (memory.grow (i32.const 16)))
    (memory.fill (i32.const 131072) (i32.const 7) (i32.const 1048576)) (call $reply_count))"""


def measure() -> dict[str, object]:
    """Milliseconds: the median of 50 times, and what 95 of 100 stay below."""
    bench = Bench()
    canisters = [bench.puppet(puppet(FILL)) for _ in range(CANISTERS)]
    for canister in canisters:
        bench.call(canister, "fill")
    anchoring, reverting, copied = [], [], 0
    for _ in range(REPEATS):
        started = time.perf_counter()
        anchor = bench.subnet.anchor()
        anchored = time.perf_counter()
        for canister in canisters[:TOUCHED]:
            bench.call(canister, "count")
            bench.call(canister, "remember", b"touched")
        copied = anchor.copied_bytes
        done = time.perf_counter()
        bench.subnet.revert(anchor)
        reverting.append((time.perf_counter() - done) * 1e3)
        anchoring.append((anchored - started) * 1e3)
    memory = sum(canister.memory_bytes for canister in bench.subnet.canisters.values())
    bench.subnet.close()
    return {
        "canisters": CANISTERS,
        "memory_megabytes": round(memory / 1e6, 1),
        "touched": TOUCHED,
        "copied_kilobytes": copied // 1024,
        "anchor_milliseconds": round(statistics.median(anchoring), 2),
        "anchor_milliseconds_p95": round(statistics.quantiles(anchoring, n=20)[-1], 2),
        "revert_milliseconds": round(statistics.median(reverting), 2),
        "revert_milliseconds_p95": round(statistics.quantiles(reverting, n=20)[-1], 2),
    }
