"""The blocking form, for scripts and notebooks: whatever is asynchronous here, without `await`.

Owns one proxy for all objects, and the event loop in a thread that runs what it calls. Does not own any method.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent

T = TypeVar("T")


class _Background:
    """An event loop in a thread, alive as long as somebody uses it. One for the process: objects can be combined."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event | None = None

    @property
    def is_running(self) -> bool:
        """Whether somebody uses it."""
        return self._users > 0

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the loop's thread."""
        return threading.current_thread() is self._thread

    def acquire(self) -> None:
        """Starts the loop for its first user."""
        with self._lock:
            if self._users == 0:
                started = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._live(started)), name="canister-factory", daemon=True
                )
                self._thread.start()
                started.wait()
            self._users += 1

    def release(self) -> None:
        """Ends the loop, and whatever still runs in it, after its last user."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            loop, thread, end = self._loop, self._thread, self._end
            assert loop is not None
            assert thread is not None
            assert end is not None
            loop.call_soon_threadsafe(end.set)
            thread.join()
            self._loop = self._thread = self._end = None

    async def _live(self, started: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await self._end.wait()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Waits for the result. Interrupted, it cancels the work and lets it clean up; a second time it just leaves."""
        loop, done = self._loop, threading.Event()
        assert loop is not None
        tasks: list[asyncio.Task[T]] = []

        async def work() -> T:
            return await awaitable

        def begin() -> None:
            tasks.append(loop.create_task(work()))
            tasks[0].add_done_callback(lambda task: done.set())

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
                return
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            done.set()

        try:
            loop.call_soon_threadsafe(begin)
            done.wait()
        except BaseException:  # also when it comes before there is anything to wait for
            loop.call_soon_threadsafe(stop)
            done.wait()
            raise
        return tasks[0].result()


_background = _Background()


@overload
def blocking(thing: Agent) -> Any: ...  # type checkers take it for anything, coroutines too: its base has no types
@overload
def blocking(thing: Coroutine[Any, Any, T]) -> T: ...
@overload
def blocking(thing: Any) -> Any: ...
def blocking(thing: Any) -> Any:
    """The blocking form of an object of this package, or the result of a coroutine.

    The form has the attributes and methods of the object, and waits for every awaitable result. What it waits for runs
    in an event loop in a thread of its own: it works where a loop runs already, as in a notebook. Ctrl-C cancels it.
    It is of use within a `with cf.connect(...)` block, and is taken wherever the object itself is wanted.

    Example:
        with cf.connect("local") as agent:
            counter = cf.blocking(cf.Canister(agent, canister_id, Path("counter.did")))
            counter.increment(1)
            memory_id = cf.blocking(cf.upload_memory(client, path, memory))

    Raises:
        RuntimeError: in a coroutine that runs in that loop, which would wait for itself; or (from a method) after the
            block has ended.
    """
    if inspect.isawaitable(thing):
        return _form(_wait(thing))
    return _form(thing)


class Blocking:
    """The blocking form of an object; make it by `blocking`. It is passed on wherever the object is wanted."""

    __slots__ = ("_target",)
    _target: Any

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)

    def __repr__(self) -> str:
        return f"blocking({self._target!r})"

    def __dir__(self) -> list[str]:
        return dir(self._target)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if inspect.isroutine(value):
            return _called(value)
        return value if _background.is_here else _form(value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)

    def __enter__(self) -> Any:
        _background.acquire()
        try:
            return _form(_wait(self._target.__aenter__()))
        except BaseException:
            _background.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return _wait(self._target.__aexit__(kind, error, trace))
        finally:
            _background.release()


def _called(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which waits for its result unless the loop itself calls it, as our objects call each other."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _background.is_here:
            return method(*args, **kwargs)
        result = method(*args, **kwargs)
        if inspect.isawaitable(result):
            if not _background.is_running:
                _discard(result)
                raise RuntimeError("the connection is closed: use the blocking form within the `with` block")
            result = _wait(result)
        return _form(result)

    return call


def _wait(awaitable: Awaitable[T]) -> T:
    if _background.is_here:
        _discard(awaitable)
        raise RuntimeError("the blocking form was used in asynchronous code that it runs itself: use await there")
    _background.acquire()
    try:
        return _background.run(awaitable)
    finally:
        _background.release()


def _discard(awaitable: Awaitable[Any]) -> None:
    """Says that it isn't forgotten, which Python would warn of."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _form(value: Any) -> Any:
    """The proxy of what has something to wait for; data as they are."""
    return Blocking(value) if _is_asynchronous(value.__class__) else value


@lru_cache(maxsize=256)
def _is_asynchronous(kind: Any) -> bool:
    return any(inspect.iscoroutinefunction(member) for base in kind.__mro__ for member in vars(base).values())
