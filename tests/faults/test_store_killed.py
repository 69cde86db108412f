"""kill -9 in the middle of writing and of snapshots: every life goes on from what the one before it had answered."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
TESTS = Path(__file__).parent.parent


def life(directory: Path, chance: random.Random) -> tuple[int, str, int]:
    """Starts a process, kills it at some moment: the count that it found, what it remembered, the last it answered."""
    command = [sys.executable, "-m", "support.counting_replica", str(directory)]
    child = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first, f"it refused to start, exit code {child.wait()}"
    count, _, remembered = first.strip().partition(" ")
    answered = int(count)
    for _ in range(chance.randrange(40)):
        answered = int(child.stdout.readline())
    child.kill()
    for line in child.stdout:  # said before it was killed
        if line.endswith("\n"):
            answered = int(line)
    child.wait()
    child.stdout.close()
    return int(count), remembered, answered


def test_no_answer_is_lost_however_often_the_process_is_killed(tmp_path: Path, sweep: bool) -> None:
    seed = int.from_bytes(os.urandom(4), "big") if sweep else 1
    chance = random.Random(seed)
    answered = 0
    for number in range(200 if sweep else 8):
        count, remembered, latest = life(tmp_path, chance)
        context = f"life {number} of seed {seed}"
        # Of the call that was under way, all may be there, a part of the messages, or nothing.
        assert count in (answered, answered + 1), context
        if count:
            assert int(remembered) in {answered, count}, context
        answered = latest
    assert answered > 20
