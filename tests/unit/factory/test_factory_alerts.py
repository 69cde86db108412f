"""Which notifications are sent, in which order, and what is said in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canister_factory.contract.admin_models import Notification, NotificationKind, NotificationPage, NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.alert_state import AlertState
from canister_factory.factory.alerts import SENTENCES, Alerts
from canister_factory.factory.errors import AlertStateError, WebhookError
from canister_factory.factory.webhook import Webhook
from support.backend_script import BACKEND, OWNER, BackendScript, Clock
from support.webhook_server import SECRET, Receiver, webhook_server

SECOND_NS = 10**9


def notification(number: int, kind: NotificationKind = NotificationKind.CreationFailed, **fields: Any) -> Notification:
    return Notification(id=number, at=number * SECOND_NS, kind=kind, message="a canister said: SECRET", **fields)


class Scripted(BackendScript):
    """A backend with notifications, two on a page."""

    def __init__(self, *kept: Notification) -> None:
        self.kept = list(kept)

    async def list_notifications(self, page: NumberedPageRequest) -> NotificationPage:
        newest = sorted(self.kept, key=lambda one: -one.id)
        older = [one for one in newest if page.after is None or one.id < page.after]
        return NotificationPage(items=older[:2], next=older[1].id if len(older) > 2 else None)


class World:
    """A backend, a receiver, and a file that remembers."""

    def __init__(self, receiver: Receiver, path: Path) -> None:
        self.receiver = receiver
        self.path = path
        self.script = Scripted()

    async def send(self) -> list[int]:
        """What a sender that starts now sends: the notifications' ids."""
        agent: Any = self.script
        webhook = Webhook(self.receiver.url, SECRET, sleep=Clock().sleep)
        sender = Alerts(BackendClient(agent, BACKEND), webhook, AlertState(self.path))
        return [sent.id async for sent in sender.send()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with webhook_server() as receiver:
        yield World(receiver, tmp_path / "state.json")


async def test_all_are_sent_once_the_oldest_first_also_over_restarts(world: World) -> None:
    world.script.kept = [notification(number) for number in range(1, 6)]
    assert await world.send() == [1, 2, 3, 4, 5]
    assert await world.send() == []
    world.script.kept.append(notification(6))
    assert await world.send() == [6]
    assert [got.data["id"] for got in world.receiver.received] == [1, 2, 3, 4, 5, 6]
    assert all(got.is_signed for got in world.receiver.received)


async def test_a_message_says_what_and_about_whom_and_nothing_that_others_wrote(world: World) -> None:
    world.script.kept = [
        notification(1, NotificationKind.CanisterExpires, subject=OWNER, until=86_400 * SECOND_NS),
        notification(2, NotificationKind.ReserveWarning),
    ]
    await world.send()
    first, second = world.receiver.received
    assert first.json == {
        "type": "canister_factory.notification",
        "timestamp": "1970-01-01T00:00:01.000000000Z",
        "data": {
            "backend": str(BACKEND),
            "id": 1,
            "kind": "CanisterExpires",
            "subject": str(OWNER),
            "paid_until": "1970-01-02T00:00:00.000000000Z",
            "text": SENTENCES[NotificationKind.CanisterExpires],
        },
    }
    assert (second.data["subject"], second.data["paid_until"]) == (None, None)
    assert b"SECRET" not in first.body + second.body


def test_every_kind_has_a_sentence() -> None:
    assert set(SENTENCES) == set(NotificationKind)


async def test_what_an_admin_has_seen_is_not_sent(world: World) -> None:
    world.script.kept = [notification(1, acknowledged_by=OWNER), notification(2)]
    assert await world.send() == [2]


async def test_what_is_not_taken_is_the_first_of_the_next_time(world: World) -> None:
    world.script.kept = [notification(number) for number in (1, 2, 3)]
    world.receiver.answers = [204, 404]
    with pytest.raises(WebhookError, match="answered HTTP 404"):
        await world.send()
    assert await world.send() == [2, 3]
    ids = [got.headers["webhook-id"] for got in world.receiver.received]
    assert ids[1] == ids[2], "a receiver can tell that it got the second one before"
    assert len(set(ids)) == 3


async def test_a_backend_that_was_installed_anew_counts_anew(world: World) -> None:
    world.script.kept = [notification(number) for number in range(1, 5)]
    await world.send()
    world.script.kept = [notification(1).model_copy(update={"at": 100 * SECOND_NS})]
    assert await world.send() == [1]
    ids = [got.headers["webhook-id"] for got in world.receiver.received]
    assert ids[0] != ids[-1]


async def test_what_was_sent_last_may_be_forgotten_by_the_backend(world: World) -> None:
    world.script.kept = [notification(number) for number in range(1, 5)]
    await world.send()
    world.script.kept = [notification(number) for number in range(8, 11)]
    assert await world.send() == [8, 9, 10]


async def test_what_can_not_be_remembered_ends_the_sending(world: World) -> None:
    world.script.kept = [notification(1), notification(2)]
    world.path = world.path.parent / "gone" / "state.json"
    with pytest.raises(AlertStateError):
        await world.send()
    assert len(world.receiver.received) == 1, "else each round would send everything again"
