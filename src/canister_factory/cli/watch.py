"""Work on an embedded replica, ended as soon as the replica can't do it any more: it ended, or its disk is full.

Owns when to look and what is said. Does not own looking (`replica.observation`), or the replica.

Without this a person would wait for minutes: a call that may have been delivered is asked after until it expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from canister_factory.cli.errors import UNREACHABLE, CommandError
from canister_factory.ic.errors import IcError
from canister_factory.ic.network import Network
from canister_factory.replica.node.observation import is_recorded_process, status_at
from canister_factory.replica.node.state_file import home_directory, read_record

T = TypeVar("T")
_INTERVAL_S: Final = 0.5
_FAREWELL_S: Final = 0.5
_STATUS_TIMEOUT_S: Final = 2.0


async def watched(work: Coroutine[Any, Any, T], url: str, runs: Callable[[], bool], name: str) -> T:
    """The result of `work`, which needs the embedded replica at `url`.

    Args:
        runs: whether the replica's process is alive.
        name: what a person has started, such as "the demo".

    Raises:
        CommandError: the replica ended (exit code 3) or stopped working (exit code 1); at once, with the reason.
    """
    task = asyncio.ensure_future(work)
    try:
        trouble = await _watch(task, url, runs, name)
    except asyncio.CancelledError:
        return await _cancelled(task, url, runs, name)
    if trouble is None:
        return task.result()
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_FAREWELL_S)  # what it would tidy up is on a replica that doesn't work
    raise trouble


async def _watch(task: asyncio.Future[Any], url: str, runs: Callable[[], bool], name: str) -> CommandError | None:
    """Waits until the task is done, or the replica is in trouble, which is returned."""
    while True:
        done, _ = await asyncio.wait({task}, timeout=_INTERVAL_S)
        if done and (task.cancelled() or not isinstance(task.exception(), IcError)):
            return None
        # Also after an error: the replica knows the cause, of which the error is only a consequence.
        trouble = await _trouble(url, runs, name)
        if done or trouble is not None:
            return trouble


async def _cancelled(task: asyncio.Future[T], url: str, runs: Callable[[], bool], name: str) -> T:
    """Hands a cancellation on, and each further one, as if the work had been awaited without us.

    What the work tidies up on a replica that works no more is given up: Ctrl-C on a terminal ends a demo's replica as
    well, and a call to it would be asked after until it expires.
    """
    while not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            if await _watch(task, url, runs, name) is not None:
                break
    if not task.done():
        await asyncio.wait({task}, timeout=_FAREWELL_S)
    if not task.done():
        raise asyncio.CancelledError
    return task.result()


def watched_if_embedded(work: Coroutine[Any, Any, T], network: Network) -> Coroutine[Any, Any, T]:
    """`work`, watched where the network is an embedded replica whose process is known."""
    if network.name != "embedded":
        return work
    record = read_record(home_directory())
    if record is None or record.url != network.url or not is_recorded_process(record):
        return work
    return watched(work, record.url, lambda: is_recorded_process(record) is not False, "the command")


async def _trouble(url: str, runs: Callable[[], bool], name: str) -> CommandError | None:
    if not await asyncio.to_thread(runs):
        return CommandError(
            f"the embedded replica ended in the middle of {name}. Calls in progress may or may not have been executed",
            exit_code=UNREACHABLE,
        )
    status = await asyncio.to_thread(status_at, url, _STATUS_TIMEOUT_S)
    # No answer isn't trouble: it may be in a long execution.
    if status is None or status.health in (None, "healthy"):
        return None
    return CommandError(f"the embedded replica has stopped working: {status.reason or status.health}")
