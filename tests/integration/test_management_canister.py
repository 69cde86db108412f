"""The management canister over HTTP, by our client: snapshots from end to end, and what viewers are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_snapshot_types import (
    Place,
    Slice,
    SnapshotPiece,
    SnapshotPlace,
    UploadSnapshotMetadata,
)
from canister_factory.ic.management_types import Audience, CanisterIdRange, CanisterSettings
from canister_factory.ic.network import Network
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.subnet.management_interface import method_type
from support.counter_canister import MODULE, counter
from support.replica_bench import management_argument
from support.replica_puppet import call_argument, puppet

PIECE = 40_000


@pytest.fixture
async def agents() -> AsyncIterator[tuple[Agent, Agent]]:
    """An owner's and a stranger's, on a replica of this test's own."""
    async with ReplicaServer() as server:
        network = Network.resolve(server.url, root_key=server.root_key)
        async with Agent(Identity.generate(), network) as owner, Agent(Identity.generate(), network) as stranger:
            yield owner, stranger


async def add(agent: Agent, canister: Principal) -> int:
    return int.from_bytes(await agent.update(canister, "add", b""), "little")


async def test_a_snapshot_is_taken_loaded_listed_and_deleted(agents: tuple[Agent, Agent]) -> None:
    owner, _ = agents
    management, canister = ManagementCanister(owner), await counter(owner)
    assert await add(owner, canister) == 1
    taken = await management.take_canister_snapshot(canister)
    assert await management.list_canister_snapshots(canister) == [taken]
    assert await add(owner, canister) == 2
    await management.load_canister_snapshot(canister, taken.id)
    assert await add(owner, canister) == 2
    newer = await management.take_canister_snapshot(canister, replace_snapshot=taken.id, uninstall_code=True)
    assert await management.list_canister_snapshots(canister) == [newer]
    assert (await management.canister_status(canister)).module_hash is None
    await management.delete_canister_snapshot(canister, newer.id)
    assert await management.list_canister_snapshots(canister) == []


async def test_a_snapshot_goes_to_another_canister_piece_by_piece(agents: tuple[Agent, Agent]) -> None:
    owner, _ = agents
    management, source = ManagementCanister(owner), await counter(owner)
    await add(owner, source)
    taken = (await management.take_canister_snapshot(source)).id
    known = await management.read_canister_snapshot_metadata(source, taken)
    assert known.source.tag == "taken_from_canister"
    target = await management.provisional_create_canister_with_cycles(10**14)
    made = await management.upload_canister_snapshot_metadata(
        UploadSnapshotMetadata(
            canister_id=target,
            wasm_module_size=known.wasm_module_size,
            wasm_memory_size=known.wasm_memory_size,
            stable_memory_size=known.stable_memory_size,
            globals=known.globals,
            certified_data=known.certified_data,
            global_timer=known.global_timer,
            on_low_wasm_memory_hook_status=known.on_low_wasm_memory_hook_status,
        )
    )
    for kind, size in (("wasm_module", known.wasm_module_size), ("wasm_memory", known.wasm_memory_size)):
        for offset in range(0, size, PIECE):
            part = Slice(offset=offset, size=min(PIECE, size - offset))
            piece = await management.read_canister_snapshot_data(source, taken, SnapshotPiece.of(kind, part))
            place = SnapshotPlace.of(kind, Place(offset=offset))
            await management.upload_canister_snapshot_data(target, made, place, piece)
    await management.load_canister_snapshot(target, made)
    assert await add(owner, target) == 2
    infos = [await owner.canister_info(canister) for canister in (source, target)]
    assert infos[0].module_hash == infos[1].module_hash
    times = [(info.created_ns, info.installed_ns) for info in infos]
    assert all(created is not None and created < (installed or 0) for created, installed in times)


async def test_viewers_see_what_a_setting_shows_them_and_no_more(agents: tuple[Agent, Agent]) -> None:
    owner, stranger = agents
    management, watcher = ManagementCanister(owner), ManagementCanister(stranger)
    canister = await counter(owner)
    for certified in (True, False):
        with pytest.raises(RejectedError, match="controllers"):
            await watcher.canister_status(canister, certified=certified)
    viewers = Audience(allowed_viewers=[Principal(stranger.identity.sender().bytes)])
    shown = CanisterSettings(status_visibility=viewers, snapshot_visibility=viewers)
    await management.update_settings(canister, shown)
    taken = await management.take_canister_snapshot(canister)
    for certified in (True, False):
        status = await watcher.canister_status(canister, certified=certified)
        assert status.settings.status_visibility == viewers
        assert status.memory_metrics is not None
        assert status.memory_metrics.snapshots_size == taken.total_size
        metrics = await management.canister_metrics(canister, certified=certified)
        assert metrics.cycles_consumed.instructions > 0
        with pytest.raises(RejectedError, match="controllers"):
            await watcher.canister_metrics(canister, certified=certified)
    assert await watcher.list_canister_snapshots(canister) == [taken]
    piece = SnapshotPiece(wasm_module=Slice(offset=0, size=len(MODULE)))
    assert await watcher.read_canister_snapshot_data(canister, taken.id, piece) == MODULE
    with pytest.raises(RejectedError, match="Only controllers"):
        await watcher.load_canister_snapshot(canister, taken.id)


async def test_the_canisters_are_listed_to_admins_only() -> None:
    admin, owner = Identity.generate(), Identity.generate()
    async with ReplicaServer(subnet_admins=(admin.sender().bytes,)) as server:
        network = Network.resolve(server.url, root_key=server.root_key)
        async with Agent(admin, network) as watching, Agent(owner, network) as owning:
            canister = await counter(owning)
            with pytest.raises(RejectedError, match="Only the admins of the subnet may do this"):
                await ManagementCanister(owning).list_canisters()
            management = ManagementCanister(watching)
            assert await management.list_canisters() == [CanisterIdRange(start=canister, end=canister)]
            assert (await management.canister_metrics(canister)).cycles_consumed.instructions > 0
            await management.stop_canister(canister)
            with pytest.raises(RejectedError, match="Only controllers"):
                await management.update_settings(canister, CanisterSettings(freezing_threshold=0))


async def test_an_outcall_reaches_a_server_of_this_computer_also_after_a_restart(tmp_path: Path) -> None:
    asked: list[bytes] = []
    arrived, open_for_business = asyncio.Event(), asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.Response:
        asked.append(await request.read())
        arrived.set()
        await open_for_business.wait()
        return web.Response(text="here")

    site = web.ServerRunner(web.Server(serve))
    await site.setup()
    await web.TCPSite(site, "127.0.0.1", 0).start()
    argument = management_argument(
        "http_request",
        {
            "url": f"http://localhost:{site.addresses[0][1]}/",
            "method": Case("post"),
            "headers": [],
            "body": b"question",
            "max_response_bytes": 10_000,
        },
    )
    forwarded = call_argument(b"", "http_request", argument, 10**12)
    identity = Identity.generate()
    async with (
        ReplicaServer(tmp_path) as server,
        Agent(identity, Network.resolve(server.url, root_key=server.root_key)) as agent,
    ):
        management = ManagementCanister(agent)
        canister = await management.provisional_create_canister_with_cycles(10**14)
        await management.install(canister, puppet(), b"")
        call = asyncio.ensure_future(agent.update(canister, "forward", forwarded))
        await arrived.wait()
        call.cancel()
    open_for_business.set()
    restarted = ReplicaServer(tmp_path)
    (outcall,) = restarted.subnet.outcalls.values()
    assert outcall.request.body == b"question"
    async with (
        restarted as server,
        Agent(identity, Network.resolve(server.url, root_key=server.root_key)) as agent,
    ):
        reply = await agent.update(canister, "forward", forwarded)
    await site.cleanup()
    assert decode(reply, method_type("http_request").results)[0]["body"] == b"here"
    assert asked == [b"question"] * 3
