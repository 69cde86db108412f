"""Queries and checks of calls that take many turns, over the HTTP interface."""

from __future__ import annotations

import asyncio

from canister_factory.replica.node.http_api import Answer
from canister_factory.replica.node.sliced_work import MAX_UNDER_WAY
from canister_factory.replica.subnet.durability import CheckpointError
from support.replica_http_support import Caller, Network, decoded, settle, url


def slow_query(network: Network) -> asyncio.Task[Answer]:
    network.subnet.slow_queries_end = False
    return asyncio.create_task(network.post(url(3, "query"), Caller(), request_type="query", method_name="slow"))


def call(network: Network) -> asyncio.Task[Answer]:
    content = {"request_type": "call", "method_name": "append", "arg": b"x"}
    return asyncio.create_task(network.post(url(4, "call"), Caller(), **content))


async def test_long_queries_dont_hold_up_the_long_check_of_a_call() -> None:
    async with Network() as network:
        queries = [slow_query(network) for _ in range(2 * MAX_UNDER_WAY)]
        network.subnet.checks_end = False
        checked = call(network)
        await settle(5 * MAX_UNDER_WAY)
        network.subnet.checks_end = True
        async with asyncio.timeout(5):
            assert decoded(await checked)["status"] == "replied"
        assert not any(query.done() for query in queries)
        network.api.stop()
        assert [answer[0] for answer in await asyncio.gather(*queries)] == [503] * len(queries)


async def test_a_long_query_tells_nothing_that_could_not_be_made_durable() -> None:
    async with Network() as network:
        query = slow_query(network)
        await settle(5 * MAX_UNDER_WAY)
        network.subnet.disk_failure = CheckpointError("No space left on device")
        network.subnet.disk_failure.durable = False
        await call(network)
        network.subnet.slow_queries_end = True
        status, _, body = await query
        assert (status, b"No space left" in body) == (500, True)
