"""What is read of the state, and who may read it: `read_state` and its paths."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from canister_factory.ic import hash_tree
from canister_factory.ic.certificate import read_leb128
from canister_factory.ic.envelope import DELEGATION_DOMAIN
from canister_factory.ic.request_id import hash_of_map
from support.http_api_network import FLAT, NODE, SHARD, SUBNET, call, read
from support.replica_bench import MANAGEMENT
from support.replica_http_support import (
    FIRST,
    KEYS,
    MINUTE,
    NOW,
    OTHER,
    Caller,
    FakeCanister,
    FakeModule,
    FakeSettings,
    Network,
    Nobody,
    id_of,
    url,
)

TIMESTAMPS = (b"canister_creation_timestamp", b"last_install_timestamp")

# --- read_state -----------------------------------------------------------------------------------------------------


async def refused(
    network: Network, caller: Any, paths: list[list[bytes]], version: int = 3, effective_id: bytes = FIRST
) -> tuple[int, str]:
    kind = "subnet" if effective_id == SUBNET else "canister"
    status, _, text = await network.post(
        url(version, "read_state", effective_id, kind), caller, request_type="read_state", paths=paths
    )
    return status, text.decode(errors="replace")


def canister_with(owner: bytes = b"\x04") -> FakeCanister:
    sections = {"candid:service": ("public", b"service : {}"), "secret": ("private", b"for controllers")}
    return FakeCanister(FakeSettings((owner,)), FakeModule(b"\x22" * 32, sections))


async def test_controllers_module_hash_and_public_metadata_are_for_everybody() -> None:
    async with Network() as network:
        network.subnet.canisters[FIRST] = canister_with(owner=b"\x01\x02")
        network.subnet.listeners.canister_changed(FIRST)
        canister = (b"canister", FIRST)
        paths = [[*canister, b"controllers"], [*canister, b"module_hash"], [*canister, b"metadata", b"candid:service"]]
        shown = await read(network, Nobody(), paths)
        assert cbor2.loads(shown.value(*canister, b"controllers")) == [b"\x01\x02"]
        assert shown.value(*canister, b"module_hash") == b"\x22" * 32
        assert shown.value(*canister, b"metadata", b"candid:service") == b"service : {}"
        assert shown.value(*canister, b"metadata", b"secret") is hash_tree.UNKNOWN


async def test_everybody_may_read_when_a_canister_was_created_and_got_its_code() -> None:
    created, installed = ((b"canister", FIRST, name) for name in TIMESTAMPS)
    async with Network() as network:
        shown = await read(network, Nobody(), [list(created), list(installed)])
        assert [read_leb128(shown.value(*path)) for path in (created, installed)] == [NOW - 20, NOW - 10]
        network.subnet.canisters[FIRST] = FakeCanister(module=None, installed_ns=None)
        network.subnet.listeners.canister_changed(FIRST)
        assert (await read(network, Nobody(), [list(installed)])).value(*installed) is hash_tree.ABSENT


@pytest.mark.parametrize("name", TIMESTAMPS)
async def test_timestamps_are_read_at_their_canister_only(name: bytes) -> None:
    async with Network() as network:
        for effective_id in (OTHER, SUBNET):
            assert (await refused(network, Nobody(), [[b"canister", FIRST, name]], effective_id=effective_id))[0] == 400


async def test_private_metadata_is_for_controllers_only() -> None:
    owner = Caller()
    async with Network() as network:
        network.subnet.canisters[FIRST] = canister_with(owner.principal)
        network.subnet.listeners.canister_changed(FIRST)
        path = [b"canister", FIRST, b"metadata", b"secret"]
        assert (await read(network, owner, [path])).value(*path) == b"for controllers"
        status, text = await refused(network, Caller(), [path])
        assert status == 403
        assert "secret" in text


async def test_what_a_canister_does_not_have_is_provably_absent() -> None:
    async with Network() as network:
        network.subnet.canisters[FIRST].module = None
        network.subnet.listeners.canister_changed(FIRST)
        path = [b"canister", FIRST, b"module_hash"]
        assert (await read(network, Nobody(), [path])).value(*path) is hash_tree.ABSENT
        nowhere = [b"canister", OTHER, b"controllers"]
        assert (await read(network, Nobody(), [nowhere], effective_id=OTHER)).value(*nowhere) is hash_tree.ABSENT
        unknown = [b"request_status", b"\x07" * 32, b"status"]
        assert (await read(network, Nobody(), [unknown])).value(*unknown) is hash_tree.ABSENT


@pytest.mark.parametrize(
    "path",
    [
        [b"canister", FIRST],
        [b"canister", FIRST, b"certified_data"],
        [b"canister", OTHER, b"controllers"],
        [b"canister", FIRST, b"metadata", b"\xff\xfe"],
        [b"canister_ranges", SUBNET],
        [b"request_status", b"\x01" * 32, b"nonsense"],
        [b"request_status", b"\x01" * 32, b"status", b"deeper"],
        [b"subnet", SUBNET, b"metrics"],
        [b"subnet", SUBNET, b"canister_ranges"],
        [b"time", b"deeper"],
        [b"elsewhere"],
        [],
    ],
)
async def test_paths_that_are_nobodys_business_are_refused(path: list[bytes]) -> None:
    async with Network() as network:
        status, text = await refused(network, Nobody(), [path])
        assert status == 400
        assert len(text) > 20


async def test_a_requests_status_is_for_its_sender_at_its_canister_only() -> None:
    sender = Caller()
    async with Network() as network:
        await call(network, sender, arg=b"mine")
        request_id = id_of(sender, request_type="call", method_name="append", arg=b"mine")
        path = [b"request_status", request_id, b"reply"]
        assert (await read(network, sender, [path])).value(*path) == b"mine"
        assert (await refused(network, Caller(), [path]))[0] == 403
        assert (await refused(network, Nobody(), [path]))[0] == 403
        assert (await refused(network, sender, [path], effective_id=OTHER))[0] == 403


async def test_one_read_is_about_one_request() -> None:
    async with Network() as network:
        paths = [[b"request_status", bytes([number]) * 32] for number in (1, 2)]
        assert (await refused(network, Nobody(), paths))[0] == 400


async def test_the_number_and_depth_of_paths_is_limited() -> None:
    async with Network() as network:
        await read(network, Nobody(), [[b"time"]] * 1000)
        assert (await refused(network, Nobody(), [[b"time"]] * 1001))[0] == 400
        assert (await refused(network, Nobody(), [[b"subnet"] * 128]))[0] == 400


async def test_the_subnet_shows_its_keys_nodes_and_ranges() -> None:
    async with Network() as network:
        shown = await read(network, Nobody(), [[b"subnet"]])
        assert shown.value(b"subnet", SUBNET, b"public_key") == KEYS.subnet.public_key
        assert shown.value(b"subnet", SUBNET, b"type") == b"application"
        assert shown.value(b"subnet", SUBNET, b"node", NODE, b"public_key") == KEYS.node.public_key
        assert shown.value(b"subnet", SUBNET, b"canister_ranges") is hash_tree.UNKNOWN
        older = await read(network, Nobody(), [[b"subnet"]], version=2)
        assert isinstance(older.value(b"subnet", SUBNET, b"canister_ranges"), bytes)


async def test_metrics_and_ranges_are_read_at_the_subnets_endpoint() -> None:
    async with Network() as network:
        paths = [[b"subnet", SUBNET], [b"canister_ranges", SUBNET]]
        shown = await read(network, Nobody(), paths, effective_id=SUBNET)
        metrics = cbor2.loads(shown.value(b"subnet", SUBNET, b"metrics"))
        assert metrics == {0: 1, 1: 1000, 2: {0: 7, 1: 5}, 3: 0}
        assert isinstance(shown.value(*SHARD), bytes)
        for layout in (FLAT, SHARD):
            assert hash_tree.lookup_path(shown.delegation, layout) is hash_tree.UNKNOWN


async def test_another_subnet_is_not_served_here() -> None:
    async with Network() as network:
        path = url(3, "read_state", KEYS.root.principal, "subnet")
        answer = await network.post(path, Nobody(), request_type="read_state", paths=[[b"time"]])
        assert answer[0] == 400


def delegated(to: Caller, root: Caller, targets: list[bytes] | None, expiration: int = NOW + 60 * MINUTE) -> Caller:
    delegation: dict[str, Any] = {"pubkey": to.public_key, "expiration": expiration}
    if targets is not None:
        delegation["targets"] = targets
    signature = root.secret.sign(DELEGATION_DOMAIN + hash_of_map(delegation))
    link = {"delegation": delegation, "signature": signature}
    return Caller(to.secret, [link], root.public_key)


async def test_a_session_key_acts_for_the_user_within_its_targets() -> None:
    root = Caller()
    session = delegated(Caller(), root, [FIRST])
    async with Network() as network:
        network.subnet.canisters[OTHER] = FakeCanister()
        await call(network, session)
        for content in (
            {"request_type": "call", "method_name": "append"},
            {"request_type": "query", "method_name": "read"},
        ):
            version, operation = (4, "call") if content["request_type"] == "call" else (3, "query")
            answer = await network.post(url(version, operation, OTHER), session, canister_id=OTHER, **content)
            assert answer[0] == 400
            assert b"targets" in answer[2]


async def test_delegation_targets_limit_reads_of_requests_only() -> None:
    session = delegated(Caller(), Caller(), [OTHER])
    async with Network() as network:
        module_hash = (b"canister", FIRST, b"module_hash")
        shown = await read(network, session, [[b"canister", FIRST, b"controllers"], list(module_hash)])
        assert len(shown.value(*module_hash)) == 32
        for effective_id in (OTHER, SUBNET):
            shown = await read(network, session, [[b"subnet"], [b"time"]], effective_id=effective_id)
            assert read_leb128(shown.value(b"time")) == NOW
        unknown = (b"request_status", b"\x07" * 32)  # no such request, so no such canister
        assert (await read(network, session, [list(unknown)])).value(*unknown) is hash_tree.ABSENT


@pytest.mark.parametrize(
    ("targets", "expected"), [([FIRST], 200), ([MANAGEMENT, FIRST], 200), ([OTHER], 403), ([MANAGEMENT], 403)]
)
async def test_targets_include_the_canister_of_the_request_whose_status_is_read(
    targets: list[bytes], expected: int
) -> None:
    root, key = Caller(), Caller()
    async with Network() as network:
        await call(network, delegated(key, root, [FIRST]), arg=b"mine")
        request_id = id_of(delegated(key, root, None), request_type="call", method_name="append", arg=b"mine")
        status, text = await refused(network, delegated(key, root, targets), [[b"request_status", request_id]])
        assert status == expected
        assert ("targets" in text) == (expected == 403)


@pytest.mark.parametrize(("targets", "expected"), [([MANAGEMENT], 200), ([FIRST], 403)])
async def test_for_a_management_call_targets_include_the_management_canister_not_the_effective_id(
    targets: list[bytes], expected: int
) -> None:
    root, key = Caller(), Caller()
    content = {"request_type": "call", "canister_id": MANAGEMENT, "method_name": "append", "arg": b"mine"}
    async with Network() as network:
        session = delegated(key, root, [MANAGEMENT])
        assert (await network.post(url(4, "call"), session, **content))[0] == 200
        path = [b"request_status", id_of(session, **content)]
        assert (await refused(network, delegated(key, root, targets), [path]))[0] == expected


async def test_an_expired_delegation_is_refused() -> None:
    session = delegated(Caller(), Caller(), None, expiration=NOW - 1)
    async with Network() as network:
        answer = await network.post(url(4, "call"), session, request_type="call", method_name="append")
        assert answer[0] == 400


async def test_certificates_stay_recent_without_traffic_and_never_go_back() -> None:
    async with Network() as network:
        first = (await read(network, Nobody(), [[b"time"]])).value(b"time")
        network.now_ns += 2 * 10**9
        later = (await read(network, Nobody(), [[b"time"]])).value(b"time")
        assert read_leb128(later) - read_leb128(first) == 2 * 10**9
        network.now_ns -= 60 * 10**9  # the machine's clock is set back
        await call(network, Caller())
        assert read_leb128((await read(network, Nobody(), [[b"time"]])).value(b"time")) >= read_leb128(later)


async def test_a_pruned_request_is_absent_again() -> None:
    caller = Caller()
    async with Network() as network:
        await call(network, caller, arg=b"old")
        request_id = id_of(caller, request_type="call", method_name="append", arg=b"old")
        network.subnet.set_status(request_id, None)
        shown = await read(network, Nobody(), [[b"request_status", request_id]])
        assert hash_tree.lookup_subtree(shown.tree, [b"request_status", request_id]) is hash_tree.ABSENT


async def test_what_the_subnet_forgot_a_moment_ago_is_still_for_its_sender_only() -> None:
    sender = Caller()
    async with Network() as network:
        contents = [{"request_type": "call", "method_name": "append", "arg": b"%d" % number} for number in range(8)]
        for content in contents:
            await call(network, sender, arg=content["arg"])
        ids = [id_of(sender, **content) for content in contents]
        paths = [[b"request_status", request_id, b"reply"] for request_id in ids]

        def left() -> list[list[bytes]]:
            network.view.certify()
            return [path for path in paths if network.view.status_shown(path[1]) is not None]

        for request_id in ids[:2]:
            network.subnet.set_status(request_id, None)
        assert left() == paths, "the few that are forgotten are still there"
        for path in paths:
            shown = (await read(network, sender, [path])).value(*path)
            assert shown == b"01234567"[: 1 + paths.index(path)]
            assert (await refused(network, Caller(), [path]))[0] == 403
        for request_id in ids[2:6]:
            network.subnet.set_status(request_id, None)
        assert paths[6:] == left()[-2:]
        assert len(left()) < 8, "some go when there are many"


async def test_a_deleted_canister_is_absent_again() -> None:
    async with Network() as network:
        path = [b"canister", FIRST, b"controllers"]
        assert isinstance((await read(network, Nobody(), [path])).value(*path), bytes)
        del network.subnet.canisters[FIRST]
        network.subnet.listeners.canister_changed(FIRST)
        assert (await read(network, Nobody(), [path])).value(*path) is hash_tree.ABSENT
