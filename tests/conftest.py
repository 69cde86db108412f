"""What every test may rely on: where the repository is, and the reference material beside it when it is there."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType

import pytest

from support.build_record import complaint
from support.file_order import long_files_first

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sweep", action="store_true", help="run all cases of the tests that otherwise take a seeded sample of them"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Each replica of the tests, in whatever home, takes what another one compiled; the developer's own are left alone.
    os.environ.setdefault("CANISTER_FACTORY_COMPILED_MODULES", str(REPOSITORY / ".pytest_cache" / "compiled"))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a script. Processes that tests start and interrupt would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("sweep"):
        if config.option.timeout is None:
            config.option.timeout = 3600  # a test that usually takes a sample takes its time
        from hypothesis import settings

        usual = settings.get_profile(settings.get_current_profile_name())
        settings.register_profile("sweep", usual, max_examples=10 * usual.max_examples)
        settings.load_profile("sweep")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: the garbage collector needn't look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves of a test with the marker `sample(count)` so many of the chosen cases, the same ones each time.

    In a worker, which runs all tests, the files that take longest come first.
    """
    if hasattr(config, "workerinput"):
        items[:] = long_files_first(items)
    if config.getoption("sweep"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for test, of_test in cases.items():
        (marker,) = of_test[0].iter_markers("sample")
        kept = random.Random(test).sample(of_test, min(marker.args[0], len(of_test)))
        left_out |= set(of_test) - set(kept)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") is None or SHARED.is_dir():
        return
    reason = f"the reference material is not beside this checkout ({SHARED.name}/)"
    if os.environ.get("CANISTER_FACTORY_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, and CANISTER_FACTORY_REQUIRE_SHARED asks for it", pytrace=False)
    pytest.skip(reason)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuses to test an older build of the canisters; tests of the Motoko sources themselves need none."""
    if hasattr(session.config, "workerinput"):
        return  # the process that has workers has looked
    if session.config.option.collectonly or all(item.get_closest_marker("motoko_sources") for item in session.items):
        return
    if problem := complaint(REPOSITORY / "canisters"):
        raise pytest.UsageError(problem)


def pytest_sessionstart(session: pytest.Session) -> None:
    """The same where the tests are collected in workers, whose refusal would be hard to read."""
    if session.config.getoption("numprocesses", None) and (problem := complaint(REPOSITORY / "canisters")):
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
def sweep(pytestconfig: pytest.Config) -> bool:
    """Whether all cases are to be run, for a test that takes a sample within itself."""
    return bool(pytestconfig.getoption("sweep"))


@pytest.fixture(autouse=True)
def logs_as_at_the_start() -> Iterator[None]:
    """A command that ran in this process set logs up: for this test they are as if none had, and afterwards again."""
    forget_log_settings()
    yield
    forget_log_settings()


def forget_log_settings() -> None:
    if logs := sys.modules.get("canister_factory.cli.logs"):
        logs.WORKER.set(None)
        logs.OWNER.set(None)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    logging.getLogger("canister_factory").setLevel(logging.NOTSET)
    for handler in list(root.handlers):
        if type(handler).__module__ == "canister_factory.cli.logs":
            root.removeHandler(handler)


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
