"""What an orchestrator tells whoever watches. Owns the events' types; does not own how they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationStatus


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lease is ours; `status` is where the creation stood."""

    owner: Principal
    lease: int
    status: CreationStatus


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage's work begins."""

    stage: CreationStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage's effect is on the chain; `skipped`: it was there already."""

    stage: CreationStatus
    detail: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The personal canister exists; `controllers` as certified by the network, `cycles` attached at its creation."""

    canister_id: Principal
    controllers: frozenset[Principal]
    cycles: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Transferred:
    """Progress of the copy: totals of the present pass in bytes and items, and the messages in flight at present."""

    bytes_done: int
    bytes_total: int
    items_done: int
    items_total: int
    window: int


@dataclass(frozen=True, slots=True)
class PassDone:
    """A copying pass ended. `locked`: the owner couldn't write meanwhile, so that nothing is missing now."""

    number: int
    bytes_moved: int
    items_moved: int
    items_removed: int
    locked: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Verified:
    """Both sides have the same manifest, computed here from their entries, and the target's is certified."""

    source_manifest: bytes
    target_manifest: bytes
    memories: int
    content_size: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The certified controllers are exactly the owner. `module_hash`: `None` if the owner has uninstalled it since."""

    canister_id: Principal
    controllers: frozenset[Principal]
    module_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call's outcome was unknown or the network failed; the idempotent call is made again after a pause."""

    what: str
    reason: str
    attempt: int
    pause_seconds: float


Event: TypeAlias = (
    Claimed | StageStarted | StageDone | Provisioned | Transferred | PassDone | Verified | HandedOver | Retrying
)
EventHook: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The hook of someone who doesn't watch."""
