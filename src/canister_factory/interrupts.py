"""What Ctrl-C and SIGTERM do to a command, from the program's first line to its last.

Owns the two signals, and which line is said. Does not own: what is tidied up (the work that is cancelled). It is
loaded before everything else, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO, TypeVar

T = TypeVar("T")
Handler = Callable[[int, FrameType | None], object]

NUMBERS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"
_PATIENCE = 3
"""So many signals end a program that is still tidying up: the first cancels the work, the second what it waits for."""


class Interrupted(BaseException):
    """A signal ended the command, which has tidied up. Not an `Exception`, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number


class _State:
    """What this process does with signals: there is one set of handlers in a process, so there is one of these."""

    def __init__(self) -> None:
        self.installed: set[int] = set()
        self.handler: Handler = _end_at_once
        self.holds = ""
        self.otherwise = "nothing was changed"
        self.arrived: list[int] = []
        self.stop: Callable[[], object] | None = None
        self.failure: BaseException | None = None


def install() -> None:
    """Takes over SIGINT and SIGTERM, unless the process was started with them ignored, as under nohup."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            _state.installed.add(number)
    _handle(_end_at_once)


def ignore() -> None:
    """Nothing is left to interrupt: the process is about to end with the exit code of what it did."""
    _handle(lambda number, frame: None)
    for number in _state.installed:
        signal.signal(number, signal.SIG_IGN)


def if_interrupted(holds: str) -> None:
    """From here on an interruption says `holds`: what is true then for this command, and how to go on."""
    _state.holds = holds


def call_begins(method: str, request_id: bytes = b"") -> None:
    """From here on an interruption names this call, which can't be taken back, unless the command says more."""
    request = f" (request id {request_id.hex()})" if request_id else ""
    _state.otherwise = f"the call of {method} may have been executed, or may still be{request}"


def arrived() -> bool:
    """Whether a signal has come and the work is about to end; a terminal has written `^C` where its cursor was."""
    return bool(_state.arrived)


def message(number: int) -> str:
    """What is said of an interruption."""
    return f"{'terminated' if number == signal.SIGTERM else 'interrupted'}; {_state.holds or _state.otherwise}"


def say_plainly(number: int) -> None:
    """The line on stderr, past all buffers, which may be in the middle of something; ^C is overwritten."""
    tidy = f"\r\x1b[K{SHOW_CURSOR}" if os.isatty(2) else ""
    os.write(2, f"{tidy}{message(number)}\n".encode("ascii", "backslashreplace"))


def say_through(say: Callable[[int], None]) -> None:
    """From here on `say` says the line of a command that ends at once; it may use neither locks nor buffers."""
    global _say
    _say = say


@contextmanager
def held() -> Iterator[None]:
    """Signals wait until the block ends: for what must be begun and ended in pairs.

    Work in `run` within the block is cancelled all the same.

    Raises:
        Interrupted: at the end of the block, if a signal has come.
    """
    with _handled(lambda number, frame: _state.arrived.append(number)):
        try:
            yield
        finally:
            _raise_if_arrived()


@contextmanager
def at_once() -> Iterator[None]:
    """Within the block a signal ends the work where it arrives: for work that looks around now and then.

    Raises:
        Interrupted: a signal has come.
    """
    with _handled(_raise):
        yield


def await_line(stream: TextIO) -> str:
    """A line that a person types; empty at the end of `stream`.

    Raises:
        Interrupted: a signal came, also just before the waiting began: `input` would go on waiting then.
    """
    import select

    if not _state.installed:
        return stream.readline()

    with _woken() as woken, _handled(_raise):
        select.select([stream.fileno(), woken], [], [])
        return stream.readline()


def run(work: Callable[[], Coroutine[Any, Any, T]], *, on_stop: Callable[[], object] = lambda: None) -> T:
    """`asyncio.run(work())` for commands: the first signal cancels the work, which tidies up.

    `on_stop` is called just before the first signal cancels the work.

    Raises:
        Interrupted: a signal came, however `work` took it.
        Exception: what `work` raises, or the error given to `end_with`.
    """
    import asyncio

    if not _state.installed:
        return asyncio.run(work())

    async def cancellable() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def cancel(number: int, frame: FrameType | None) -> None:
            _state.arrived.append(number)
            if len(_state.arrived) >= _PATIENCE:
                _end_at_once(number, frame)
            loop.call_soon_threadsafe(stop, len(_state.arrived) == 1)

        def stop(first: bool) -> None:
            if first:
                on_stop()
            task.cancel()

        _state.stop = task.cancel
        with _woken() as woken, _handled(cancel):
            if _state.arrived:
                raise Interrupted(_state.arrived[0])
            loop.add_reader(woken, os.read, woken, 1)
            try:
                return await work()
            finally:
                loop.remove_reader(woken)

    try:
        return asyncio.run(cancellable())
    finally:
        _state.stop = None
        _handle(_state.handler)  # an event loop that had handlers of its own leaves Python's when it ends
        failure, _state.failure = _state.failure, None
        _raise_if_arrived()
        if failure is not None:
            raise failure


def end_with(error: BaseException) -> None:
    """Ends the work in `run` by `error` as a signal would: cancelled, not failed.

    Raises:
        BaseException: `error`, when nothing runs.
    """
    if _state.stop is None:
        raise error
    if _state.failure is None:
        _state.failure = error
        _state.stop()


def _raise_if_arrived() -> None:
    if _state.arrived:
        number = _state.arrived[0]
        _state.arrived.clear()
        raise Interrupted(number)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """For moments at which there is nothing to tidy up. An exception could get lost: in imports, in destructors."""
    ignore()
    try:
        _say(number)
    finally:
        os._exit(128 + number)


@contextmanager
def _woken() -> Iterator[int]:
    """A file descriptor that can be read after a signal. A handler runs between two steps of Python, so a signal that
    comes just before a system call that waits would be seen after it only."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wake)


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    before = _state.handler
    _handle(handler)
    try:
        yield
    finally:
        _handle(before)


def _handle(handler: Handler) -> None:
    _state.handler = handler
    for number in _state.installed:
        signal.signal(number, handler)


_state = _State()
_say = say_plainly
