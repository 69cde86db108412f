"""The thread that waits for the disk while its owner goes on."""

from __future__ import annotations

import threading

import pytest

from canister_factory.replica.store.side_thread import SideThread


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_both_are_under_way_at_the_same_time_and_done_afterwards() -> None:
    side, met = SideThread(), threading.Barrier(2, timeout=10)
    done: list[str] = []

    def work() -> None:
        met.wait()
        done.append("there")

    def meanwhile() -> None:
        met.wait()
        done.append("here")

    for _ in range(20):
        side.run(work, meanwhile)
        assert sorted(done) == ["here", "there"]
        done.clear()
    side.end()


def test_a_failure_is_told_once_the_other_half_is_done() -> None:
    side = SideThread()
    done: list[str] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        side.run(fail, lambda: done.append("here"))
    with pytest.raises(OSError, match="No space left"):
        side.run(lambda: done.append("there"), fail)
    assert done == ["here", "there"]
    side.run(lambda: done.append("there"), lambda: done.append("here"))
    assert sorted(done[2:]) == ["here", "there"]
    side.end()


def test_it_ends_and_begins_anew() -> None:
    side = SideThread()
    assert "disk" not in names()
    side.end()
    for _ in range(2):
        side.run(lambda: None, lambda: None)
        assert names().count("disk") == 1
        side.end()
        assert "disk" not in names()
