"""A backend's notifications for its admins, sent to a webhook: each once, in their order, none left out.

Owns which are sent and what a message says. Does not own: what admins are notified of (the backend), the delivery
(`webhook`), and the memory of what was sent (`alert_state`). Nothing is acknowledged by it: that is for people.

A message has the notification's own fields and a sentence that is ours for its kind: the notification's text may quote
what a canister said, and stays on the backend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from canister_factory.candid.binding import rfc3339
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import Notification, NotificationKind, NotificationPage, NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.pages import Kept, pages
from canister_factory.factory.alert_state import AlertState, Sent
from canister_factory.factory.webhook import Webhook

TYPE: Final = "canister_factory.notification"

SENTENCES: Final = {
    NotificationKind.ReserveWarning: "The reserve is under its threshold. 'canister-factory reserve status' says how "
    "much to add.",
    NotificationKind.ReserveCritical: "The reserve is at half of its threshold or less. 'canister-factory reserve "
    "status' says how much to add.",
    NotificationKind.CreationFailed: "The creation of an owner's personal canister failed. 'canister-factory admin "
    "errors' says why.",
    NotificationKind.DepositUnknown: "It is not known whether a personal canister got the cycles of its completion. "
    "'canister-factory admin notifications' says more.",
    NotificationKind.CanisterExpires: "The cycles of a personal canister end soon. 'canister-factory fleet' lists all "
    "of them by date.",
}


class Alerts:
    """The notifications of one backend, for one webhook. The caller must be of the backend's staff."""

    def __init__(self, backend: BackendClient, webhook: Webhook, state: AlertState) -> None:
        self._backend = backend
        self._webhook = webhook
        self._state = state

    def __repr__(self) -> str:
        return f"Alerts({self._backend.canister_id}, {self._webhook})"

    async def send(self) -> AsyncIterator[Notification]:
        """Sends what wasn't sent yet, the oldest first, and gives each once it is taken and on record.

        The first that isn't taken ends it: it is the first of the next time.

        Raises:
            WebhookError: the webhook doesn't take one.
            AlertStateError: what was sent can't be remembered.
            CreationRefused: the caller is neither operator nor admin.
            ContractError, IcError: the notifications can't be listed.
        """
        for notification in await self.waiting():
            backend = self._backend.canister_id
            await self._webhook.send(message_id(backend, notification), message(backend, notification))
            self._state.remember(backend, Sent(id=notification.id, at=notification.at))
            yield notification

    async def waiting(self) -> list[Notification]:
        """What is to be sent, the oldest first: after the last one that was sent, and acknowledged by nobody.

        Raises:
            CreationRefused: the caller is neither operator nor admin.
            ContractError, IcError: the notifications can't be listed.
        """
        last = self._state.last(self._backend.canister_id)
        newer: list[Notification] = []

        async def fetch(after: int | None) -> NotificationPage:
            return await self._backend.list_notifications(NumberedPageRequest(after=after))

        # Ids fall from page to page; the backend keeps 10,000.
        async for page in pages(fetch, Kept("the list of notifications", rank=_falling)):
            for notification in page.items:
                if last is not None and notification.id == last.id and notification.at == last.at:
                    return _unseen(newer)
                if last is None or notification.at >= last.at:
                    newer.append(notification)
        # The last one was forgotten, or the backend was installed anew: what is older than it was sent nevertheless.
        return _unseen(newer)


def message_id(backend: Principal, notification: Notification) -> str:
    """What a receiver tells a repetition by."""
    return f"{backend}-{notification.id}-{notification.at}"


def message(backend: Principal, notification: Notification) -> dict[str, Any]:
    """What is sent of a notification. Times are RFC 3339, ids of canisters and owners their principals."""
    return {
        "type": TYPE,
        "timestamp": rfc3339(notification.at),
        "data": {
            "backend": str(backend),
            "id": notification.id,
            "kind": str(notification.kind),
            "subject": None if notification.subject is None else str(notification.subject),
            "paid_until": None if notification.until is None else rfc3339(notification.until),
            "text": SENTENCES[notification.kind],
        },
    }


def _unseen(newest_first: list[Notification]) -> list[Notification]:
    return [notification for notification in reversed(newest_first) if notification.acknowledged_by is None]


def _falling(item: Notification | int) -> int:
    return -(item if isinstance(item, int) else item.id)
