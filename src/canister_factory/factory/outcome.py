"""What a run of a creation did, for whoever called it.

Owns the shape. Does not own: who fills it (`stages`), and how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import DetailedCreationStatus
from canister_factory.ic.traffic import Traffic


@dataclass(slots=True)
class Outcome:
    """What a run did; sizes in bytes, times in seconds. Hashes are `None` where this run didn't come by them.

    `traffic` counts the run's requests from the claim on, by method; `traffic.total` is their sum.
    """

    creation: DetailedCreationStatus
    controllers_before: frozenset[Principal] = frozenset()
    controllers_after: frozenset[Principal] = frozenset()
    module_hash: bytes | None = None
    source_manifest: bytes | None = None
    target_manifest: bytes | None = None
    bytes_moved: int = 0
    transfer_seconds: float = 0.0
    seconds: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)
