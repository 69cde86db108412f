"""Making an idempotent call again when its outcome is unknown or the network failed. Owns when and how often; does not
own which calls are idempotent: whoever asks for it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import EventHook, Retrying, ignore
from canister_factory.ic.errors import IcError, NetworkUnreachableError, OutcomeUnknownError

P = ParamSpec("P")
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


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
                passing = error.retry_helps or isinstance(error, OutcomeUnknownError)
                if attempt == self._config.attempts or not passing or isinstance(error, NetworkUnreachableError):
                    raise
                self.on_pressure()
                pause = self._config.backoff_seconds * 2 ** (attempt - 1)
                self._emit(Retrying(getattr(call, "__name__", repr(call)), str(error), attempt, pause))
                await self._sleep(pause)
        raise AssertionError("a loop with at least one attempt returns or raises")
