"""Threads that do work one after the other, or while their owner does something else."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from canister_factory.replica.runtime.workers import Workers


def test_work_is_done_in_order_by_a_thread_with_that_name() -> None:
    workers, done = Workers("at work"), list[int]()
    for number in range(100):
        workers.submit(partial(done.append, number))
    assert workers.submit(lambda: threading.current_thread().name).result(10) == "at work"
    assert done == list(range(100))
    assert "started=1 waiting=0" in repr(workers)


def test_an_error_is_the_results_and_the_next_work_is_done() -> None:
    workers = Workers("test")
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 // 0).result(10)
    assert workers.submit(lambda: 5).result(10) == 5


def test_several_threads_work_at_once_and_what_is_cancelled_before_is_not_done() -> None:
    workers, gate, done = Workers("test", 2), threading.Barrier(3), list[int]()
    for _ in range(2):
        workers.submit(lambda: gate.wait(10))
    cancelled, last = workers.submit(lambda: done.append(1)), workers.submit(lambda: done.append(2))
    assert cancelled.cancel()
    gate.wait(10)
    last.result(10)
    assert done == [2]


def test_threads_end_when_their_work_is_done_and_begin_anew() -> None:
    workers, done = Workers("test", 2), list[int]()
    thread = workers.submit(threading.current_thread).result(10)
    workers.submit(partial(done.append, 1))
    workers.end()
    workers.end()
    thread.join(10)
    assert (thread.is_alive(), done) == (False, [1])
    assert workers.submit(lambda: 5).result(10) == 5


def test_what_is_done_here_and_in_the_thread_is_under_way_at_the_same_time_and_done_afterwards() -> None:
    workers, met = Workers("test"), threading.Barrier(2, timeout=10)
    done: list[str] = []

    def work() -> None:
        met.wait()
        done.append("there")

    def meanwhile() -> None:
        met.wait()
        done.append("here")

    for _ in range(20):
        workers.beside(work, meanwhile)
        assert sorted(done) == ["here", "there"]
        done.clear()
    workers.end()


def test_a_failure_is_told_once_the_other_half_is_done() -> None:
    workers, done = Workers("test"), list[str]()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        workers.beside(fail, lambda: done.append("here"))
    with pytest.raises(OSError, match="No space left"):
        workers.beside(lambda: done.append("there"), fail)
    assert done == ["here", "there"]
    workers.beside(lambda: done.append("there"), lambda: done.append("here"))
    assert sorted(done[2:]) == ["here", "there"]
    workers.end()
