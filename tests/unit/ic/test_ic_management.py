"""The management canister: each method at the right place, and modules of any size."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from canister_factory.candid.binding import candid_type, from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import ProtocolError, RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import CHUNK_BYTES, DIRECT_INSTALL_BYTES, ManagementCanister
from canister_factory.ic.management_types import (
    Audience,
    CanisterIdRange,
    CanisterIdRanges,
    CanisterLogs,
    CanisterMetrics,
    CanisterSettings,
    CanisterStatus,
    ChunkHash,
    CyclesConsumed,
    EffectiveSettings,
    InstallChunkedCode,
    InstallCode,
    InstallMode,
    LogRecord,
    MemoryPersistence,
    ProvisionalCreate,
    ProvisionalTopUp,
    RunState,
    Target,
    UpdateSettings,
    UpgradeOptions,
    UploadChunk,
)
from canister_factory.ic.requests import CallRequest, QueryRequest
from support.ic_test_support import CANISTER, NOW_NS, OTHER_CANISTER, FakeClock, FakeNetwork

STATUS = CanisterStatus(
    status=RunState.running,
    settings=EffectiveSettings(
        controllers=[CANISTER],
        compute_allocation=0,
        memory_allocation=0,
        freezing_threshold=2_592_000,
        log_visibility=Audience(public=None),
    ),
    module_hash=b"h" * 32,
    memory_size=5,
    cycles=10**12,
    idle_cycles_burned_per_day=1,
)


METRICS = CanisterMetrics(
    cycles_consumed=CyclesConsumed(
        canister_creation=0,
        memory=1,
        compute_allocation=2,
        instructions=3,
        ingress_induction=4,
        request_and_response_transmission=5,
        http_outcalls=6,
        burned_cycles=7,
        uninstall=8,
    )
)


class ManagementServer:
    """The management canister of a network, with a chunk store; remembers what was called with which argument."""

    ARGUMENTS: dict[str, Any] = {  # noqa: RUF012
        "provisional_create_canister_with_cycles": ProvisionalCreate,
        "provisional_top_up_canister": ProvisionalTopUp,
        "update_settings": UpdateSettings,
        "upload_chunk": UploadChunk,
        "install_code": InstallCode,
        "install_chunked_code": InstallChunkedCode,
        "list_canisters": None,
    }

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.chunks: dict[bytes, bytes] = {}
        self.installed: bytes | None = None
        self.fail: list[dict[str, Any]] = []
        self.wrong_hash = False

    def __call__(self, request: CallRequest | QueryRequest) -> Any:
        assert request.canister_id == b""
        method = request.method_name
        kind = self.ARGUMENTS.get(method, Target)
        argument = None
        if kind is not None:
            (value,) = decode(request.arg, [candid_type(kind)])
            argument = from_candid(kind, value)
        if method == "upload_chunk" and self.fail:
            return self.fail.pop()
        self.calls.append((method, argument))
        reply = getattr(self, method, lambda argument: None)(argument)
        if reply is None:
            return encode([], [])
        annotation = list[ChunkHash] if isinstance(reply, list) else type(reply)
        return encode([candid_type(annotation)], [to_candid(annotation, reply)])

    def provisional_create_canister_with_cycles(self, argument: ProvisionalCreate) -> Target:
        return Target(canister_id=argument.specified_id or CANISTER)

    def canister_status(self, argument: Target) -> CanisterStatus:
        return STATUS

    def canister_metrics(self, argument: Target) -> CanisterMetrics:
        return METRICS

    def list_canisters(self, argument: None) -> CanisterIdRanges:
        return CanisterIdRanges(canisters=[CanisterIdRange(start=CANISTER, end=OTHER_CANISTER)])

    def fetch_canister_logs(self, argument: Target) -> CanisterLogs:
        return CanisterLogs(canister_log_records=[LogRecord(idx=1, timestamp_nanos=NOW_NS, content=b"line")])

    def stored_chunks(self, argument: Target) -> list[ChunkHash]:
        return [ChunkHash(hash=digest) for digest in self.chunks]

    def clear_chunk_store(self, argument: Target) -> None:
        self.chunks.clear()

    def upload_chunk(self, argument: UploadChunk) -> ChunkHash:
        digest = sha256(argument.chunk).digest()
        self.chunks[digest] = argument.chunk
        return ChunkHash(hash=bytes(32) if self.wrong_hash else digest)

    def install_code(self, argument: InstallCode) -> None:
        self.installed = argument.wasm_module

    def install_chunked_code(self, argument: InstallChunkedCode) -> None:
        self.installed = b"".join(self.chunks[chunk.hash] for chunk in argument.chunk_hashes_list)
        assert sha256(self.installed).digest() == argument.wasm_module_hash

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


@pytest.fixture
def server() -> ManagementServer:
    return ManagementServer()


@pytest.fixture
def net(server: ManagementServer) -> FakeNetwork:
    return FakeNetwork(FakeClock(), server)


@pytest.fixture
async def management(net: FakeNetwork) -> AsyncIterator[ManagementCanister]:
    async with Agent(Identity.generate(), net.network(), transport=net.transport()) as agent:
        yield ManagementCanister(agent)


def module(size: int) -> bytes:
    """Bytes of which every chunk differs."""
    return b"".join(i.to_bytes(8, "big") for i in range(size // 8)) + bytes(size % 8)


async def test_methods_about_a_canister_go_to_where_it_is(
    management: ManagementCanister, net: FakeNetwork, server: ManagementServer
) -> None:
    await management.start_canister(CANISTER)
    await management.stop_canister(str(CANISTER))
    await management.delete_canister(CANISTER)
    await management.uninstall_code(CANISTER)
    await management.provisional_top_up_canister(CANISTER, 5)
    await management.update_settings(CANISTER, CanisterSettings(controllers=[OTHER_CANISTER]))
    assert {path for path, _ in net.requests} == {f"/api/v4/canister/{CANISTER}/call"}
    assert server.calls[:2] == [
        ("start_canister", Target(canister_id=CANISTER)),
        ("stop_canister", Target(canister_id=CANISTER)),
    ]
    assert server.calls[4][1].amount == 5
    assert server.calls[5][1].settings == CanisterSettings(controllers=[OTHER_CANISTER])


async def test_a_canister_is_created_where_the_network_says(
    management: ManagementCanister, net: FakeNetwork, server: ManagementServer
) -> None:
    settings = CanisterSettings(controllers=[CANISTER])
    assert await management.provisional_create_canister_with_cycles(10**12, settings) == CANISTER
    assert net.requests[-1][0] == "/api/v4/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/call"
    assert server.calls[0][1] == ProvisionalCreate(amount=10**12, settings=settings)


async def test_a_canister_with_a_chosen_id_is_created_there(management: ManagementCanister, net: FakeNetwork) -> None:
    wanted = Principal(bytes(7) + b"\x07\x01\x01")
    assert await management.provisional_create_canister_with_cycles(specified_id=str(wanted)) == wanted
    assert net.requests[-1][0] == f"/api/v4/canister/{wanted}/call"


async def test_the_status_and_the_logs_are_typed(management: ManagementCanister, net: FakeNetwork) -> None:
    status = await management.canister_status(CANISTER)
    assert status == STATUS
    assert status.settings.wasm_memory_limit is None
    (line,) = await management.fetch_canister_logs(CANISTER)
    assert line.content == b"line"
    assert net.posted("query")


async def test_status_and_metrics_are_certified_unless_a_query_is_enough(
    management: ManagementCanister, net: FakeNetwork, server: ManagementServer
) -> None:
    assert await management.canister_metrics(CANISTER) == METRICS
    assert not net.posted("query")
    assert await management.canister_metrics(CANISTER, certified=False) == METRICS
    assert await management.canister_status(CANISTER, certified=False) == STATUS
    assert {path for path, _ in net.requests if "query" in path} == {f"/api/v3/canister/{CANISTER}/query"}
    assert server.methods == ["canister_metrics", "canister_metrics", "canister_status"]


async def test_the_canisters_of_a_subnet_are_asked_for_at_one_of_its_canisters(
    management: ManagementCanister, net: FakeNetwork
) -> None:
    (listed,) = await management.list_canisters(effective_canister_id=CANISTER)
    assert listed == CanisterIdRange(start=CANISTER, end=OTHER_CANISTER)
    await management.list_canisters()
    asked = [path for path, _ in net.requests if path.endswith("/query")]
    assert asked == [f"/api/v3/canister/{at}/query" for at in (CANISTER, "rwlgt-iiaaa-aaaaa-aaaaa-cai")]


async def test_a_small_module_is_installed_in_one_message(
    management: ManagementCanister, server: ManagementServer
) -> None:
    progress: list[tuple[int, int]] = []
    mode = InstallMode(upgrade=UpgradeOptions(wasm_memory_persistence=MemoryPersistence(keep=None)))
    wasm = module(DIRECT_INSTALL_BYTES)
    await management.install(CANISTER, wasm, b"", mode=mode, on_progress=lambda *step: progress.append(step))
    ((method, argument),) = server.calls
    assert (method, argument.mode, argument.canister_id, argument.wasm_module) == ("install_code", mode, CANISTER, wasm)
    assert progress == [(len(wasm), len(wasm))]


@pytest.mark.parametrize("name", ["install", "reinstall", "upgrade"])
async def test_modes_can_be_named(management: ManagementCanister, server: ManagementServer, name: Any) -> None:
    await management.install_code(CANISTER, b"\0asm", b"", mode=name)
    assert server.calls[0][1].mode.tag == name


async def test_a_large_module_goes_through_the_chunk_store_and_leaves_it_empty(
    management: ManagementCanister, net: FakeNetwork, server: ManagementServer
) -> None:
    wasm = module(3 * CHUNK_BYTES + 5)
    progress: list[tuple[int, int]] = []
    await management.install(CANISTER, wasm, b"arg", on_progress=lambda *step: progress.append(step))
    assert server.installed == wasm
    assert server.methods.count("upload_chunk") == 4
    assert server.methods[-2:] == ["install_chunked_code", "clear_chunk_store"]
    assert net.requests[-2][0] == f"/api/v4/canister/{CANISTER}/call"
    assert progress[0] == (0, len(wasm))
    assert progress[-1] == (len(wasm), len(wasm))
    assert progress == sorted(progress)


async def uploads(management: ManagementCanister, server: ManagementServer, wasm: bytes) -> int:
    """Installs a module, and counts the uploads that took."""
    await management.install(CANISTER, wasm, b"")
    assert server.installed == wasm
    return server.methods.count("upload_chunk")


async def test_only_missing_chunks_are_uploaded(management: ManagementCanister, server: ManagementServer) -> None:
    wasm = module(3 * CHUNK_BYTES)
    for start in (0, 2 * CHUNK_BYTES):
        await management.upload_chunk(CANISTER, wasm[start : start + CHUNK_BYTES])
    server.calls.clear()
    assert await uploads(management, server, wasm) == 1


async def test_a_chunk_that_occurs_twice_is_uploaded_once(
    management: ManagementCanister, server: ManagementServer
) -> None:
    assert await uploads(management, server, bytes(2 * CHUNK_BYTES)) == 1


async def test_a_full_chunk_store_is_emptied_of_what_is_not_needed(
    management: ManagementCanister, server: ManagementServer
) -> None:
    server.chunks = {sha256(bytes([i])).digest(): b"old" for i in range(99)}
    assert await uploads(management, server, module(2 * CHUNK_BYTES)) == 2
    assert server.methods[:2] == ["stored_chunks", "clear_chunk_store"]


async def test_a_chunk_is_uploaded_again_after_a_passing_failure(
    management: ManagementCanister, server: ManagementServer
) -> None:
    server.fail = [{"reject_code": 2, "reject_message": "busy", "error_code": "IC0"}] * 2
    assert await uploads(management, server, module(2 * CHUNK_BYTES)) == 2


async def test_a_failure_that_lasts_is_reported_as_it_is(
    management: ManagementCanister, server: ManagementServer
) -> None:
    server.fail = [{"reject_code": 5, "reject_message": "out of cycles", "error_code": "IC0"}] * 100
    with pytest.raises(RejectedError, match="out of cycles"):
        await management.install(CANISTER, module(4 * CHUNK_BYTES), b"")
    assert server.installed is None


async def test_a_chunk_store_that_keeps_something_else_is_noticed(
    management: ManagementCanister, server: ManagementServer
) -> None:
    server.wrong_hash = True
    with pytest.raises(ProtocolError, match="another hash") as wrong:
        await management.install(CANISTER, module(2 * CHUNK_BYTES), b"")
    error = wrong.value
    assert (error.method, error.canister_id) == ("upload_chunk", Principal.management_canister())
    assert len(error.request_id or b"") == 32


async def test_what_only_canisters_can_call_is_not_offered(management: ManagementCanister) -> None:
    for method in ("create_canister", "deposit_cycles", "canister_info", "raw_rand"):
        assert not hasattr(management, method)


async def test_a_rejection_says_which_it_is(management: ManagementCanister, net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(400, content=b"IC0512: only controllers")]
    with pytest.raises(ProtocolError, match="IC0512"):
        await management.canister_status(CANISTER)
