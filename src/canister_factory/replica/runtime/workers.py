"""Threads that do work beside the one that the replica runs in: compiling, long queries, writing to the disk.

Owns the threads. Does not own the work, which lets go of Python (or else is short), or what it may touch.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """So many threads, begun when there is work. They end with `end`, and nobody waits for them at the process's end.

    Args:
        name: of the threads.
        count: how many there are at most.
        niceness: how far they stand back behind other threads, where each has a niceness of its own (Linux).
    """

    def __init__(self, name: str, count: int = 1, *, niceness: int = 0) -> None:
        self._name = name
        self._count = count
        self._niceness = niceness
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._started = 0

    def __repr__(self) -> str:
        return f"<Workers {self._name!r} started={self._started} waiting={self._work.qsize()}>"

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Has the work done after what was submitted before."""
        future: Future[T] = Future()
        self._work.put((future, work))
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def beside(self, work: Callable[[], None], meanwhile: Callable[[], None]) -> None:
        """Does `work` in a thread and `meanwhile` here; returns when both are done.

        Raises:
            BaseException: what `work` raises, else what `meanwhile` does.
        """
        begun = threading.Event()

        def begin() -> None:
            begun.set()
            work()

        future = self.submit(begin)
        begun.wait()  # otherwise `meanwhile` would keep the interpreter, and a disk would have nothing to do
        try:
            meanwhile()
        finally:
            future.result()

    def wait(self, work: Future[Any]) -> None:
        """Returns when what was submitted is done."""
        wait([work])

    def end(self) -> None:
        """Lets the threads end when they have done what was submitted. They begin anew if they are needed again."""
        for _ in range(self._started):
            self._work.put(None)
        self._started = 0

    def _run(self) -> None:
        if self._niceness:
            with suppress(OSError, AttributeError):  # a thread gives it to those that it starts, such as a compiler's
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (item := self._work.get()) is not None:
            future, work = item
            if future.set_running_or_notify_cancel():
                fulfil(future, work)
            del item, future, work


def fulfil(future: Future[T], work: Callable[[], T]) -> None:
    """Does the work; its result, or what it raises, is the future's."""
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def spare_processors() -> int:
    """How many processors this process may use besides one."""
    with suppress(AttributeError, OSError):  # not on macOS
        return len(os.sched_getaffinity(0)) - 1
    return (os.cpu_count() or 1) - 1
