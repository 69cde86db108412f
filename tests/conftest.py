"""What every test may rely on: where the repository is, and the reference material beside it when it is there."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType

import pytest

from support.build_record import complaint

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") is None or SHARED.is_dir():
        return
    reason = f"the reference material is not beside this checkout ({SHARED.name}/)"
    if os.environ.get("CANISTER_FACTORY_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, and CANISTER_FACTORY_REQUIRE_SHARED asks for it", pytrace=False)
    pytest.skip(reason)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuses to test an older build of the canisters; tests of the Motoko sources themselves need none."""
    if session.config.option.collectonly or all(item.get_closest_marker("motoko_sources") for item in session.items):
        return
    if problem := complaint(REPOSITORY / "canisters"):
        raise pytest.UsageError(problem)


_ended_by_ctrl_c: list[bool] = []


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Ctrl-C; pytest's own reasons to stop, such as an error while it collects, are subclasses."""
    if excinfo.type is KeyboardInterrupt:
        _ended_by_ctrl_c.append(True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """`scripts/test` ends as every interrupted command does; pytest has 2 for it, which means wrong usage elsewhere."""
    if _ended_by_ctrl_c:
        session.exitstatus = 130


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer() -> Generator[None, object, object]:
    """Where a test of coroutines hangs, the stack ends in the event loop: the tasks say what they wait for."""
    result = yield
    fail = signal.getsignal(signal.SIGALRM)

    def tell_and_fail(number: int, frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            tasks = set()
        else:
            tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.print_stack(file=sys.stderr)
        fail(number, frame)  # type: ignore[operator, misc]

    if callable(fail):
        signal.signal(signal.SIGALRM, tell_and_fail)
    return result


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture
def count_calls() -> Callable[[Callable[[], object]], int]:
    """Counts the function calls (Python's and C's) of an action: a measure of work that no busy machine changes."""

    def count(action: Callable[[], object]) -> int:
        calls = 0

        def profile(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            action()
        finally:
            sys.setprofile(before)
        return calls

    return count
