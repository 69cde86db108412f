"""The process that checks signatures beside a replica: it comes with load, and never outlives the replica."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess
from canister_factory.replica.node.signature_checks import MANY
from canister_factory.replica.runtime.workers import spare_processors
from support.http_load import Load, counter, envelopes, send
from support.replica_builds import family

pytestmark = pytest.mark.skipif(
    not (spare_processors() and Path("/proc/self/task").is_dir()), reason="needs two cores, and /proc"
)


@dataclass
class Loaded:
    """A replica under load, and the log that it writes."""

    process: ReplicaProcess
    log: Path
    identity: Identity
    canister: Principal

    async def load(self, requests: int, method: str = "read") -> Load:
        kind, version = ("query", 3) if method == "read" else ("call", 4)
        bodies = envelopes(self.identity, self.canister, kind, method, requests)
        return await send(self.process.url, f"/api/v{version}/canister/{self.canister}/{kind}", bodies)

    @property
    def beside(self) -> list[int]:
        """The processes that the replica has made."""
        return family(self.process.pid)[1:]

    async def second(self) -> int:
        """The second process, which load brings about."""
        async with asyncio.timeout(30):
            while not self.beside:
                await self.load(3 * MANY)
        (pid,) = self.beside
        return pid


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[Loaded]:
    identity, path = Identity.generate(), tmp_path / "log"
    with path.open("wb") as log:
        async with ReplicaProcess(log=log) as process:
            network = Network.resolve(process.url, root_key=process.root_key)
            yield Loaded(process, path, identity, await counter(network, identity))


def runs(pid: int) -> bool:
    """Whether there is a process, which isn't only remembered by a parent that hasn't asked for it."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z" not in stat.read_text()


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while runs(pid):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def opened_by(pid: int) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}


async def test_it_comes_with_load_and_its_end_is_noticed_by_nobody(loaded: Loaded) -> None:
    assert loaded.beside == []
    second = await loaded.second()
    under_load = asyncio.create_task(loaded.load(1500, "add"))
    await asyncio.sleep(0)
    os.kill(second, signal.SIGKILL)
    answers = (await under_load).answers
    assert len(answers) == 1500
    await gone(second)
    text = loaded.log.read_text()
    assert text.count("signatures are checked without a second process for now") == 1
    assert "Traceback" not in text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_the_end_of_the_replica_is_its_end(loaded: Loaded, number: signal.Signals) -> None:
    second, pid = await loaded.second(), loaded.process.pid
    os.kill(pid, number)
    await gone(second)
    await gone(pid)
    address = urlsplit(loaded.process.url)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((address.hostname, address.port))
    assert "Traceback" not in loaded.log.read_text()


async def test_it_has_nothing_of_the_replica_but_its_socket(loaded: Loaded) -> None:
    second = await loaded.second()
    opened = opened_by(second)
    assert opened.pop("0").startswith("socket:")
    assert opened.pop("1") == os.devnull
    assert opened.pop("2") == str(loaded.log)
    assert opened == {}
