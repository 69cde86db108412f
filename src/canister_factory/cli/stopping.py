"""Work that a signal ends in good order: it is cancelled, which gives leases back, and the caller learns of it.

Owns the signals while such work runs. Does not own: what is given back (`factory`), and the signals of other commands.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from canister_factory.base_error import CanisterFactoryError
from canister_factory.cli.progress import step

T = TypeVar("T")


class StoppedError(CanisterFactoryError):
    """A signal ended the work, which has cleaned up. `exit_code` is what shells report for that signal."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.exit_code = 128 + number


async def until_signal(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` and returns its result; the first SIGINT or SIGTERM cancels it, a second one ends the process.

    Raises `StoppedError` after the cancelled work has ended, and what `work` raises.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())
    stopped: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        restore()
        stopped.append(number)
        step("stopping: giving leases back")
        task.cancel()

    def restore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped and task.cancelled():
            raise StoppedError(stopped[0]) from None
        raise
    finally:
        restore()
