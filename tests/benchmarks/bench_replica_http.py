"""The embedded replica over HTTP: certified updates and queries a second with 16 connections, and how fast it starts.

The replica runs in a process of its own. Envelopes are signed beforehand, so that the client's work isn't measured; one
certificate in a hundred is verified afterwards. The canister is a counter in WAT, so the figures are the replica's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cbor2
import wasmtime

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.envelope import sign_envelope
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess

CONNECTIONS = 16
REQUESTS = 4000
EXPIRY_NS = 280 * 10**9

COUNTER = """(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func $answer (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_update add")
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $answer))
  (func (export "canister_query read") (call $answer)))"""


@dataclass
class Load:
    """What a run of equal requests gave."""

    seconds: float
    latencies: list[float]
    answers: list[bytes]

    def figures(self, name: str) -> dict[str, object]:
        ordered = sorted(self.latencies)
        return {
            f"{name}_per_second": round(len(ordered) / self.seconds),
            f"{name}_p50_milliseconds": round(1000 * ordered[len(ordered) // 2], 2),
            f"{name}_p99_milliseconds": round(1000 * ordered[len(ordered) * 99 // 100], 2),
        }


async def send(url: str, path: str, bodies: list[bytes]) -> Load:
    """Send requests over 16 connections, each waiting for an answer before the next."""
    address = urlsplit(url)
    pending = iter(bodies)
    latencies: list[float] = []
    answers: list[bytes] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for body in pending:
            started = time.perf_counter()
            writer.write(
                f"POST {path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/cbor\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answers.append(await reader.readexactly(size))
            latencies.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return Load(time.perf_counter() - started, latencies, answers)


def envelopes(identity: Identity, canister: Principal, kind: str, method: str, count: int) -> list[bytes]:
    content: dict[str, Any] = {
        "request_type": kind,
        "sender": identity.sender().bytes,
        "canister_id": canister.bytes,
        "method_name": method,
        "arg": b"",
        "ingress_expiry": time.time_ns() + EXPIRY_NS,
    }
    return [sign_envelope({**content, "nonce": os.urandom(16)}, identity) for _ in range(count)]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
            before = cpu_seconds(replica.pid)
            load = await send(replica.url, path, bodies)
            used = cpu_seconds(replica.pid) - before
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
