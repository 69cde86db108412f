"""Work that a signal ends: cancelled once, cleaned up, and told apart from work that failed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from canister_factory.cli.stopping import StoppedError, until_signal


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_the_work_which_cleans_up_first(number: signal.Signals, code: int) -> None:
    cleaned_up: list[bool] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    with pytest.raises(StoppedError, match=f"stopped by {number.name}") as stopped:
        asyncio.run(until_signal(work))
    assert stopped.value.exit_code == code
    assert cleaned_up == [True]


def test_without_a_signal_the_result_and_the_failure_are_the_works_own() -> None:
    async def five() -> int:
        return 5

    async def broken() -> None:
        raise ValueError("broken")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert asyncio.run(until_signal(five)) == 5
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(until_signal(broken))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(until_signal(cancelled))


def test_the_signals_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work() -> None:
        assert signal.getsignal(signal.SIGTERM) is not before

    asyncio.run(until_signal(work))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
