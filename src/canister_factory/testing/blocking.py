"""A canister whose methods wait for their results, for tests that aren't `async`.

Owns waiting. Does not own the calls (`canister`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from canister_factory.testing.canister import Canister

Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine and waits for its result: `EmbeddedReplica.run`."""


class BlockingCanister:
    """`counter.increment(1)` calls the canister and returns the result. `canister`: the one that is awaited."""

    def __init__(self, canister: Canister, run: Run) -> None:
        self.canister = canister
        self._run = run

    def __repr__(self) -> str:
        return f"<BlockingCanister {self.canister!r}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(self.canister)]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        attribute = getattr(self.canister, name)
        if not callable(attribute):
            return attribute

        def call(*values: Any) -> Any:
            result = attribute(*values)
            if isinstance(result, Canister):
                return BlockingCanister(result, self._run)
            return self._run(result)

        call.__name__ = call.__qualname__ = name
        return call
