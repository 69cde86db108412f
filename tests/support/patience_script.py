"""A clock, an owner and refusals for what waits."""

from __future__ import annotations

import asyncio

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import (
    CreationError,
    CreationErrorKind,
)
from canister_factory.contract.errors import CreationRefused

OWNER = Principal(b"\x07" * 10)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def refusal(kind: CreationErrorKind, message: str = "because") -> CreationRefused:
    return CreationRefused("method", CreationError(kind=kind, message=message, retry_helps=True))
