"""Snapshots that are taken early, because nothing else is to be done."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.inspection import Inspector
from support.faulty_files import FaultyFiles, failing
from support.replica_bench import Bench
from support.store_history import opener

MESSAGES = 100


def generation(directory: Path) -> int:
    """Which snapshot the newest one is."""
    return max(int(path.name.partition("-")[2]) for path in directory.glob("journal-*"))


def counted(bench: Bench, canister: bytes, times: int) -> None:
    for _ in range(times):
        bench.call(canister, "count")
    bench.subnet.persist()


def test_a_tenth_of_what_a_start_may_execute_again_is_worth_a_snapshot_at_rest_alone(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, messages=MESSAGES))
    canister = bench.puppet()
    bench.subnet.persist(at_rest=True)
    first = generation(tmp_path)
    for times, follows in ((MESSAGES // 10 - 3, 0), (5, 1)):
        counted(bench, canister, times)
        assert generation(tmp_path) == first, "not while there is something to do"
        bench.subnet.persist(at_rest=True)
        assert generation(tmp_path) == first + follows
    bench.subnet.persist(at_rest=True)
    assert generation(tmp_path) == first + 1, "once is enough"
    bench.restart()
    assert bench.count(canister) == MESSAGES // 10 + 2


def test_where_that_finds_no_space_it_is_put_off_until_it_is_due(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = FaultyFiles(power=False)
    bench = Bench(opener(tmp_path, files=files, messages=MESSAGES))
    canister = bench.puppet()
    bench.subnet.persist(at_rest=True)
    first = generation(tmp_path)
    counted(bench, canister, MESSAGES // 2)
    files.at, files.fault = files.done, failing(errno.ENOSPC)
    bench.subnet.persist(at_rest=True)
    assert files.done > files.at, "it was tried"
    files.at = -1
    counted(bench, canister, 5)
    bench.subnet.persist(at_rest=True)
    counted(bench, canister, MESSAGES // 2 - 5)
    assert generation(tmp_path) == first
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the snapshot is put off, nothing is lost"
    ]
    counted(bench, canister, MESSAGES // 5)
    assert generation(tmp_path) == first + 1
    counted(bench, canister, MESSAGES // 5)
    bench.subnet.persist(at_rest=True)
    assert generation(tmp_path) == first + 2, "as before"
    bench.restart()
    assert bench.count(canister) == MESSAGES * 14 // 10


async def test_a_replica_that_had_much_to_do_has_it_in_a_snapshot_soon_after(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    async with ReplicaServer(directory) as server:
        network = Network.resolve(server.url, root_key=server.root_key)
        async with Agent(Identity.generate(), network) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(10**14)
            (former,) = directory.glob("journal-*")
            for number in range(14):  # the last of them makes a tenth of 128 MiB
                await management.upload_chunk(canister, bytes([number]) * 1_000_000)
        async with asyncio.timeout(30):
            while former.exists():  # noqa: ASYNC110 - a file can't tell
                await asyncio.sleep(0)
        found = Inspector(directory, Files()).inspect()
        assert found.journal is not None
        assert found.journal.records == 0, "a start has nothing to execute again"
