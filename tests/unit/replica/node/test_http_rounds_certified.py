"""What a round leaves in the certified state, and in the certificates of its calls."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.ic import hash_tree
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.replica.node.certification import RangesLayout
from canister_factory.replica.node.requests_tree import RequestsTree
from support.replica_http_support import (
    FIRST,
    KEYS,
    MINUTE,
    Caller,
    FakeModule,
    Network,
    decoded,
    id_of,
    settle,
    shown,
    url,
)


async def test_reads_beside_a_call_get_a_recent_state_that_has_all_durable_changes() -> None:
    async with Network() as network:
        await settle()
        (canister_id,) = network.subnet.canisters
        network.subnet.canisters[canister_id].certified_data = b"set by a timer"
        network.subnet.listeners.canister_changed(canister_id)
        network.now_ns += 2 * MINUTE
        call = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
        await asyncio.sleep(0)
        assert network.subnet.queue, "taken, but not yet executed"
        path = (b"canister", canister_id, b"certified_data")
        assert hash_tree.lookup_path(shown(network, path), path) == hash_tree.Found(b"set by a timer")
        assert network.view.current().time_ns == network.now_ns
        await call


async def test_certified_data_changes_do_not_hash_the_metadata_again() -> None:
    async with Network() as network:
        (canister_id,) = network.subnet.canisters
        canister = network.subnet.canisters[canister_id]
        canister.module = FakeModule(custom_sections={"candid:service": ("public", b"service : {}")})
        network.subnet.listeners.canister_changed(canister_id)
        first = network.view.certify().root.digest()
        canister.certified_data = b"changed"
        network.subnet.listeners.canister_changed(canister_id)
        assert network.view.certify().root.digest() != first
        canister.certified_data = b""
        network.subnet.listeners.canister_changed(canister_id)
        assert network.view.certify().root.digest() == first


async def test_a_calls_certificate_needs_no_nodes_of_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(RequestsTree, "opened", lambda tree, labels: opened.append(labels))
    async with Network() as network:
        for number in range(20):
            answer = await network.post(
                url(4, "call"), Caller(), request_type="call", method_name="append", arg=b"%d" % number
            )
            assert decoded(answer)["status"] == "replied"
    assert opened == []


async def test_a_state_gives_no_certificate_once_the_tree_has_changed() -> None:
    async with Network() as network:
        await settle()
        former = network.view.current()
        await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        with pytest.raises(RuntimeError, match="superseded"):
            former.certificate([(b"time",)], RangesLayout.NONE)


async def test_what_is_around_the_requests_is_the_same_in_their_certificates_of_one_state() -> None:
    async with Network() as network:
        content = {"request_type": "call", "method_name": "append"}
        callers = [Caller() for _ in range(3)]
        await asyncio.gather(*(network.post(url(4, "call"), caller, **content) for caller in callers))
        state = network.view.current()
        for layout in (RangesLayout.SHARDED, RangesLayout.FLAT, RangesLayout.NONE):
            for request_id in [id_of(caller, **content) for caller in callers]:
                whole = state.certificate([(b"request_status", request_id)], layout)
                assert state.certificate_of_request(request_id, layout) == whole
        unknown = bytes(32)
        assert state.certificate_of_request(unknown, RangesLayout.NONE) == state.certificate(
            [(b"request_status", unknown)], RangesLayout.NONE
        )


async def test_an_answer_is_shown_though_it_comes_after_the_time_of_its_request() -> None:
    """Time may be moved while somebody waits: others, that expired no earlier, are forgotten by then."""
    async with Network(sync_call_timeout_s=60) as network:
        caller = Caller()
        others = [{"request_type": "call", "method_name": "append", "arg": b"%d" % number} for number in range(2)]
        await network.post(url(4, "call"), caller, **others[0])
        late = {"request_type": "call", "method_name": "later", "arg": b""}
        call = asyncio.create_task(network.post(url(4, "call"), caller, **late))
        while not network.subnet.held:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
        network.subnet.set_status(id_of(caller, **others[0]), None)
        network.rounds.tick()
        network.subnet.release()
        await network.post(url(2, "call"), caller, **others[1])  # is executed in the same round
        network.rounds.tick()
        certificate = CertificateVerifier(KEYS.root.public_key).verify(
            decoded(await call)["certificate"], now_ns=network.now_ns, canister_id=FIRST
        )
        assert certificate.value((b"request_status", id_of(caller, **late), b"reply")) == b"released"
