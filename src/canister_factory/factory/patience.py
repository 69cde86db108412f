"""Which failures pass, and making an idempotent call again after one that does.

Owns when and how often. Does not own which calls are idempotent: whoever asks for it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import EventHook, Retrying, ignore
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    IcError,
    IdentityError,
    IngressTooLargeError,
    NetworkConfigError,
    NetworkUnreachableError,
    ProtocolError,
    RejectedError,
)

P = ParamSpec("P")
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


# What an `IcError` of these kinds says holds: certified, or a fact about what we ourselves were about to send.
_SETTLED = (CanisterNotFoundError, IdentityError, IngressTooLargeError, NetworkConfigError)


def may_be_repeated(error: Exception) -> bool:
    """Whether an idempotent call may well succeed when it is made again in a moment.

    So it is after an unknown outcome, a failing network, and an answer that can't be read or trusted (the next one may
    come from another replica or another way); not after a rejection for a reason that lasts, or a refused request.
    """
    if isinstance(error, RejectedError):
        return error.retry_helps
    if isinstance(error, ProtocolError) and error.status is not None:
        return False
    return is_open(error) and not isinstance(error, NetworkUnreachableError)


def is_open(error: Exception) -> bool:
    """Whether a failure says nothing certain about a creation, which therefore stays open for the next run.

    Only what canisters or the network certify, what was found by comparing, and defects of our own decide against a
    creation. Everything else that can be wrong with an answer or with the way to the network is nobody's verdict on it.
    """
    if isinstance(error, RejectedError):
        return error.retry_helps or not error.certified
    return isinstance(error, IcError) and not isinstance(error, _SETTLED)


class Patience:
    """Calls again, after pauses that double, what failed in a way that passes; every other failure goes through.

    `on_pressure` is called at each such failure, so that a transfer can slow down.
    """

    def __init__(self, config: FactoryConfig, *, sleep: Sleep = asyncio.sleep, emit: EventHook = ignore) -> None:
        self._config = config
        self._sleep = sleep
        self._emit = emit
        self.on_pressure: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"Patience(attempts={self._config.attempts})"

    async def __call__(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the first attempt that has one. `call` must be idempotent, since earlier attempts may still be
        executed. Raises what the last attempt raised.
        """
        for attempt in range(1, self._config.attempts + 1):
            try:
                return await call(*args, **kwargs)
            except IcError as error:
                if attempt == self._config.attempts or not may_be_repeated(error):
                    raise
                self.on_pressure()
                pause = self._config.backoff_seconds * 2 ** (attempt - 1)
                self._emit(Retrying(getattr(call, "__name__", repr(call)), str(error), attempt, pause))
                await self._sleep(pause)
        raise AssertionError("a loop with at least one attempt returns or raises")
