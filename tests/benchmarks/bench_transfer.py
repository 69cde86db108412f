"""A whole creation of 64 MB and one of 512 MB, 40 files each: megabytes a second, and the orchestrator's peak memory.

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

from canister_factory.candid.principal import Principal
from canister_factory.cli.demo_capsule import fill
from canister_factory.cli.demo_files import find_files
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess

FILES = 40
SIZES = {"64_mb": 64_000_000, "512_mb": 512_000_000}


def measure() -> dict[str, object]:
    """The figures of both sizes."""
    figures: dict[str, object] = {}
    for name, size in SIZES.items():
        with ReplicaProcess() as replica, tempfile.TemporaryDirectory() as folder:
            for number in range(FILES):
                Path(folder, f"file{number:02}.bin").write_bytes(os.urandom(size // FILES))
            operator = Identity.generate()
            job = asyncio.run(_prepare(replica, operator, Path(folder)))
            measured = _orchestrate({**job, "url": replica.url, "root_key": replica.root_key.hex()}, operator)
            replica.kill()
        seconds, copying = measured["seconds"], measured["transfer_seconds"]
        figures |= {
            f"{name}_creation_seconds": round(seconds, 2),
            f"{name}_creation_megabytes_per_second": round(size / 1e6 / seconds, 1),
            f"{name}_copy_seconds": round(copying, 2),
            f"{name}_copy_megabytes_per_second": round(size / 1e6 / copying, 1),
            f"{name}_orchestrator_cpu_seconds": round(measured["cpu_seconds"], 2),
            f"{name}_orchestrator_megabytes_before": round(measured["memory_before"] / 1e6, 1),
            f"{name}_orchestrator_peak_megabytes": round(measured["memory_peak"] / 1e6, 1),
        }
    config = FactoryConfig()
    figures["start_window_messages"] = config.start_window
    figures["max_window_messages"] = config.max_window
    return figures


async def _prepare(replica: ReplicaProcess, operator: Identity, folder: Path) -> dict[str, str]:
    """A backend whose owner has a capsule made of the files and has asked for a personal canister."""
    network = Network.resolve(replica.url, root_key=replica.root_key)
    async with Agent(Identity.generate(), network) as admin, Agent(Identity.generate(), network) as owner:
        backend = await deploy_backend(admin, [operator.sender()])
        await register_release(backend)
        await fund(admin, backend.canister_id, 50_000_000_000_000)
        as_owner = BackendClient(owner, backend.canister_id)
        await fill(as_owner, find_files(folder).files, admin.identity.sender(), lambda count: None)
        await as_owner.create_personal_canister()
        return {"backend": str(backend.canister_id), "owner": str(owner.identity.sender())}


def _orchestrate(job: dict[str, str], operator: Identity) -> dict[str, float]:
    child = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps({**job, "operator": operator.to_pem().decode()}),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise RuntimeError(f"the orchestrator's process failed: {child.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(child.stdout)
    return measured


async def _child(job: dict[str, str]) -> dict[str, float]:
    network = Network.resolve(job["url"], root_key=bytes.fromhex(job["root_key"]))
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


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_child(json.load(sys.stdin)))))
