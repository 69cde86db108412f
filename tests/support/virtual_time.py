"""An event loop whose time is made up: where nothing is left to do, the clock goes on to the next timer at once.

Owns time. Does not own what takes time in it (`mainnet`). Whatever runs in it must wait for nothing but time and for
what else runs in it: no threads, no sockets.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")

BEGIN_NS = 1_900_000_000 * 10**9
"""The moment at which time begins, nanoseconds since 1970."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop by whose clock computing takes no time. `time` begins at 0."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Jumping(self._go_on))

    def time(self) -> float:
        return self._now_s

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return BEGIN_NS + round(self._now_s * 1e9)

    def _go_on(self, seconds: float | None) -> None:
        if seconds is None:
            raise RuntimeError("everything waits for something that no timer will bring")
        self._now_s += seconds


class _Jumping(selectors.BaseSelector):
    """Where the loop would wait for so long, its time goes on by as much."""

    def __init__(self, go_on: Callable[[float | None], None]) -> None:
        self._sockets = selectors.DefaultSelector()
        self._go_on = go_on

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._sockets.select(0)
        if not ready and (timeout is None or timeout > 0):
            self._go_on(timeout)
        return ready

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._sockets.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._sockets.unregister(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._sockets.get_map()

    def close(self) -> None:
        self._sockets.close()


def run(work: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine in a loop of its own, by its time."""
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(loop))
