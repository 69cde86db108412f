"""Work that a signal ends: announced and cancelled once, cleaned up, and told apart from work that failed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from canister_factory import interrupts
from support.cli_settings import signals_in_hand

__all__ = ["signals_in_hand"]
pytestmark = pytest.mark.usefixtures("signals_in_hand")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_announced_and_cancels_the_work_which_cleans_up(number: signal.Signals, code: int) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(interrupts.Interrupted) as stopped:
        interrupts.run(work, on_stop=lambda: steps.append("announced"))
    assert stopped.value.exit_code == code
    assert steps == ["announced", "cleaned up"]


def test_a_second_signal_cancels_what_the_work_waits_for_and_is_not_announced() -> None:
    steps: list[str] = []

    async def work() -> None:
        for name in ("first", "second"):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                steps.append(name)

    with pytest.raises(interrupts.Interrupted):
        interrupts.run(work, on_stop=lambda: steps.append("announced"))
    assert steps == ["announced", "first", "second"]


def test_what_fails_while_the_work_is_stopped_is_the_context_of_the_interruption() -> None:
    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            raise ValueError("the lease can't be given back")

    with pytest.raises(interrupts.Interrupted) as stopped:
        interrupts.run(work)
    assert str(stopped.value.__context__) == "the lease can't be given back"


def test_without_a_signal_the_result_and_the_failure_are_the_works_own() -> None:
    async def five() -> int:
        return 5

    async def broken() -> None:
        raise ValueError("broken")

    assert interrupts.run(five) == 5
    with pytest.raises(ValueError, match="broken"):
        interrupts.run(broken)


def test_the_signals_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def handler_within() -> object:
        return signal.getsignal(signal.SIGTERM)

    assert interrupts.run(handler_within) is not before
    assert signal.getsignal(signal.SIGTERM) == before
