"""What kept statuses of requests cost: `scripts/bench statuses`.

Replicas whose state directories have 1,000, 10,000, 100,000 and 1,000,000 statuses (or as many as
`CANISTER_FACTORY_BENCH_STATUSES` says): CPU of a start, then of an update, what each keeps resident, and how long
SIGTERM takes. All of them run at once and have their turns one after the other, so that each meets the same machine.
The directories are made by the replica's own code, without HTTP and signatures.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from canister_factory.candid.principal import Principal  # noqa: E402 - as below
from canister_factory.ic.identity import Identity  # noqa: E402
from canister_factory.replica.node.server import ReplicaServer  # noqa: E402
from canister_factory.replica.runtime.execution import Response  # noqa: E402
from canister_factory.replica.subnet.messages import FromIngress  # noqa: E402
from canister_factory.replica.subnet.request_status import RequestState  # noqa: E402
from support.http_load import EXPIRY_NS, counter, envelopes, send  # noqa: E402 - found by the line above
from support.replica_builds import RunningBuild, builds  # noqa: E402

COUNTS = [
    int(count) for count in os.environ.get("CANISTER_FACTORY_BENCH_STATUSES", "1000,10000,100000,1000000").split(",")
]
REQUESTS = 400  # of one turn
TURNS = 24
AT_ONCE = 10_000  # statuses in one file


def _fill(count: int, directory: Path) -> None:
    """A state directory with so many statuses of requests that were answered just now."""
    directory.mkdir()
    server = ReplicaServer(directory, power=False)
    expiry_ns = time.time_ns() + EXPIRY_NS
    for number in range(1, count + 1):
        request_id = hashlib.sha256(b"%d" % number).digest()
        origin = FromIngress(request_id, expiry_ns, b"s" * 29, b"c" * 10, b"c" * 10)
        server.subnet._calls.set_status(origin, RequestState.REPLIED, Response(b"\0\0\0\1"))
        if number % AT_ONCE == 0 or number == count:
            assert server.subnet._checkpoint is not None
            server.subnet._checkpoint.snapshot(server.subnet.state)  # type: ignore[attr-defined]
    server.subnet.close()
    server.release()


class _Side:
    def __init__(self, running: RunningBuild) -> None:
        self.running = running
        self.start_cpu = sum(running.cpu_seconds())
        self.resident = running.resident_bytes()
        self.identity = Identity.generate()
        self.counter: Principal
        self.costs: list[float] = []

    async def turn(self) -> None:
        bodies = envelopes(self.identity, self.counter, "call", "add", REQUESTS)
        before = sum(self.running.cpu_seconds())
        await send(self.running.network.url, f"/api/v4/canister/{self.counter}/call", bodies)
        self.costs.append(1e6 * (sum(self.running.cpu_seconds()) - before) / REQUESTS)


async def _measure(sides: list[_Side]) -> None:
    for side in sides:
        side.counter = await counter(side.running.network, side.identity)
        await side.turn()
        await side.turn()
        side.costs.clear()
    for _ in range(TURNS):
        for side in sides:
            await side.turn()


def measure() -> dict[str, object]:
    """Figures by the number of statuses."""
    figures: dict[str, object] = {}
    build = builds(None)[-1]
    with ExitStack() as stack:
        sides = [_Side(stack.enter_context(RunningBuild(build, partial(_fill, count)))) for count in COUNTS]
        asyncio.run(_measure(sides))
        for count, side in zip(COUNTS, sides, strict=True):
            middle = sorted(side.costs)[TURNS // 4 : -(TURNS // 4)]  # a turn is measured in steps of 10 ms
            figures[f"{count}.update_cpu_microseconds"] = round(statistics.mean(middle))
            figures[f"{count}.start_cpu_seconds"] = round(side.start_cpu, 2)
            figures[f"{count}.start_seconds"] = round(side.running.ready_seconds, 2)
            figures[f"{count}.resident_megabytes"] = round(side.resident / 1e6)
            figures[f"{count}.sigterm_seconds"] = round(side.running.terminate(), 2)
    return figures
