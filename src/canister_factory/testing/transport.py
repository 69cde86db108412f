"""An HTTP client whose connections live in one event loop, while agents use it from any other.

Owns crossing over. A test has its own event loop, or none, and never has to close a connection; those are kept for the
next test. Does not own HTTP (`ic.transport`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import Any, TypeVar

from canister_factory.ic.trace import Span
from canister_factory.ic.transport import Response, Transport

T = TypeVar("T")


class SharedTransport(Transport):
    """Sends in the event loop `home`, which runs in another thread. `close` does nothing: see `close_connections`."""

    def __init__(self, home: asyncio.AbstractEventLoop, url: str, **settings: Any) -> None:
        super().__init__(url, direct=True, **settings)
        self._home = home

    async def get(self, path: str, *, span: Span | None = None) -> Response:
        return await self._at_home(super().get(path, span=span))

    async def post(
        self, path: str, body: bytes, *, deadline_ns: int | None = None, span: Span | None = None
    ) -> Response:
        return await self._at_home(super().post(path, body, deadline_ns=deadline_ns, span=span))

    async def close(self) -> None:
        """Leaves the connections to others."""

    async def close_connections(self) -> None:
        """Closes them; nobody may use this any more."""
        await self._at_home(super().close())

    async def _at_home(self, work: Coroutine[Any, Any, T]) -> T:
        if asyncio.get_running_loop() is self._home:
            return await work

        ended = concurrent.futures.Future[None]()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(self._home.create_task(work))
            tasks[0].add_done_callback(lambda task: ended.set_result(None))

        self._home.call_soon_threadsafe(begin)
        try:
            await asyncio.shield(asyncio.wrap_future(ended))
        except asyncio.CancelledError:
            # As in one loop: whoever is cancelled has ended, and sends nothing afterwards.
            self._home.call_soon_threadsafe(lambda: tasks[0].cancel())
            await asyncio.wrap_future(ended)
            raise
        return tasks[0].result()
