"""What processes cost from start to exit: for benchmarks of what a person waits for.

Owns starting them and taking their times. Does not own what is started, and what of the times is shown.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds that went by, and that the process computed (with the kernel's time)."""

    wall_ms: float
    cpu_ms: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall_ms - other.wall_ms, self.cpu_ms - other.cpu_ms)


def cost_of(command: Sequence[str]) -> Cost:
    """Runs a command to its end, its output thrown away.

    Raises:
        CalledProcessError: it failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(1000 * wall, 1000 * (used.ru_utime + used.ru_stime))


def costs_of(*commands: Sequence[str], repeats: int) -> list[list[Cost]]:
    """The costs of several commands, in turns, so that each meets the same machine; after a turn that isn't counted."""
    turns = [[cost_of(command) for command in commands] for _ in range(repeats + 1)][1:]
    return [list(costs) for costs in zip(*turns, strict=True)]


def median(costs: Sequence[Cost]) -> Cost:
    """The medians of both times, with one decimal."""
    return Cost(
        round(statistics.median(cost.wall_ms for cost in costs), 1),
        round(statistics.median(cost.cpu_ms for cost in costs), 1),
    )
