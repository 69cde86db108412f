"""Who is told of changes of the subnet's state, and of which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from canister_factory.replica.subnet.request_status import RequestStatus


def _ignore(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Listeners:
    """Told of changes as they happen, so that the certified state can follow them.

    `request_status(request_id, status)`: status is None once the status was pruned.
    `canister_changed(canister_id)`: controllers, code, certified data or existence changed.
    """

    request_status: Callable[[bytes, RequestStatus | None], None] = _ignore
    canister_changed: Callable[[bytes], None] = _ignore


NOBODY: Final = Listeners()
"""Listeners for a subnet that nobody listens to."""
