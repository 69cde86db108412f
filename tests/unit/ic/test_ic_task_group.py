"""Tasks whose first failure is raised as it is."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.ic.task_group import first_failure, task_group


async def fail(error: Exception) -> None:
    raise error


async def test_the_first_failure_ends_the_rest_and_is_raised_itself() -> None:
    failure, ended = KeyError("first"), list[str]()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def run() -> None:
        async with task_group() as group:
            group.create_task(wait())
            group.create_task(fail(failure))

    with pytest.raises(KeyError) as raised:
        await run()
    assert raised.value is failure
    assert raised.value.__suppress_context__, "its group isn't shown with it"
    assert ended == ["cancelled"]


async def test_a_failure_of_the_body_is_raised_itself() -> None:
    failure = OSError("in the body")

    async def run() -> None:
        async with task_group():
            raise failure

    with pytest.raises(OSError, match="in the body") as raised:
        await run()
    assert raised.value is failure


async def test_without_failures_all_tasks_are_waited_for() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    async with task_group() as group:
        for number in range(3):
            group.create_task(work(number))
    assert done == [0, 1, 2]


def test_the_first_failure_of_nested_groups_is_no_group() -> None:
    failure = KeyError("deep")
    groups = ExceptionGroup("outer", [ExceptionGroup("inner", [failure, ValueError("second")]), ValueError("third")])
    assert first_failure(groups) is failure
