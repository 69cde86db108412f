"""A whole creation of 64 MB and one of 512 MB, 40 files each: megabytes a second, CPU, the orchestrator's peak memory.

`scripts/bench transfer --baseline DIR` measures another build, too; `CANISTER_FACTORY_BENCH_MEGABYTES=64` only 64 MB.

Three processes as in real use: the embedded replica, the owner (this one, which fills the capsule and isn't measured),
and the orchestrator, whose memory is its own peak resident size. It has to stay the same however large the capsule is.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from canister_factory.candid.principal import Principal  # noqa: E402 - as below
from canister_factory.cli.demo_capsule import fill  # noqa: E402 - as below
from canister_factory.cli.local_files import find_files  # noqa: E402 - as below
from canister_factory.contract.clients import BackendClient  # noqa: E402 - as below
from canister_factory.factory.config import FactoryConfig  # noqa: E402 - as below
from canister_factory.factory.deployment import deploy_backend, fund, register_release  # noqa: E402 - as below
from canister_factory.factory.orchestrator import Orchestrator  # noqa: E402 - as below
from canister_factory.ic.agent import Agent  # noqa: E402 - as below
from canister_factory.ic.identity import Identity  # noqa: E402 - as below
from canister_factory.ic.network import Network  # noqa: E402 - as below
from support.replica_builds import Build, RunningBuild, builds  # noqa: E402 - found by the line above

FILES = 40
SIZES = [int(size) for size in os.environ.get("CANISTER_FACTORY_BENCH_MEGABYTES", "64,512").split(",")]


def measure(baseline: Path | None = None) -> dict[str, object]:
    """The figures of each size, by build, and how the new ones compare with the old."""
    figures: dict[str, object] = {}
    for size in SIZES:
        found = {build.name: _figures(build, size) for build in builds(baseline)}
        for name, values in found.items():
            figures |= {f"{size}_mb.{name}.{key}": value for key, value in values.items()}
        for key, value in found["new"].items() if "old" in found else ():
            figures[f"{size}_mb.new/old.{key}"] = round(value / found["old"][key], 2)
    config = FactoryConfig()
    figures["start_window_messages"] = config.start_window
    figures["max_window_messages"] = config.max_window
    return figures


def _figures(build: Build, megabytes: int) -> dict[str, float]:
    """Of one creation; the replica's CPU is that of all its processes, from the claim to the end."""
    with RunningBuild(build) as running, tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            Path(folder, f"file{number:02}.bin").write_bytes(os.urandom(megabytes * 10**6 // FILES))
        job = {
            "url": running.network.url,
            "root_key": running.network.root_key.hex(),
            "operator": Identity.generate().to_pem().decode(),
            "folder": folder,
        }
        job |= _have(build, {**job, "task": "prepare"})
        before = sum(running.cpu_seconds())
        measured = _have(build, {**job, "task": "create"})
        replica = sum(running.cpu_seconds()) - before
    seconds, copying = measured["seconds"], measured["transfer_seconds"]
    return {
        "creation_seconds": round(seconds, 2),
        "creation_megabytes_per_second": round(megabytes / seconds, 1),
        "copy_seconds": round(copying, 2),
        "copy_megabytes_per_second": round(megabytes / copying, 1),
        "orchestrator_cpu_milliseconds_per_megabyte": round(1e3 * measured["cpu_seconds"] / megabytes, 1),
        "replica_cpu_milliseconds_per_megabyte": round(1e3 * replica / megabytes, 1),
        "orchestrator_megabytes_before": round(measured["memory_before"] / 1e6, 1),
        "orchestrator_peak_megabytes": round(measured["memory_peak"] / 1e6, 1),
    }


def _have(build: Build, job: dict[str, str]) -> dict[str, Any]:
    """Has a task done in a process of the build, so that its own canisters are deployed."""
    child = subprocess.run([build.python, __file__], input=json.dumps(job), capture_output=True, text=True, check=False)
    if child.returncode:
        raise RuntimeError(f"{job['task']} failed: {child.stderr[-2000:]}")
    done: dict[str, Any] = json.loads(child.stdout)
    return done


# --- In a process of the build ---


async def _prepare(network: Network, job: dict[str, str]) -> dict[str, str]:
    """A backend whose owner has a capsule made of the files and has asked for a personal canister."""
    operator = Identity.from_pem(job["operator"]).sender()
    async with Agent(Identity.generate(), network) as admin, Agent(Identity.generate(), network) as owner:
        backend = await deploy_backend(admin, [operator])
        await register_release(backend)
        await fund(admin, backend.canister_id, 50_000_000_000_000)
        as_owner = BackendClient(owner, backend.canister_id)
        await fill(as_owner, find_files(Path(job["folder"])).files, admin.identity.sender(), lambda count: None)
        await as_owner.create_personal_canister()
        return {"backend": str(backend.canister_id), "owner": str(owner.identity.sender())}


async def _create(network: Network, job: dict[str, str]) -> dict[str, float]:
    async with Agent(Identity.from_pem(job["operator"]), network) as agent:
        orchestrator = Orchestrator(agent, Principal.from_str(job["backend"]))
        before, cpu = _peak_bytes(), time.process_time()
        outcome = await orchestrator.run(Principal.from_str(job["owner"]))
        return {
            "seconds": outcome.seconds,
            "transfer_seconds": outcome.transfer_seconds,
            "cpu_seconds": time.process_time() - cpu,
            "memory_before": before,
            "memory_peak": _peak_bytes(),
        }


def _peak_bytes() -> int:
    """This process's peak resident size. Linux's getrusage would count the parent's in, so not that where possible."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _child(job: dict[str, str]) -> dict[str, Any]:
    network = Network.resolve(job["url"], root_key=bytes.fromhex(job["root_key"]))
    task: Any = {"prepare": _prepare, "create": _create}[job["task"]]
    done: dict[str, Any] = asyncio.run(task(network, job))
    return done


if __name__ == "__main__":
    print(json.dumps(_child(json.load(sys.stdin))))
