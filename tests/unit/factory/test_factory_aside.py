"""What goes beside a run: nothing outlives it, and nothing that fails there ends it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from canister_factory.factory.aside import Aside


async def test_what_is_not_done_at_the_end_is_cancelled() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with Aside() as aside:
        task = aside.start(forever())
        await asyncio.sleep(0)
    assert ended == ["cancelled"]
    assert task.cancelled()
    assert repr(aside) == "Aside(0 tasks)"


async def test_a_failure_that_nobody_waits_for_is_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def fails() -> None:
        raise OSError("the report was lost")

    async with Aside() as aside:
        aside.start(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert "the report was lost" in caplog.text


async def test_a_result_can_be_waited_for() -> None:
    async def four() -> int:
        return 4

    async with Aside() as aside:
        assert await aside.start(four()) == 4
