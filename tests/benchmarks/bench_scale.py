"""What many canisters and many requests cost: `scripts/bench scale [--baseline DIR]`.

An update beside 10 and beside 10,000 canisters; the CPU of an update and of a query after a few and after 100,000
requests (or as many as `CANISTER_FACTORY_BENCH_REQUESTS` says), snapshots included, and the longest wait; 2,000
installations and deletions; memory and disk of 1,000 personal canisters that do nothing. One replica at a time, its
state on disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import wasmtime  # noqa: E402 - as below

from canister_factory.candid.binding import to_candid  # noqa: E402 - as below
from canister_factory.candid.encoding import encode  # noqa: E402
from canister_factory.candid.principal import Principal  # noqa: E402
from canister_factory.contract.artifacts import personal_interface, personal_wasm  # noqa: E402
from canister_factory.contract.import_models import PersonalInit  # noqa: E402
from canister_factory.ic.agent import Agent  # noqa: E402
from canister_factory.ic.identity import Identity  # noqa: E402
from canister_factory.ic.management import ManagementCanister  # noqa: E402
from support.http_load import COUNTER, counter, envelopes, send  # noqa: E402 - found by the line above
from support.replica_builds import RunningBuild, builds  # noqa: E402

FEW, MANY = 10, 10_000
REQUESTS, LATER = 2_000, int(os.environ.get("CANISTER_FACTORY_BENCH_REQUESTS", "100000"))
SNAPSHOT = 10_000  # requests from one snapshot to the next
INSTALLS = 1_000  # at first, and once more
IDLE = 1_000
AT_ONCE = 50


class Side:
    """A replica with a counter."""

    def __init__(self, running: RunningBuild) -> None:
        self.running = running
        self.identity = Identity.generate()
        self.counter: Principal
        self.longest_seconds = 0.0

    async def prepare(self) -> None:
        self.counter = await counter(self.running.network, self.identity)
        await self.load("call", REQUESTS)  # caches fill

    async def load(self, kind: str, count: int) -> float:
        """CPU microseconds of one request."""
        method, version = {"call": ("add", 4), "query": ("read", 3)}[kind]
        before = sum(self.running.cpu_seconds())
        for _ in range(0, count, REQUESTS):
            bodies = envelopes(self.identity, self.counter, kind, method, REQUESTS)
            load = await send(self.running.network.url, f"/api/v{version}/canister/{self.counter}/{kind}", bodies)
            self.longest_seconds = max(self.longest_seconds, *load.latencies)
        return round(1e6 * (sum(self.running.cpu_seconds()) - before) / count)

    async def create(self, count: int, wasm: bytes | None = None, arg: bytes = b"") -> None:
        async with Agent(self.identity, self.running.network) as agent:
            management = ManagementCanister(agent)

            async def one() -> None:
                canister = await management.provisional_create_canister_with_cycles(10**16)
                if wasm is not None:
                    await management.install(canister, wasm, arg)

            await _together(count, one)

    async def install_and_delete(self, count: int) -> None:
        wasm = bytes(wasmtime.wat2wasm(COUNTER))
        async with Agent(self.identity, self.running.network) as agent:
            management = ManagementCanister(agent)

            async def one() -> None:
                canister = await management.provisional_create_canister_with_cycles(10**16)
                await management.install(canister, wasm, b"")
                await management.stop_canister(canister)
                await management.delete_canister(canister)

            await _together(count, one)


async def _together(count: int, one: Callable[[], Awaitable[None]]) -> None:
    for _ in range(0, count, AT_ONCE):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def _of_canisters(side: Side) -> dict[str, float]:
    figures = {f"update_cpu_microseconds_beside_{FEW}_canisters": await side.load("call", REQUESTS)}
    await side.create(MANY)
    figures[f"update_cpu_microseconds_beside_{MANY}_canisters"] = await side.load("call", REQUESTS)
    return figures


async def _of_requests(side: Side) -> dict[str, float]:
    figures = {f"{kind}_cpu_microseconds_at_first": await side.load(kind, SNAPSHOT) for kind in ("call", "query")}
    before = side.running.resident_bytes()
    await side.load("call", LATER)
    figures["bytes_kept_of_a_request"] = round((side.running.resident_bytes() - before) / LATER)
    side.longest_seconds = 0.0
    for kind in ("call", "query"):
        figures[f"{kind}_cpu_microseconds_after_{LATER}"] = await side.load(kind, SNAPSHOT)
    figures["longest_milliseconds_then"] = round(1e3 * side.longest_seconds)
    return figures


async def _of_installs(side: Side) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("at_first", "later"):
        cpu, resident = sum(side.running.cpu_seconds()), side.running.resident_bytes()
        await side.install_and_delete(INSTALLS)
        used = sum(side.running.cpu_seconds()) - cpu
        figures[f"install_and_delete_cpu_microseconds_{name}"] = round(1e6 * used / INSTALLS)
        figures[f"install_and_delete_bytes_kept_{name}"] = round((side.running.resident_bytes() - resident) / INSTALLS)
    return figures


async def _of_idle(side: Side) -> dict[str, float]:
    before, disk = side.running.resident_bytes(), side.running.disk_bytes()
    init = PersonalInit(owner=side.identity.sender(), backend=side.counter)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    await side.create(IDLE, personal_wasm().wasm, argument)
    return {
        "idle_canisters": IDLE,
        "resident_megabytes_of_all": round((side.running.resident_bytes() - before) / 1e6),
        "disk_megabytes_of_each": round((side.running.disk_bytes() - disk) / 1e6 / IDLE, 2),
    }


def measure(baseline: Path | None = None) -> dict[str, object]:
    """Figures by build."""
    figures: dict[str, object] = {}
    for build in builds(baseline):
        for part in (_of_canisters, _of_requests, _of_installs, _of_idle):
            with RunningBuild(build) as running:

                async def run(running: RunningBuild = running, part: object = part) -> dict[str, float]:
                    side = Side(running)
                    await side.prepare()
                    return await part(side)  # type: ignore[operator, no-any-return]

                figures |= {f"{build.name}.{name}": value for name, value in asyncio.run(run()).items()}
    return figures
