"""Clients that don't behave: the server's log stays for what is its own fault."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

import httpx
import pytest

from canister_factory.replica.node.server import ReplicaServer

HALF = (
    b"POST /api/v3/canister/aaaaa-aa/call HTTP/1.1\r\nHost: replica\r\nContent-Type: application/cbor\r\n"
    b"Content-Length: 100\r\n\r\nhalf"
)


async def test_a_client_that_leaves_in_the_middle_of_a_request_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async with ReplicaServer() as server, httpx.AsyncClient(base_url=server.url) as other:
        where = urlsplit(server.url)
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(HALF)
        await writer.drain()
        await other.get("/api/v2/status")  # by then the half request is read
        writer.transport.abort()
        await other.get("/api/v2/status")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
