"""Replicas of two builds side by side: this one's, and one in another directory that was set up there before.

Owns their processes and what the system says of them. Does not own what is measured (`tests/benchmarks`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from canister_factory.ic.network import Network

HERE: Final = Path(__file__).resolve().parents[2]
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Build:
    """A working copy with the environment that its scripts have set up."""

    name: str
    directory: Path

    @property
    def python(self) -> str:
        own = self.directory / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable


def builds(baseline: Path | None) -> list[Build]:
    """The baseline first, where there is one, and this build."""
    return [*([Build("old", baseline)] if baseline is not None else []), Build("new", HERE)]


class RunningBuild:
    """A replica of one build, as a process of its own with a state directory that goes afterwards.

    Args:
        prepare: makes the state directory; None: the replica does.
    """

    def __init__(self, build: Build, prepare: Callable[[Path], None] | None = None) -> None:
        self.build = build
        self._prepare = prepare
        self._child: subprocess.Popen[bytes]
        self.network: Network
        self.ready_seconds = 0.0
        self.state_dir: Path

    def __repr__(self) -> str:
        return f"<RunningBuild {self.build.name}>"

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="canister-factory-bench-")
        self.state_dir = Path(self._temporary.name) / "state"
        if self._prepare is not None:
            self._prepare(self.state_dir)
        started = time.perf_counter()
        self._log: IO[bytes] = (Path(self._temporary.name) / "log").open("wb")
        command = (self.build.python, "-m", "canister_factory", "replica", "start")
        self._child = subprocess.Popen(
            [*command, "--json", "--exit-with-parent", "--port", "0", "--state-dir", str(self.state_dir)],
            cwd=self.build.directory,
            env={**os.environ, "CANISTER_FACTORY_HOME": str(self.state_dir)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            process_group=0,
        )
        assert self._child.stdout is not None
        record = json.loads(self._child.stdout.readline())
        self.ready_seconds = time.perf_counter() - started
        self.network = Network.resolve(record["url"], root_key=bytes.fromhex(record["root_key"]))
        return self

    def terminate(self) -> float:
        """Ends the replica with SIGTERM; the seconds that it took."""
        started = time.perf_counter()
        self._child.terminate()
        self._child.wait(60)
        return time.perf_counter() - started

    def __exit__(self, *_: object) -> None:
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._log):
            if stream is not None:
                stream.close()
        self._temporary.cleanup()

    @property
    def processes(self) -> list[int]:
        """The replica's process, and those that it has made."""
        return family(self._child.pid)

    def cpu_seconds(self) -> list[float]:
        """User and system time so far, for each of the processes."""
        return [cpu_seconds(pid) for pid in self.processes]

    def resident_bytes(self) -> int:
        """Memory of all processes, where shared pages count once (the kernel's PSS)."""
        return sum(_pss_bytes(pid) for pid in self.processes)

    def disk_bytes(self) -> int:
        """What the state directory takes on disk."""
        return sum(path.stat().st_blocks * 512 for path in self.state_dir.rglob("*") if path.is_file())


def family(pid: int) -> list[int]:
    """A process and those that it has made."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
