"""What goes beside the work of a run: reading ahead, and reports that nobody waits for.

Owns that no task outlives its run, and that a failure that nobody asks for harms nobody. Does not own: what the tasks
do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Aside:
    """An async context: tasks that are started within it are cancelled at its end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"Aside({len(self._tasks)} tasks)"

    async def __aenter__(self) -> Aside:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that does `work`, which may be awaited, or not; its failure is in the log in any case."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("what went beside the run failed: %s", error)
