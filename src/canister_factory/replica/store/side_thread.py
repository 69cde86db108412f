"""A thread that does one thing while its owner does another: a disk's time isn't the processor's.

Owns how the two meet. Does not own what they do (`files`). The owner goes on when the thread is about to begin:
otherwise it would keep the interpreter, and the disk would have nothing to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class SideThread:
    """Begins with the first `run`, and ends with `end` or with the process. For one owner at a time."""

    def __init__(self) -> None:
        self._ready, self._begun, self._done = (threading.Lock() for _ in range(3))
        for lock in (self._ready, self._begun, self._done):
            lock.acquire()
        self._thread: threading.Thread | None = None
        self._work: Callable[[], None] | None = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<SideThread running={self._thread is not None}>"

    def run(self, work: Callable[[], None], meanwhile: Callable[[], None]) -> None:
        """Does `work` in the thread and `meanwhile` here; returns when both are done.

        Raises:
            BaseException: what `work` raises, else what `meanwhile` does.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="disk", daemon=True)
            self._thread.start()
        self._work = work
        self._ready.release()
        self._begun.acquire()
        try:
            meanwhile()
        finally:
            self._done.acquire()
            error, self._error = self._error, None
            if error is not None:
                raise error

    def end(self) -> None:
        """Ends the thread, if there is one. It begins anew if it is needed again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._work = None
            self._ready.release()
            thread.join()

    def _serve(self) -> None:
        while True:
            self._ready.acquire()
            work = self._work
            if work is None:
                return
            self._begun.release()
            try:
                work()
            except BaseException as error:
                self._error = error
            self._done.release()
