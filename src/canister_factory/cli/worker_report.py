"""What `worker` shows of several creations at once: lines for people, one event a line as JSON.

Owns the words and the counts. Does not own: the loop (`factory.worker`), and how a single creation looks (`progress`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.cli import logs, output, quantities, settings
from canister_factory.cli.failures import context_of, words_of
from canister_factory.cli.outcomes import outcome_fields
from canister_factory.cli.progress import EventLines, step
from canister_factory.cli.worker_standing import Standing
from canister_factory.contract.admin_models import Notification
from canister_factory.factory.events import Claimed, Event, Transferred
from canister_factory.factory.outcome import Outcome

_PROGRESS_SECONDS = 1.0


class Report:
    """Shows the events of all creations, each with its owner. `explain` may add notes to an error."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, explain: Callable[[Exception], None] = lambda error: None
    ) -> None:
        self.completed = 0
        self.failed = 0
        self._clock = clock
        self._shown_at: dict[Principal, float] = {}
        self._explain = explain

    def event(self, event: Event) -> None:
        """The orchestrator's hook."""
        if isinstance(event, Claimed):
            # The task that claims a creation, and all tasks that it starts, work for one owner.
            logs.OWNER.set(event.owner)
        owner = logs.OWNER.get()
        if settings.current().json:
            if not (isinstance(event, Transferred) and self._was_shown(owner)):
                _line({"event": type(event).__name__, "owner": owner, **_plain_fields(event)})
        elif isinstance(event, Claimed):
            step(f"{_name(owner)}: claimed at {event.status}")
        else:
            EventLines(lambda count: None, lambda message: step(f"{_name(owner)}: {message}"))(event)

    def finished(self, owner: Principal, result: Outcome | Exception) -> None:
        """The worker's hook."""
        if isinstance(result, Outcome):
            self.completed += 1
            summary, detail = f"completed, canister {result.creation.canister_id}", outcome_fields(result)
        else:
            self.failed += 1
            self._explain(result)
            summary = f"failed: {words_of(result)}"
            detail = {
                "kind": type(result).__name__,
                "message": words_of(result),
                "context": context_of(result),
                "retry_helps": getattr(result, "retry_helps", False),
            }
        if settings.current().json:
            _line({"event": "Completed" if isinstance(result, Outcome) else "Failed", "owner": owner, **detail})
        else:
            step(f"{output.ident(owner)}: {summary}")

    def back(self, seconds: float) -> None:
        """The network answers again, after so many seconds."""
        if settings.current().json:
            _line({"event": "BackAgain", "seconds": round(seconds, 1)})
        else:
            step(f"back again after {quantities.duration(seconds)}: the network answers")

    def alerted(self, notification: Notification) -> None:
        """The webhook took a notification."""
        if settings.current().json:
            _line({"event": "Alerted", **sent_fields(notification)})
        else:
            step(f"sent to the webhook: notification {notification.id}, {notification.kind}")

    def idle(self, standing: Standing) -> None:
        """A sign of life from a worker that runs nothing: what it waits for, and what there is."""
        reserve = None if standing.look is None else standing.look.reserve
        days = None if standing.look is None else standing.look.reserve_days
        if not settings.current().json:
            step(f"waiting for {standing.waits_for}: {', '.join(_idle_words(standing))}")
            return
        _line(
            {
                "event": "Idle",
                "waits_for": standing.waits_for,
                "open_requests": len(standing.open),
                "oldest_open_request_seconds": _rounded(standing.oldest_seconds),
                "unreachable_seconds": _rounded(standing.outage_seconds),
                "reserve_available": None if reserve is None else str(reserve.available),
                "reserve_level": None if reserve is None else reserve.alert_level,
                "reserve_days_left": _rounded(days),
            }
        )

    def _was_shown(self, owner: Principal | None) -> bool:
        """Whether an owner's progress was shown within the last second."""
        now = self._clock()
        if owner is None or now - self._shown_at.get(owner, -_PROGRESS_SECONDS) < _PROGRESS_SECONDS:
            return True
        self._shown_at[owner] = now
        return False


def sent_fields(notification: Notification) -> dict[str, Any]:
    """A notification that was sent to a webhook, as JSON: what its message says, too."""
    return notification.model_dump(mode="json", include={"id", "at", "kind", "subject", "until"})


def _name(owner: Principal | None) -> str:
    return "nobody" if owner is None else output.ident(owner)


def _idle_words(standing: Standing) -> Iterator[str]:
    if standing.outage_seconds is not None:
        yield f"no answer for {quantities.duration(standing.outage_seconds)}"
        return
    oldest = standing.oldest_seconds
    since = "" if oldest is None else f", the oldest for {quantities.duration(oldest)}"
    yield f"{len(standing.open)} open{since}"
    look = standing.look
    if look is None or look.reserve is None:
        return
    lasts = "" if look.reserve_days is None else f", {look.reserve_days:,.0f} days at the pace of the last week"
    available = quantities.cycles(look.reserve.available).partition(" (")[0]
    yield f"the reserve has {available} cycles available ({look.reserve.alert_level}{lasts})"


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _plain_fields(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {name: sorted(map(str, value)) if isinstance(value, frozenset) else value for name, value in values.items()}


def _line(value: dict[str, Any]) -> None:
    output.json_object(value, flush=True)
