"""The embedded replica over HTTP: certified updates and queries a second with 16 connections, and how fast it starts.

The replica runs in a process of its own. Envelopes are signed beforehand, so that the client's work isn't measured; one
certificate in a hundred is verified afterwards. The canister is a counter in WAT, so the figures are the replica's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import cbor2
import wasmtime

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from canister_factory.ic.agent import Agent  # noqa: E402 - as below
from canister_factory.ic.certificate import CertificateVerifier  # noqa: E402
from canister_factory.ic.identity import Identity  # noqa: E402
from canister_factory.ic.management import ManagementCanister  # noqa: E402
from canister_factory.ic.network import Network  # noqa: E402
from canister_factory.replica.node.process import ReplicaProcess  # noqa: E402
from support.http_load import CONNECTIONS, COUNTER, envelopes, send  # noqa: E402 - found by the line above
from support.replica_builds import cpu_seconds, family  # noqa: E402

REQUESTS = 4000


async def _measure() -> dict[str, object]:
    started = time.perf_counter()
    async with ReplicaProcess() as replica:
        ready_s = time.perf_counter() - started
        identity = Identity.generate()
        network = Network.resolve(replica.url, root_key=replica.root_key)
        async with Agent(identity, network) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(10**16)
            first_update_s = time.perf_counter() - started
            await management.install(canister, bytes(wasmtime.wat2wasm(COUNTER)), b"")
        figures: dict[str, object] = {
            "start_seconds": round(ready_s, 3),
            "start_to_first_certified_update_seconds": round(first_update_s, 3),
            "connections": CONNECTIONS,
        }
        for name, kind, method, path in (
            ("updates", "call", "add", f"/api/v4/canister/{canister}/call"),
            ("queries", "query", "read", f"/api/v3/canister/{canister}/query"),
        ):
            bodies = envelopes(identity, canister, kind, method, REQUESTS)
            before = sum(map(cpu_seconds, family(replica.pid)))
            load = await send(replica.url, path, bodies)
            used = sum(map(cpu_seconds, family(replica.pid))) - before
            figures |= load.figures(name)
            figures[f"{name}_replica_cpu_microseconds"] = round(1e6 * used / REQUESTS)
            if kind == "call":
                verifier = CertificateVerifier(network.root_key)
                for answer in load.answers[::100]:
                    certificate = cbor2.loads(answer)["certificate"]
                    verifier.verify(certificate, now_ns=time.time_ns(), canister_id=canister.bytes)
        return figures


def measure() -> dict[str, object]:
    """Figures by name; rates are requests a second as one client with 16 connections sees them."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
