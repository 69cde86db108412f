"""Values that a capsule refuses, and how it is asked."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.capsule_models import GalleryData, GalleryMemoryEntry
from canister_factory.contract.person_models import (
    PersonRef,
)

NO_ONE = PersonRef(Principal=Principal(b"\x04"))


def place(memory_id: str, **fields: Any) -> GalleryMemoryEntry:
    return GalleryMemoryEntry(
        memory_id=memory_id, **{"position": 0, "is_featured": False, "gallery_metadata": "{}", **fields}
    )


def gallery(**fields: Any) -> GalleryData:
    return GalleryData(**{"title": "Summer", "is_public": True, "memory_entries": [], **fields})


def about(kind: str, carried: Any) -> str:
    """What the refusal says is wrong."""
    return str(getattr(carried, {"InvalidArgument": "field", "LimitExceeded": "what", "NotFound": "kind"}[kind]))
