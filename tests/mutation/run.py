"""Puts small faults into the modules that must not be wrong, one at a time, and shows which of them no test notices.

Owns the run: a baseline that says which test reaches which line, a sample of mutants, and for each the tests that reach
it. Does not own: the mutants themselves (`mutants`). What to do with survivors: docs/testing.md.

Nothing is changed in the tree: each worker has a copy of `src` of its own, in a folder that goes with the run.
A worker forks for each mutant from a process that has imported the libraries, but nothing of the project.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "canister_factory"
MODULES = (
    "factory/verify.py",
    "factory/manifest.py",
    "factory/stages.py",
    "factory/lease.py",
    "factory/target.py",
    "factory/patience.py",
    "ic/certificate.py",
    "ic/agent*.py",
)
# Quick ones first: a mutant is mostly found by the tests of its own module.
TESTS = (
    "tests/unit/factory",
    "tests/unit/ic",
    "tests/integration/test_creation.py",
    "tests/integration/test_creation_faults.py",
    "tests/integration/test_creation_failures.py",
    "tests/integration/test_creation_owner.py",
    "tests/integration/test_creation_upgrade.py",
)
# What tests import in any case, so that each mutant needn't wait for it.
LIBRARIES = ("aiohttp", "cbor2", "click", "cryptography.x509", "hypothesis.stateful", "httpx", "ic.agent", "lark")
LIBRARIES += ("prometheus_client", "pyblst", "pydantic", "pytest_asyncio", "rich.console", "wasmtime")
SECONDS_PER_TEST = 60
"""What a test may take with a mutant; a mutant that makes one hang is found by that."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Without a mutant: each test's seconds, and which tests reach a line of a module."""

    seconds: dict[str, float]
    reached: dict[str, dict[int, frozenset[str]]]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that reach it, the quickest first. What runs at import concerns every test of the module."""
        lines = self.reached.get(mutant.module, {})
        tests = {test for line in range(mutant.line, mutant.last_line + 1) for test in lines.get(line, ())}
        if not tests and not mutant.function:
            tests = {test for reaching in lines.values() for test in reaching}
        return sorted(tests, key=lambda test: (self.seconds.get(test, 0.0), test))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: `killed`, `timeout`, `survived`, or `unreached` by any test. `by`: the first to fail."""

    mutant: Mutant
    outcome: str
    tests: int
    seconds: float
    by: str = ""


class Watch:
    """A pytest plugin that keeps seconds of each test, and the first one that failed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for each phase of each test."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed and not self.failed:
            self.failed = report.nodeid


# --- One run of pytest, in a process of its own ----------------------------------------------------------------------


def in_child(action: Callable[[], Any], seconds: float) -> tuple[Any, str]:
    """The JSON value of `action`, run in a forked process group; `None` when it ended otherwise, or took too long."""
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            _child(action, answer, output)
        try:
            ended = _wait(child, seconds)
        finally:
            for _ in range(2):  # what the tests started goes too; the second time finds nobody
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child, signal.SIGKILL)
        answer.seek(0)
        output.seek(0)
        text = answer.read()
        return (json.loads(text) if ended and text else None), output.read()


def _child(action: Callable[[], Any], answer: io.TextIOBase, output: Any) -> NoReturn:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in (1, 2):
            os.dup2(output.fileno(), number)
        json.dump(action(), answer)
        answer.flush()
        code = 0
    finally:
        os._exit(code)


def _wait(child: int, seconds: float) -> bool:
    """Whether the child ended in time; killed if not, or if we are."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if os.waitpid(child, os.WNOHANG)[0]:
                return True
            time.sleep(0.01)
    except BaseException:
        _kill(child)
        raise
    _kill(child)
    return False


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def pytest_on(copy: Path, *arguments: str) -> dict[str, Any]:
    """Runs tests of the tree against a copy of the package. To be called in a process that ends afterwards."""
    os.chdir(ROOT)
    os.environ |= {
        "PYTHONPATH": str(copy / "src"),  # for the processes that tests start
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / "hypothesis"),
        "COVERAGE_FILE": str(copy / "coverage"),
    }
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(copy / "src"))
    assert not any(name.startswith("canister_factory") for name in sys.modules)
    watch = Watch()
    quiet = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-o", f"timeout={SECONDS_PER_TEST}")
    code = pytest.main([*quiet, *arguments], plugins=[watch])
    imported = Path(sys.modules["canister_factory"].__file__ or "")
    assert imported.is_relative_to(copy), f"{imported} was tested instead of the copy"
    return {"code": int(code), "failed": watch.failed, "seconds": watch.seconds}


def copied(folder: Path) -> Path:
    """A copy of the package, with the canisters where the package looks for them."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "canisters").symlink_to(ROOT / "canisters")
    return folder


# --- Baseline --------------------------------------------------------------------------------------------------------


def baseline(copy: Path, modules: list[str], tests: list[str]) -> Baseline:
    """Runs all tests once with coverage. Exits when one fails: then survivors would mean nothing."""
    import coverage

    sources = [f"--cov={copy / 'src' / 'canister_factory'}", "--cov-context=test", "--cov-report=", "--cov-config="]
    ran, output = in_child(lambda: pytest_on(copy, *tests, *sources), 1_800)
    if not ran or ran["code"] != 0:
        sys.exit(f"{output[-6_000:]}\nerror: without any mutant the tests fail; see above")
    data = coverage.CoverageData(str(copy / "coverage"))
    data.read()
    reached: dict[str, dict[int, frozenset[str]]] = {}
    for module in modules:
        contexts = data.contexts_by_lineno(str(copy / "src" / "canister_factory" / module))
        reached[module] = {
            line: frozenset(name.rpartition("|")[0] for name in names if name) for line, names in contexts.items()
        }
    return Baseline(ran["seconds"], reached)


# --- Mutants ---------------------------------------------------------------------------------------------------------

_copy: Path
_baseline: Baseline


def begin_worker(folder: str, found: Baseline) -> None:
    """In each worker: its copy of the package, compiled so that a child needn't."""
    global _copy, _baseline
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _copy = copied(Path(tempfile.mkdtemp(dir=folder)))
    _baseline = found
    import compileall

    compileall.compile_dir(_copy / "src", quiet=1)


def judge(mutant: Mutant) -> Verdict:
    """Runs the tests that reach a mutant against it, in the worker's copy."""
    tests = _baseline.tests_of(mutant)
    if not tests:
        return Verdict(mutant, "unreached", 0, 0.0)
    path = _copy / "src" / "canister_factory" / mutant.module
    source = path.read_bytes()
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()
    started = time.monotonic()
    limit = 30 + 6 * sum(_baseline.seconds[test] for test in tests)
    path.write_bytes(mutant.applied(source))
    try:
        ran, _ = in_child(lambda: pytest_on(_copy, "-x", *tests), limit)
    finally:
        path.write_bytes(source)
    seconds = time.monotonic() - started
    if ran is None:
        # Ended by a crash (as when nothing can be imported) or by the limit: noticed in either case.
        return Verdict(mutant, "timeout" if seconds >= limit else "killed", len(tests), seconds)
    return Verdict(mutant, "survived" if ran["code"] == 0 else "killed", len(tests), seconds, ran["failed"])


def chosen(arguments: argparse.Namespace) -> tuple[list[str], list[Mutant]]:
    """The modules, and the sample of their mutants."""
    modules = sorted({str(path.relative_to(PACKAGE)) for name in arguments.module for path in PACKAGE.glob(name)})
    if not modules:
        sys.exit(f"error: no module of {PACKAGE.relative_to(ROOT)} is named {', '.join(arguments.module)}")
    mutants = [mutant for module in modules for mutant in mutants_of(module, PACKAGE / module)]
    if arguments.only:
        return modules, [mutant for mutant in mutants if mutant.id in arguments.only]
    if 0 < arguments.count < len(mutants):
        mutants = random.Random(arguments.seed).sample(mutants, arguments.count)
    return modules, mutants


def judged(mutants: list[Mutant], found: Baseline, jobs: int, folder: Path) -> Iterator[Verdict]:
    """All verdicts, as they come."""
    with multiprocessing.get_context("fork").Pool(jobs, begin_worker, (str(folder), found)) as pool:
        yield from pool.imap_unordered(judge, mutants)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="scripts/mutate", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--count", type=int, default=300, help="how many mutants; 0: all (default: 300)")
    made.add_argument("--seed", type=int, default=1, help="which ones: the same seed, the same mutants (default: 1)")
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once (default: the cores)")
    made.add_argument("--module", action="append", metavar="GLOB", help=f"default: {' '.join(MODULES)}")
    made.add_argument("--tests", action="append", metavar="PATH", help="default: unit tests and creations")
    made.add_argument("--only", action="append", metavar="ID", help="this mutant alone, again")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def main() -> int:
    """Exit code 0: no survivors, 1: some, 2: the tests fail without a mutant, or wrong usage."""
    arguments = parser().parse_args()
    arguments.module = arguments.module or list(MODULES)
    modules, mutants = chosen(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with tempfile.TemporaryDirectory(prefix="canister-factory-mutants-") as name:
        folder = Path(name)
        tell(
            f"{len(mutants)} mutants of {len(modules)} modules, seed {arguments.seed}; first the tests as they are ..."
        )
        first = copied(Path(tempfile.mkdtemp(dir=folder)))
        found = baseline(first, modules, arguments.tests or list(TESTS))
        tell(f"{len(found.seconds)} tests pass")
        verdicts: list[Verdict] = []
        for verdict in judged(mutants, found, arguments.jobs, folder):
            verdicts.append(verdict)
            if verdict.outcome in ("survived", "unreached"):
                tell(f"{verdict.mutant.id} {verdict.outcome}: {verdict.mutant.module}:{verdict.mutant.line}")
            if len(verdicts) % 25 == 0:
                tell(f"{len(verdicts)} of {len(mutants)} done")
    show(verdicts, time.monotonic() - started, arguments)
    return 1 if any(verdict.outcome in ("survived", "unreached") for verdict in verdicts) else 0


def show(verdicts: list[Verdict], seconds: float, arguments: argparse.Namespace) -> None:
    """The survivors as changed lines, then the figures; or all of it as JSON."""
    verdicts.sort(key=lambda verdict: (verdict.mutant.module, verdict.mutant.start, verdict.mutant.text))
    alive = [verdict for verdict in verdicts if verdict.outcome in ("survived", "unreached")]
    counts = {
        name: sum(verdict.outcome == name for verdict in verdicts)
        for name in ("killed", "timeout", "survived", "unreached")
    }
    share = 100 * len(alive) / len(verdicts) if verdicts else 0.0
    if arguments.json:
        told = [asdict(verdict) | {"id": verdict.mutant.id} for verdict in verdicts]
        head = {"seed": arguments.seed, "mutants": len(verdicts), **counts, "survivors_percent": round(share, 1)}
        print(json.dumps({**head, "seconds": round(seconds, 1), "verdicts": told}, indent=2))
        return
    for verdict in alive:
        mutant = verdict.mutant
        print(f"{mutant.id}  {mutant.module}:{mutant.line} {mutant.function or '(module)'}, {mutant.operator}", end="")
        print(f": {verdict.outcome}, {verdict.tests} tests")
        print("\n".join(mutant.diff((PACKAGE / mutant.module).read_bytes())), end="\n\n")
    listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"{len(verdicts)} mutants in {seconds:.0f} s: {listed}; {share:.1f} % not noticed")


if __name__ == "__main__":
    sys.exit(main())
