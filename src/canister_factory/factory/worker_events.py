"""What a worker's loop tells whoever watches it: its looks for requests, and what became of those that it took.

Owns these events' types. Does not own: the events of one creation (`events`), and how any of them are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import OpenRequest


@dataclass(frozen=True, slots=True)
class Looked:
    """The open requests were listed: `requests` are all, of which this worker may run `ours`."""

    requests: tuple[OpenRequest, ...]
    ours: int


@dataclass(frozen=True, slots=True)
class Unlisted:
    """The open requests could not be listed; the loop looks again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """A creation was taken over by another worker, or its lease ran out."""

    owner: Principal


@dataclass(frozen=True, slots=True)
class Dropped:
    """The worker works on this creation no more, whatever became of it."""

    owner: Principal


WorkerEvent: TypeAlias = Looked | Unlisted | LeaseLost | Dropped
WorkerHook: TypeAlias = Callable[[WorkerEvent], None]


def ignore(event: WorkerEvent) -> None:
    """The hook of someone who doesn't watch."""
