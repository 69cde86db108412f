"""Workers that do what they are given later, at a time that is the same in each run of a test."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from canister_factory.replica.runtime.workers import Workers, fulfil

T = TypeVar("T")


class LateWorkers(Workers):
    """In the thread of the test: when they are waited for, or at the second `time_passes` after it was submitted."""

    def __init__(self) -> None:
        super().__init__("late")
        self._later: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._next: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._later.append((future, work))
        return future

    def time_passes(self) -> None:
        due, self._next, self._later = self._next, self._later, []
        self._do(due)

    def wait(self, work: Future[Any]) -> None:
        due, self._next, self._later = self._next + self._later, [], []
        self._do(due)

    @staticmethod
    def _do(due: list[tuple[Future[Any], Callable[[], Any]]]) -> None:
        for future, work in due:
            fulfil(future, work)
