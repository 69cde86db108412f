"""Making a call again after a failure that passes.

Owns when and how often. Does not own: which failures pass (`ic.verdict`), and which calls may be repeated: `contract`
declares that of endpoints; whoever repeats anything else knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import EventHook, Retrying, ignore
from canister_factory.ic.errors import IcError
from canister_factory.ic.verdict import Verdict, verdict

P = ParamSpec("P")
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


class Retry:
    """Calls again, after pauses that double, what failed in a way that passes; every other failure goes through.

    Args:
        config: number of attempts, and the first pause.
        sleep: waits for so many seconds.
        emit: told of each new attempt.
        on_pressure: called at each failure that is waited out, so that a transfer can slow down.
    """

    def __init__(
        self,
        config: FactoryConfig,
        *,
        sleep: Sleep = asyncio.sleep,
        emit: EventHook = ignore,
        on_pressure: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._sleep = sleep
        self._emit = emit
        self._on_pressure = on_pressure

    def __repr__(self) -> str:
        return f"Retry({self._config.attempts} attempts)"

    async def __call__(self, method: str, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the first attempt that has one. `method` names the call for who watches.

        The call must be one that may be repeated, since earlier attempts may still be executed.

        Raises:
            Exception: what the last attempt raised; no failure but a passing one has another attempt after it.
        """
        for attempt in range(1, self._config.attempts + 1):
            try:
                return await call(*args, **kwargs)
            except IcError as error:
                if attempt == self._config.attempts or verdict(error) is not Verdict.PASSING:
                    raise
                self._on_pressure()
                pause = self._config.backoff_seconds * 2 ** (attempt - 1)
                self._emit(Retrying(method, str(error), attempt, pause))
                await self._sleep(pause)
        raise AssertionError("a loop with at least one attempt returns or raises")
