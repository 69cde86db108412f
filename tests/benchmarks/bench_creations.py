"""50 creations of 1 MB on the embedded replica, eight at a time: creations a second by the clock and by CPU time.

`scripts/bench creations --baseline DIR` measures another build in turn with this one.

Three processes as in real use: the embedded replica with its state on disk, the owners (this one, which isn't
measured), and a worker that finds the requests. On a machine that does something else as well, CPU time counts:
creations a second "by CPU" are those of two processors, of which one has the replica and one the worker.

`CANISTER_FACTORY_BENCH_PROFILE` names a file for the worker's profile (`cProfile`), which makes it slower.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from canister_factory.candid.principal import Principal  # noqa: E402 - as below
from canister_factory.contract.clients import BackendClient  # noqa: E402
from canister_factory.contract.memory_models import BlobKind, BlobRef, MemoryData, MemoryType, NewMemory  # noqa: E402
from canister_factory.factory.config import FactoryConfig  # noqa: E402
from canister_factory.factory.deployment import deploy_backend, fund, register_release  # noqa: E402
from canister_factory.factory.orchestrator import Orchestrator  # noqa: E402
from canister_factory.factory.outcome import Outcome  # noqa: E402
from canister_factory.factory.worker import Worker  # noqa: E402
from canister_factory.ic.agent import Agent  # noqa: E402
from canister_factory.ic.identity import Identity  # noqa: E402
from canister_factory.ic.network import Network  # noqa: E402
from canister_factory.ic.traffic import Traffic  # noqa: E402
from support.replica_builds import RunningBuild, builds  # noqa: E402 - found by the line above

CREATIONS = 50
TURNS = 5
PARALLEL = 8
BYTES = 1_000_000
_KINDS = ("call", "query", "read_state")
WARM = 2  # creations before those that count: the module is compiled, caches fill


class Side:
    """One build: its replica, and what its workers have taken so far."""

    def __init__(self, running: RunningBuild) -> None:
        self.running = running
        self.job = {
            "url": running.network.url,
            "root_key": running.network.root_key.hex(),
            "operator": Identity.generate().to_pem().decode(),
        }
        self.job["backend"] = self._have("deploy")
        self.seconds = self.worker = 0.0
        self.replica: list[float] = []
        self.requests: Counter[str] = Counter()

    def turn(self, count: int, *, warm: bool = False) -> None:
        self._have("ask", count=count)
        profile = "" if warm else os.environ.get("CANISTER_FACTORY_BENCH_PROFILE", "")
        before = self.running.cpu_seconds()
        done = self._have("work", profile=profile)
        used = [now - then for now, then in zip_longest(self.running.cpu_seconds(), before, fillvalue=0.0)]
        assert done["completed"] == count
        if not warm:
            self.seconds += done["seconds"]
            self.worker += done["cpu_seconds"]
            self.replica = [sum(pair) for pair in zip_longest(self.replica, used, fillvalue=0.0)]
            self.requests.update(done["requests"])

    def _have(self, task: str, **more: Any) -> Any:
        """Has the task done in a process of the build, so that its own canisters are deployed."""
        job = json.dumps({**self.job, "task": task, **more})
        child = subprocess.run(
            [self.running.build.python, __file__], input=job, capture_output=True, text=True, check=False
        )
        if child.returncode:
            raise RuntimeError(f"{task} failed: {child.stderr[-2000:]}")
        return json.loads(child.stdout)

    def figures(self) -> dict[str, float]:
        each = 1e3 / CREATIONS
        return {
            "per_second": round(CREATIONS / self.seconds, 2),
            "per_second_by_cpu": round(CREATIONS / max(self.replica[0], self.worker), 2),
            "worker_cpu_milliseconds_each": round(each * self.worker, 1),
            "replica_cpu_milliseconds_each": round(each * sum(self.replica), 1),
            "requests_each": round(self.requests.total() / CREATIONS, 2),
            **{f"{kind}_requests_each": round(self._asked(kind) / CREATIONS, 2) for kind in _KINDS},
        }

    def _asked(self, kind: str) -> int:
        return sum(count for name, count in self.requests.items() if name.startswith(kind))


def measure(baseline: Path | None = None) -> dict[str, object]:
    """Figures by build, and how the new ones compare with the old."""
    with ExitStack() as stack:
        sides = [Side(stack.enter_context(RunningBuild(build))) for build in builds(baseline)]
        for side in sides:
            side.turn(WARM, warm=True)
        for _ in range(TURNS):
            for side in sides:
                side.turn(CREATIONS // TURNS)
    found = {side.running.build.name: side.figures() for side in sides}
    figures: dict[str, object] = {"creations": CREATIONS}
    for name, values in found.items():
        figures |= {f"{name}.{key}": value for key, value in values.items()}
    for key, value in found["new"].items() if "old" in found else ():
        figures[f"new/old.{key}"] = round(value / found["old"][key], 2)
    return figures


# --- In a process of the build ---


async def _deploy(network: Network, job: dict[str, Any]) -> str:
    operator = Identity.from_pem(job["operator"]).sender()
    async with Agent(Identity.generate(), network) as admin:
        backend = await deploy_backend(admin, [operator])
        await register_release(backend)
        await fund(admin, backend.canister_id, 500_000_000_000_000)
        return str(backend.canister_id)


async def _ask(network: Network, job: dict[str, Any]) -> None:
    """So many owners with a capsule of 1 MB, who ask for a personal canister."""
    reference = BlobRef(kind=BlobKind.ICPCapsule, locator="")
    photo = NewMemory(memory_type=MemoryType.Image, name="photo", content_type="image/jpeg")
    for _ in range(job["count"]):
        async with Agent(Identity.generate(), network) as owner:
            backend = BackendClient(owner, Principal.from_str(job["backend"]))
            await backend.register()
            await backend.register_capsule()
            await backend.add_memory_to_capsule(MemoryData(blob_ref=reference, data=os.urandom(BYTES)), photo)
            await backend.create_personal_canister()


async def _work(network: Network, job: dict[str, Any]) -> dict[str, Any]:
    traffic, failures = Traffic(), list[str]()

    def finished(owner: Principal, result: Outcome | Exception) -> None:
        if isinstance(result, Exception):
            failures.append(f"{owner}: {result!r}")

    async with Agent(Identity.from_pem(job["operator"]), network, trace=traffic) as agent:
        orchestrator = Orchestrator(agent, Principal.from_str(job["backend"]), FactoryConfig())
        worker = Worker(orchestrator, parallel=PARALLEL, finished=finished)
        profile = cProfile.Profile()
        cpu, started = time.process_time(), time.perf_counter()
        if job["profile"]:
            profile.enable()
        completed = await worker.run_once()
        profile.disable()
        seconds, used = time.perf_counter() - started, time.process_time() - cpu
    if failures:
        raise RuntimeError("; ".join(failures))
    if job["profile"]:
        profile.dump_stats(job["profile"])
    return {
        "seconds": seconds,
        "cpu_seconds": used,
        "completed": completed,
        "requests": {name: tally.requests for name, tally in traffic.tallies.items()},
    }


def _child(job: dict[str, Any]) -> Any:
    network = Network.resolve(job["url"], root_key=bytes.fromhex(job["root_key"]))
    tasks: dict[str, Any] = {"deploy": _deploy, "ask": _ask, "work": _work}
    return asyncio.run(tasks[job["task"]](network, job))


if __name__ == "__main__":
    print(json.dumps(_child(json.load(sys.stdin))))
