"""Load on a replica over HTTP: signed requests on several connections, and how long each took.

Owns the client's half of a measurement. Does not own which replica is measured (`replica_builds`, `tests/benchmarks`).
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import wasmtime

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import sign_envelope
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network

CONNECTIONS = 16
EXPIRY_NS = 280 * 10**9

COUNTER = """(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func $answer (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_update add")
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $answer))
  (func (export "canister_query read") (call $answer)))"""


async def counter(network: Network, identity: Identity) -> Principal:
    """A new canister that counts."""
    async with Agent(identity, network) as agent:
        management = ManagementCanister(agent)
        canister = await management.provisional_create_canister_with_cycles(10**16)
        await management.install(canister, bytes(wasmtime.wat2wasm(COUNTER)), b"")
        return canister


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
