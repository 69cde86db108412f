"""The HTTP interface over bytes: what a client sends and what it gets to see, without sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.candid.principal import Principal
from canister_factory.ic import hash_tree
from canister_factory.ic.cbor import dumps
from canister_factory.ic.request_id import hash_of_map
from canister_factory.replica.node.routes import route_of
from support.http_api_network import FLAT, NODE, SHARD, SUBNET, call, read, verified
from support.replica_bench import management_argument
from support.replica_http_support import (
    FIRST,
    KEYS,
    LAST,
    MINUTE,
    NOW,
    OTHER,
    Caller,
    Network,
    Nobody,
    decoded,
    envelope,
    id_of,
    url,
)

plain = st.none() | st.booleans() | st.integers(-5, 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=30)
names = st.sampled_from(
    ["content", "sender_pubkey", "sender_sig", "sender_delegation", "request_type", "sender", "ingress_expiry", "paths"]
)
cbor_values = st.recursive(
    plain | st.sampled_from(["call", "query", "read_state"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=15,
)


# --- status and topology --------------------------------------------------------------------------------------------


async def test_status_gives_the_root_key_and_says_healthy() -> None:
    status = decoded(await Network().api.handle("GET", "/api/v2/status", b""))
    assert status["root_key"] == KEYS.root.public_key
    assert len(status["root_key"]) == 133
    assert status["replica_health_status"] == "healthy"


async def test_topology_names_the_effective_canister_id_for_new_canisters() -> None:
    status, content_type, body = await Network().api.handle("GET", "/_/topology", b"")
    assert (status, content_type) == (200, "application/json")
    topology = json.loads(body)
    assert base64.b64decode(topology["default_effective_canister_id"]["canister_id"]) == FIRST
    (config,) = topology["subnet_configs"].values()
    assert base64.b64decode(config["canister_ranges"][0]["end"]["canister_id"]) == LAST


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/api/v9/canister/aaaaa-aa/call", 404),
        ("POST", "/api/v4/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/query", 404),
        ("GET", "/api/v4/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/call", 405),
        ("POST", "/api/v2/status", 405),
        ("POST", "/api/v4/canister/not-a-principal/call", 400),
        ("POST", "/api/v4/canister/aaaaa-aa/call", 400),
    ],
)
async def test_what_is_no_endpoint_is_refused_with_its_own_status(method: str, path: str, status: int) -> None:
    answer = await Network().api.handle(method, path, b"")
    assert answer[0] == status
    assert len(answer[2]) > 20, "a text says why"


# --- calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 4])
async def test_a_call_is_answered_with_a_certificate_of_its_reply(version: int) -> None:
    caller = Caller()
    async with Network() as network:
        shown = await call(network, caller, version, arg=b"hello")
        request_id = id_of(caller, request_type="call", method_name="append", arg=b"hello")
        assert shown.value(b"request_status", request_id, b"status") == b"replied"
        assert shown.value(b"request_status", request_id, b"reply") == b"hello"
        assert shown.value(b"time") is not hash_tree.ABSENT
        assert network.subnet.persisted >= 1, "durable before it is answered"


@pytest.mark.parametrize(("version", "present", "absent"), [(3, FLAT, SHARD), (4, SHARD, FLAT)])
async def test_the_delegation_shows_the_ranges_where_the_endpoint_promises(
    version: int, present: tuple[bytes, ...], absent: tuple[bytes, ...]
) -> None:
    async with Network() as network:
        delegation = (await call(network, Caller(), version)).delegation
        ranges = hash_tree.lookup_path(delegation, present)
        assert isinstance(ranges, hash_tree.Found)
        assert any(low <= FIRST <= high for low, high in cbor2.loads(ranges.value))
        assert hash_tree.lookup_path(delegation, absent) is hash_tree.UNKNOWN


async def test_a_rejected_call_is_certified_with_code_and_message() -> None:
    caller = Caller()
    async with Network() as network:
        shown = await call(network, caller, method_name="trap")
        status = (b"request_status", id_of(caller, request_type="call", method_name="trap"))
        assert shown.value(*status, b"status") == b"rejected"
        assert shown.value(*status, b"reject_code") == b"\x05"
        assert shown.value(*status, b"reject_message") == b"trapped"
        assert shown.value(*status, b"error_code") == b"IC0503"
        assert shown.value(*status, b"reply") is hash_tree.ABSENT


async def test_a_call_that_the_canister_does_not_accept_is_refused_without_certificate() -> None:
    async with Network() as network:
        answer = decoded(await network.post(url(4, "call"), Caller(), request_type="call", method_name="refuse"))
        assert answer == {
            "status": "non_replicated_rejection",
            "reject_code": 4,
            "reject_message": "not today",
            "error_code": "IC0516",
        }
        assert network.subnet.request_statuses == {}


async def test_version_2_answers_at_once_and_the_status_is_polled() -> None:
    caller = Caller()
    async with Network() as network:
        answer = await network.post(url(2, "call"), caller, request_type="call", method_name="append", arg=b"x")
        assert answer[0] == 202
        assert answer[2] == b""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        request_id = id_of(caller, request_type="call", method_name="append", arg=b"x")
        shown = await read(network, caller, [[b"request_status", request_id]], version=2)
        assert shown.value(b"request_status", request_id, b"reply") == b"x"
        assert isinstance(hash_tree.lookup_path(shown.delegation, FLAT), hash_tree.Found)


async def test_version_2_reports_a_refusal_in_its_own_form() -> None:
    async with Network() as network:
        answer = decoded(await network.post(url(2, "call"), Caller(), request_type="call", method_name="refuse"))
        assert answer == {"reject_code": 4, "reject_message": "not today", "error_code": "IC0516"}


async def test_the_same_envelope_twice_is_executed_once_and_answered_the_same() -> None:
    caller = Caller()
    body = envelope(caller, request_type="call", method_name="append", arg=b"once ")
    async with Network() as network:
        first, second = await asyncio.gather(*(network.api.handle("POST", url(4, "call"), body) for _ in range(2)))
        third = await network.api.handle("POST", url(4, "call"), body)
        assert network.subnet.text == b"once "
        for answer in (first, second, third):
            shown = verified(decoded(answer)["certificate"])
            request_id = id_of(caller, request_type="call", method_name="append", arg=b"once ")
            assert shown.value(b"request_status", request_id, b"reply") == b"once "


async def test_calls_that_wait_together_run_in_one_round_under_one_signature() -> None:
    async with Network() as network:
        network.subnet.rounds.clear()
        answers = await asyncio.gather(
            *(
                network.post(url(4, "call"), Caller(), request_type="call", method_name="append", arg=b"%d" % number)
                for number in range(16)
            )
        )
        assert [count for count in network.subnet.rounds if count] == [16]  # the one of the start had none
        signatures = {cbor2.loads(decoded(answer)["certificate"])["signature"] for answer in answers}
        assert len(signatures) == 1
        for answer in answers:
            verified(decoded(answer)["certificate"])


async def test_who_waited_for_a_state_that_is_superseded_is_shown_the_newest() -> None:
    caller = Caller()
    async with Network() as network:
        await call(network, caller, arg=b"old")
        waited_for = network.rounds.current()
        network.now_ns += 2 * 10**9
        network.rounds.current()
        assert waited_for.superseded
        request_id = id_of(caller, request_type="call", method_name="append", arg=b"old")
        route = route_of(url(4, "call"))
        assert route is not None
        shown = verified(decoded(network.api._certified(route, request_id, waited_for))["certificate"])
        assert shown.value(b"request_status", request_id, b"reply") == b"old"


async def test_a_call_that_takes_too_long_is_answered_202_and_can_be_polled() -> None:
    caller = Caller()
    async with Network(sync_call_timeout_s=0) as network:
        answer = await network.post(url(4, "call"), caller, request_type="call", method_name="later")
        assert answer[0] == 202
        request_id = id_of(caller, request_type="call", method_name="later")
        network.subnet.release()
        shown = await read(network, caller, [[b"request_status", request_id]])
        assert shown.value(b"request_status", request_id, b"reply") == b"released"


@pytest.mark.parametrize(("version", "operation", "method"), [(4, "call", "append"), (3, "query", "read")])
async def test_a_request_above_two_mebibytes_is_refused(version: int, operation: str, method: str) -> None:
    async with Network() as network:
        content = {"request_type": operation, "method_name": method}
        overhead = len(envelope(Nobody(), **content, arg=bytes(1 << 16))) - (1 << 16)
        fits = (2 << 20) - overhead
        assert (await network.post(url(version, operation), Nobody(), **content, arg=bytes(fits)))[0] == 200
        answer = await network.post(url(version, operation), Nobody(), **content, arg=bytes(fits + 1))
        assert answer[0] == 413
        assert b"2097152" in answer[2]


async def test_a_call_to_the_subnet_may_only_create_canisters() -> None:
    async with Network(sync_call_timeout_s=0) as network:
        path = url(4, "call", SUBNET, "subnet")
        refused = await network.post(path, Caller(), request_type="call", method_name="append")
        assert refused[0] == 400
        taken = await network.post(path, Caller(), request_type="call", method_name="create_canister", canister_id=b"")
        assert taken[0] == 202
        assert len(network.subnet.request_statuses) == 1


# --- envelopes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ingress_expiry": NOW - 1}, "expiry"),
        ({"ingress_expiry": NOW + 10 * MINUTE}, "expiry"),
        ({"request_type": "query"}, "request_type"),
        ({"canister_id": OTHER}, "effective canister id"),
        ({"method_name": None}, "method_name"),
    ],
)
async def test_a_wrong_envelope_is_a_400_that_says_what_is_wrong(change: dict[str, Any], says: str) -> None:
    async with Network() as network:
        content = {"request_type": "call", "method_name": "append", **change}
        status, _, text = await network.post(url(4, "call"), Caller(), **content)
        assert status == 400
        assert says in text.decode()
        assert network.subnet.request_statuses == {}


@given(st.binary(max_size=60) | cbor_values.map(dumps), st.sampled_from(["call", "query", "read_state"]))
def test_no_body_whatsoever_is_more_than_a_400(body: bytes, operation: str) -> None:
    network = Network()
    status, _, text = asyncio.run(network.api.handle("POST", url(3, operation), body))
    assert status == 400
    assert text


async def test_bytes_that_are_no_cbor_and_signatures_that_do_not_hold_are_400() -> None:
    async with Network() as network:
        assert (await network.api.handle("POST", url(4, "call"), b"\xff\x00garbage"))[0] == 400
        body = cbor2.loads(envelope(Caller(), request_type="call", method_name="append"))
        body["content"]["arg"] = b"changed after signing"
        status, _, text = await network.api.handle("POST", url(4, "call"), dumps(body))
        assert status == 400
        assert b"signature" in text.lower()


# --- queries --------------------------------------------------------------------------------------------------------


def check_node_signature(answer: dict[str, Any], request_id: bytes) -> None:
    (signature,) = answer["signatures"]
    assert signature["identity"] == NODE
    signed = {name: value for name, value in answer.items() if name != "signatures"}
    digest = hash_of_map({**signed, "timestamp": signature["timestamp"], "request_id": request_id})
    key = load_der_public_key(KEYS.node.public_key)
    key.verify(signature["signature"], b"\x0bic-response" + digest)  # type: ignore[union-attr,call-arg]


@pytest.mark.parametrize("version", [2, 3])
async def test_a_query_is_answered_and_signed_by_the_node(version: int) -> None:
    async with Network() as network:
        network.subnet.text = b"what was written"
        answer = decoded(await network.post(url(version, "query"), Nobody(), request_type="query", method_name="read"))
        assert answer["reply"] == {"arg": b"what was written"}
        check_node_signature(answer, id_of(Nobody(), request_type="query", method_name="read"))


async def test_a_query_to_the_subnet_may_only_list_its_canisters() -> None:
    listing = {"request_type": "query", "canister_id": b"", "method_name": "list_canisters", "arg": b"DIDL\0\0"}
    async with Network() as network:
        path = url(3, "query", SUBNET, "subnet")
        answer = decoded(await network.post(path, Caller(), **listing))
        assert answer["reply"] == {"arg": b"the canisters"}
        for other in ({"method_name": "canister_status"}, {"canister_id": FIRST}):
            assert (await network.post(path, Caller(), **{**listing, **other}))[0] == 400
        assert (await network.post(url(3, "query", KEYS.root.principal, "subnet"), Caller(), **listing))[0] == 400
        assert (await network.post(url(2, "query", SUBNET, "subnet"), Caller(), **listing))[0] == 404
        assert decoded(await network.post(url(3, "query", OTHER), Caller(), **listing))["status"] == "replied"


async def test_a_query_about_a_canister_is_sent_to_it() -> None:
    arg = management_argument("canister_status", {"canister_id": Principal(OTHER)})
    content = {"request_type": "query", "canister_id": b"", "method_name": "canister_status", "arg": arg}
    async with Network() as network:
        refused = await network.post(url(3, "query", FIRST), Caller(), **content)
        assert refused[0] == 400
        assert b"effective canister id" in refused[2]
        assert (await network.post(url(3, "query", OTHER), Caller(), **content))[0] == 200
        unreadable = await network.post(url(3, "query", FIRST), Caller(), **{**content, "arg": b"no Candid"})
        assert decoded(unreadable)["status"] == "rejected"


async def test_a_rejected_query_is_signed_too() -> None:
    async with Network() as network:
        answer = decoded(await network.post(url(3, "query"), Nobody(), request_type="query", method_name="missing"))
        assert (answer["status"], answer["reject_code"], answer["error_code"]) == ("rejected", 5, "IC0536")
        check_node_signature(answer, id_of(Nobody(), request_type="query", method_name="missing"))


async def test_a_canister_gets_a_certificate_of_its_certified_data_in_queries() -> None:
    async with Network() as network:
        network.subnet.canisters[FIRST].certified_data = sha256(b"manifest").digest()
        network.subnet.listeners.canister_changed(FIRST)
        answer = decoded(await network.post(url(3, "query"), Nobody(), request_type="query", method_name="certificate"))
        shown = verified(answer["reply"]["arg"])
        assert shown.value(b"canister", FIRST, b"certified_data") == sha256(b"manifest").digest()
        for layout in (FLAT, SHARD):
            assert isinstance(hash_tree.lookup_path(shown.delegation, layout), hash_tree.Found)
