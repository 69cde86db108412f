"""Warnings at their dates, by time travel over HTTP: 90, 30 and 7 days before the cycles end, up to a webhook."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.contract.clients import BackendClient
from canister_factory.factory.alert_state import AlertState
from canister_factory.factory.alerts import Alerts
from canister_factory.factory.webhook import Webhook
from canister_factory.ic.agent import CallerIdentity
from canister_factory.testing import EmbeddedReplica
from support.creation_world import World
from support.webhook_server import SECRET, webhook_server

DAY_NS = 86_400 * 10**9


async def test_a_year_passes_and_each_warning_comes_at_its_date(
    world: World, own_replica: EmbeddedReplica | None, tmp_path: Path
) -> None:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    replica = own_replica
    await world.create()
    creation = await world.creation()
    until = creation.paid_until
    assert until is not None
    assert creation.canister_id is not None
    assert abs(until - replica.clock() - 365 * DAY_NS) < 60 * DAY_NS, "a canister is paid for a year, or a bit more"

    def backend(identity: CallerIdentity) -> BackendClient:
        """With the network's time."""
        return BackendClient(world.agent(identity, clock_ns=replica.clock), world.backend_id)

    marks: list[int | None] = []
    sent: list[int] = []
    with webhook_server() as receiver:
        for half_days in (184, 179, 63, 59, 17, 13, 5):
            replica.advance((until - half_days * DAY_NS // 2 - replica.clock()) / 10**9)
            status = await backend(world.owner.identity).get_detailed_creation_status()
            assert status is not None
            marks.append(status.expires_within_days)
            replica.advance(86_400)  # the backend looks once a day
            webhook = Webhook(receiver.url, SECRET)
            sender = Alerts(backend(world.operator.identity), webhook, AlertState(tmp_path / "sent.json"))
            sent.append(len([one async for one in sender.send()]))
    assert marks == [None, 90, 90, 30, 30, 7, 7]
    assert sent == [0, 1, 0, 1, 0, 1, 0]
    assert receiver.kinds == ["CanisterExpires"] * 3
    assert {got.data["subject"] for got in receiver.received} == {str(creation.canister_id)}
    assert all(got.is_signed for got in receiver.received)
