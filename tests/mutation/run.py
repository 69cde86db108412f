"""Puts small faults into the modules that must not be wrong, one at a time, and shows which of them no test notices.

Owns the run: a baseline that says which test reaches which line, a sample of mutants, and for each the tests that reach
it. Does not own: the mutants themselves (`mutants`). What to do with survivors: docs/testing.md.

Nothing is changed in the tree: mutants are put into copies of `src`, in a folder that goes with the run.
Each mutant's tests run in a process forked from this one, which has imported the libraries, but nothing of the project.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib
import json
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

import coverage
import pytest

from mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "factory/verify.py",
    "factory/manifest.py",
    "factory/stages.py",
    "factory/copying.py",
    "factory/lease.py",
    "factory/target.py",
    "factory/retry.py",
    "ic/verdict.py",  # which failures pass
    "ic/certificate.py",
    "ic/agent*.py",
    "ic/outcome.py",  # the agent's: what an answer to a call means
    "ic/requester.py",  # the agent's: sending, and asking again
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
LIBRARIES = (
    *("httptools", "cbor2", "click", "cryptography.x509", "hypothesis.stateful", "httpx", "ic.agent", "lark"),
    *("prometheus_client", "pyblst", "pydantic", "pytest_asyncio", "rich.console", "wasmtime"),
)
SECONDS_PER_TEST = 60
"""What a test may take with a mutant; a mutant that makes one hang is found by that."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Without a mutant: each test's seconds, and which tests reach a line of a module (none: it runs at import)."""

    seconds: dict[str, float]
    reached: dict[str, dict[int, frozenset[str]]]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that reach it, the quickest first. What runs at import concerns all test files of the module."""
        lines = self.reached.get(mutant.module, {})
        span = [lines[line] for line in range(mutant.line, mutant.last_line + 1) if line in lines]
        tests = frozenset[str]().union(*span)
        if span and not tests:
            files = {test.partition("::")[0] for reaching in lines.values() for test in reaching}
            tests = frozenset(test for test in self.seconds if test.partition("::")[0] in files)
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


class Child:
    """A forked process group that does `action`; `result` is its JSON value, or `None` when it ended otherwise."""

    def __init__(self, action: Callable[[], Any], seconds: float) -> None:
        self.started = time.monotonic()
        self.limit = seconds
        self.result: Any = None
        self._answer = tempfile.TemporaryFile("w+")  # noqa: SIM115 - both are closed with this object
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._pid = os.fork()
        if self._pid == 0:
            self._run(action)
        RUNNING.add(self)

    def _run(self, action: Callable[[], Any]) -> NoReturn:
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for number in (1, 2):
                os.dup2(self._output.fileno(), number)
            json.dump(action(), self._answer)
            self._answer.flush()
            code = 0
        finally:
            os._exit(code)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    def ended(self) -> bool:
        """Whether it ended by itself, or was ended because it took too long."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid and self.seconds < self.limit:
            return False
        self.end(waited=bool(pid))
        self._answer.seek(0)
        text = self._answer.read()
        self.result = json.loads(text) if pid and status == 0 else None
        return True

    def end(self, *, waited: bool = False) -> None:
        """Kills it, and what its tests started."""
        RUNNING.discard(self)
        for kill, target in ((os.killpg, self._pid), (os.kill, self._pid)):
            if kill is os.kill and waited:
                continue  # the number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(target, signal.SIGKILL)
        if not waited:
            os.waitpid(self._pid, 0)

    def output(self) -> str:
        """What it printed."""
        self._output.seek(0)
        return self._output.read()


RUNNING: set[Child] = set()


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


def copied(folder: Path, original: Path = ROOT) -> Path:
    """A copy of the package, with the canisters where the package looks for them."""
    shutil.copytree(original / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "canisters").symlink_to(ROOT / "canisters")
    return folder


# --- Baseline --------------------------------------------------------------------------------------------------------


def baseline(copy: Path, modules: list[str], tests: list[str]) -> Baseline:
    """Runs all tests once with coverage. Exits when one fails: then survivors would mean nothing."""
    sources = [f"--cov={copy / 'src' / 'canister_factory'}", "--cov-context=test", "--cov-report=", "--cov-config="]
    child = Child(lambda: pytest_on(copy, *tests, *sources), 1_800)
    while not child.ended():
        time.sleep(0.1)
    ran = child.result
    if not ran or ran["code"] != 0:
        print(f"{child.output()[-6_000:]}\nerror: without any mutant the tests fail; see above", file=sys.stderr)
        sys.exit(2)
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


class Trial:
    """A mutant in a copy of the package, and the tests that reach it, running."""

    def __init__(self, mutant: Mutant, copy: Path, tests: list[str], expected_seconds: float) -> None:
        self.mutant = mutant
        self.copy = copy
        self._tests = len(tests)
        self._path = copy / "src" / "canister_factory" / mutant.module
        self._source = self._path.read_bytes()
        for compiled in (self._path.parent / "__pycache__").glob(f"{self._path.stem}.*"):
            compiled.unlink()
        self._path.write_bytes(mutant.applied(self._source))
        self._child = Child(lambda: pytest_on(copy, "-x", *tests), 60 + 5 * expected_seconds)

    def verdict(self) -> Verdict | None:
        """`None` while it runs; afterwards the copy is as it was."""
        if not self._child.ended():
            return None
        self._path.write_bytes(self._source)
        seconds, ran = self._child.seconds, self._child.result
        if ran is None:
            # Ended by a crash (as when nothing can be imported) or by the limit: noticed in either case.
            outcome = "timeout" if seconds >= self._child.limit else "killed"
            return Verdict(self.mutant, outcome, self._tests, seconds)
        outcome = "survived" if ran["code"] == 0 else "killed"
        return Verdict(self.mutant, outcome, self._tests, seconds, ran["failed"])


def judged(mutants: list[Mutant], found: Baseline, jobs: int, original: Path) -> Iterator[Verdict]:
    """All verdicts, as they come."""
    free = [copied(Path(tempfile.mkdtemp(dir=original.parent)), original) for _ in range(jobs)]
    for copy in free:
        compileall.compile_dir(copy / "src", quiet=1)
    waiting, running = list(reversed(mutants)), list[Trial]()
    while waiting or running:
        while waiting and free:
            mutant = waiting.pop()
            if tests := found.tests_of(mutant):
                running.append(Trial(mutant, free.pop(), tests, sum(found.seconds[test] for test in tests)))
            else:
                yield Verdict(mutant, "unreached", 0, 0.0)
        for trial in list(running):
            if verdict := trial.verdict():
                running.remove(trial)
                free.append(trial.copy)
                yield verdict
        time.sleep(0.02)


def chosen(package: Path, arguments: argparse.Namespace) -> tuple[list[str], list[Mutant]]:
    """The modules, and the sample of their mutants."""
    modules = sorted({str(path.relative_to(package)) for name in arguments.module for path in package.glob(name)})
    if not modules:
        print(f"error: no module in src/canister_factory is named {', '.join(arguments.module)}", file=sys.stderr)
        sys.exit(2)
    mutants = [mutant for module in modules for mutant in mutants_of(module, package / module)]
    if arguments.only:
        return modules, [mutant for mutant in mutants if mutant.id in arguments.only]
    if 0 < arguments.count < len(mutants):
        mutants = random.Random(arguments.seed).sample(mutants, arguments.count)
    return modules, mutants


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


def end_all() -> None:
    """Leaves no child behind."""
    for child in list(RUNNING):
        child.end()


def main() -> int:
    """Exit code 0: no survivors, 1: some, 2: the tests fail without a mutant, or wrong usage."""
    arguments = parser().parse_args()
    arguments.module = arguments.module or list(MODULES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with tempfile.TemporaryDirectory(prefix="canister-factory-mutants-") as folder, contextlib.ExitStack() as stack:
        stack.callback(end_all)
        original = copied(Path(tempfile.mkdtemp(dir=folder)))  # whoever goes on working meanwhile disturbs nothing
        package = original / "src" / "canister_factory"
        modules, mutants = chosen(package, arguments)
        diffs = {mutant.id: mutant.diff((package / mutant.module).read_bytes()) for mutant in mutants}
        tell(f"{len(mutants)} mutants of {', '.join(modules)} (seed {arguments.seed}); first the tests as they are ...")
        found = baseline(original, modules, arguments.tests or list(TESTS))
        tell(f"{len(found.seconds)} tests pass")
        verdicts: list[Verdict] = []
        for verdict in judged(mutants, found, arguments.jobs, original):
            verdicts.append(verdict)
            if verdict.outcome in ("survived", "unreached"):
                tell(f"{verdict.mutant.id} {verdict.outcome}: {verdict.mutant.module}:{verdict.mutant.line}")
            if len(verdicts) % 25 == 0:
                tell(f"{len(verdicts)} of {len(mutants)} done")
    show(verdicts, diffs, time.monotonic() - started, arguments)
    return 1 if any(verdict.outcome in ("survived", "unreached") for verdict in verdicts) else 0


def show(verdicts: list[Verdict], diffs: dict[str, list[str]], seconds: float, arguments: argparse.Namespace) -> None:
    """The survivors as changed lines, then the figures; or all of it as JSON."""
    verdicts.sort(key=lambda verdict: (verdict.mutant.module, verdict.mutant.start, verdict.mutant.text))
    alive = [verdict for verdict in verdicts if verdict.outcome in ("survived", "unreached")]
    counts = {
        name: sum(verdict.outcome == name for verdict in verdicts)
        for name in ("killed", "timeout", "survived", "unreached")
    }
    share = 100 * len(alive) / len(verdicts) if verdicts else 0.0
    if arguments.json:
        told = [asdict(v) | {"id": v.mutant.id, "diff": diffs[v.mutant.id]} for v in verdicts]
        head = {"seed": arguments.seed, "mutants": len(verdicts), **counts, "survivors_percent": round(share, 1)}
        print(json.dumps({**head, "seconds": round(seconds, 1), "verdicts": told}, indent=2))
        return
    for verdict in alive:
        mutant = verdict.mutant
        print(f"{mutant.id}  {mutant.module}:{mutant.line} {mutant.function or '(module)'}, {mutant.operator}", end="")
        print(f": {verdict.outcome}, {verdict.tests} tests")
        print("\n".join(diffs[mutant.id]), end="\n\n")
    listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"{len(verdicts)} mutants in {seconds:.0f} s: {listed}; {share:.1f} % not noticed")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted; nothing is left of it.", file=sys.stderr)
        sys.exit(130)
