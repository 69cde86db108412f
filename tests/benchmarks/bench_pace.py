"""The replica's pace over HTTP beside an earlier build: `scripts/bench pace --baseline DIR`.

Both replicas run at once, each with its state on disk, and are asked in turn, so that what else the machine does meets
both. A canister in WAT that counts; 16 connections; envelopes signed beforehand. CPU time is that of all processes of a
replica (of which a second one begins with the load), and is worth more than the rates where the machine does something
else as well.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import cbor2  # noqa: E402 - found by the line above

from canister_factory.candid.principal import Principal  # noqa: E402
from canister_factory.ic.certificate import CertificateVerifier  # noqa: E402
from canister_factory.ic.identity import Identity  # noqa: E402
from support.http_load import CONNECTIONS, Load, counter, envelopes, send  # noqa: E402
from support.replica_builds import RunningBuild, builds  # noqa: E402

TURNS = 6
REQUESTS = 600  # of each kind, in each turn
STARTS = 5


class Side:
    """One of the replicas and what it has taken so far."""

    def __init__(self, running: RunningBuild) -> None:
        self.running = running
        self.identity = Identity.generate()
        self.canister: Principal
        self.cpu: dict[str, list[float]] = {"updates": [], "queries": []}
        self.seconds: dict[str, float] = {"updates": 0.0, "queries": 0.0}

    async def prepare(self) -> None:
        self.canister = await counter(self.running.network, self.identity)
        for name in self.cpu:
            await self._send(name)  # not counted: caches fill

    async def _send(self, name: str) -> Load:
        kind, method, version = {"updates": ("call", "add", 4), "queries": ("query", "read", 3)}[name]
        bodies = envelopes(self.identity, self.canister, kind, method, REQUESTS)
        return await send(self.running.network.url, f"/api/v{version}/canister/{self.canister}/{kind}", bodies)

    async def turn(self, name: str) -> None:
        before = self.running.cpu_seconds()
        load = await self._send(name)
        used = [after - earlier for after, earlier in zip_longest(self.running.cpu_seconds(), before, fillvalue=0.0)]
        self.cpu[name] = [sum(pair) for pair in zip_longest(self.cpu[name], used, fillvalue=0.0)]
        self.seconds[name] += load.seconds
        if name == "updates":
            verifier = CertificateVerifier(self.running.network.root_key)
            certificate = cbor2.loads(load.answers[-1])["certificate"]
            verifier.verify(certificate, now_ns=time.time_ns(), canister_id=self.canister.bytes)

    def figures(self) -> dict[str, float]:
        count = TURNS * REQUESTS
        figures: dict[str, float] = {}
        for name, cpu in self.cpu.items():
            figures[f"{name}_cpu_microseconds"] = round(1e6 * sum(cpu) / count)
            for number, seconds in enumerate(cpu):
                figures[f"{name}_cpu_microseconds_of_process_{number}"] = round(1e6 * seconds / count)
            figures[f"{name}_per_second"] = round(count / self.seconds[name])
        return figures


async def _measure(sides: list[Side]) -> None:
    for side in sides:
        await side.prepare()
    for _ in range(TURNS):
        for name in ("updates", "queries"):
            for side in sides:
                await side.turn(name)


def _starts(baseline: Path | None) -> dict[str, list[tuple[float, float]]]:
    """Seconds and CPU seconds from the start of the process to its first answer."""
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(STARTS):
        for build in builds(baseline):
            with RunningBuild(build) as running:
                taken.setdefault(build.name, []).append((running.ready_seconds, sum(running.cpu_seconds())))
    return taken


def measure(baseline: Path | None = None) -> dict[str, object]:
    """Figures by build, and how the new ones compare with the old."""
    with ExitStack() as stack:
        sides = [Side(stack.enter_context(RunningBuild(build))) for build in builds(baseline)]
        asyncio.run(_measure(sides))
    found = {side.running.build.name: side.figures() for side in sides}
    for name, starts in _starts(baseline).items():
        found[name]["start_seconds"] = round(min(seconds for seconds, _ in starts), 3)
        found[name]["start_cpu_seconds"] = round(min(cpu for _, cpu in starts), 3)
    figures: dict[str, object] = {"connections": CONNECTIONS}
    for name, values in found.items():
        figures |= {f"{name}.{key}": value for key, value in values.items()}
    for key, value in found["new"].items() if "old" in found else ():
        if key in found["old"] and found["old"][key]:
            figures[f"new/old.{key}"] = round(value / found["old"][key], 2)
    return figures
