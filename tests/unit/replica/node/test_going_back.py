"""What clients see when the subnet goes back to an earlier state."""

from __future__ import annotations

import asyncio

import cbor2
import pytest

from canister_factory.candid import leb128
from canister_factory.ic import hash_tree
from canister_factory.ic.certificate import Certificate, CertificateVerifier
from canister_factory.replica.node.certification import RangesLayout
from canister_factory.replica.node.round_failed import RoundFailedError
from support.replica_http_support import FIRST, KEYS, MINUTE, NOW, Caller, Network, decoded, id_of, shown, url

DAY = 24 * 60 * MINUTE


async def test_nobody_waits_for_a_call_that_is_undone() -> None:
    async with Network(sync_call_timeout_s=60) as network:
        caller = Caller()
        kept = {"request_type": "call", "method_name": "later", "arg": b"kept"}
        undone = {"request_type": "call", "method_name": "later", "arg": b"undone"}
        calls = [asyncio.create_task(network.post(url(4, "call"), caller, **each)) for each in (kept, undone)]
        while len(network.subnet.held) < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
        before = len(network.subnet.rounds)
        network.rounds.went_back({id_of(caller, **kept)})
        status, _, _ = await calls[1]
        assert status == 202
        async with asyncio.timeout(10):  # a round finds out when the next one is due
            while len(network.subnet.rounds) == before:  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0)
        assert not calls[0].done()
        network.subnet.release()
        network.rounds.tick()
        assert decoded(await calls[0])["status"] == "replied"


async def test_a_round_on_demand_that_fails_says_so_and_is_the_last() -> None:
    async with Network() as network:
        network.subnet.broken = True
        with pytest.raises(RoundFailedError, match="restart the replica"):
            network.rounds.tick()
        network.subnet.broken = False
        with pytest.raises(RoundFailedError, match="restart the replica"):
            network.rounds.tick()


def test_certificates_follow_the_clock_back_and_stay_valid() -> None:
    """Their own time, and that of the delegation, which was made anew in the future."""
    network = Network()
    verifier = CertificateVerifier(KEYS.root.public_key)

    def certified() -> Certificate:
        data = network.view.current().certificate([[b"subnet"]], RangesLayout.BOTH)
        return verifier.verify(data, now_ns=network.now_ns, canister_id=FIRST)

    def messages() -> int:
        metrics = certified().value((b"subnet", KEYS.subnet.principal, b"metrics"))
        assert metrics is not None
        return int(cbor2.loads(metrics)[3])

    network.now_ns += 30 * DAY
    assert certified().time_ns == NOW + 30 * DAY
    network.now_ns = NOW + MINUTE
    network.subnet.executed_messages = 77
    network.view.rewind()
    assert certified().time_ns == NOW + MINUTE
    delegation = cbor2.loads(network.view.current().certificate([], RangesLayout.NONE))["delegation"]
    assert leb128.unsigned(NOW + MINUTE) in delegation["certificate"], "made at the time to which the clock went back"
    assert messages() == 77


async def test_what_was_forgotten_is_not_shown_any_more_where_it_had_not_come_yet() -> None:
    async with Network() as network:
        caller, later = Caller(), b"the future's"
        contents = [{"request_type": "call", "method_name": "append", "arg": b"%d" % number} for number in range(6)]
        for content in [{**contents[0], "arg": later}, *contents]:
            await network.post(url(4, "call"), caller, **content)
        forgotten = id_of(caller, **{**contents[0], "arg": later})
        network.subnet.set_status(forgotten, None)
        network.view.certify()
        assert network.view.status_shown(forgotten) is not None
        undone, *kept = [id_of(caller, **content) for content in contents]
        network.subnet.set_status(undone, None)
        network.view.rewind()
        assert network.view.status_shown(forgotten) is None
        assert network.view.status_shown(undone) is None
        assert all(network.view.status_shown(request_id) for request_id in kept)
        path = (b"request_status", forgotten)
        assert hash_tree.lookup_subtree(shown(network, path), path) is hash_tree.ABSENT
        before = len(network.view._requests)
        network.subnet.set_status(kept[0], None)
        network.view.rewind()
        assert len(network.view._requests) == before - 1, "undone, not only forgotten"
