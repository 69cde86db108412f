"""Commands that start replicas in processes of their own, typed in a shell with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from canister_factory.replica.node.observation import is_alive

Done = subprocess.CompletedProcess[str]
MODULE = [sys.executable, "-m", "canister_factory"]


class Shell:
    """Runs commands with a home of their own, and ends the replicas that they left running."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pids: list[int] = []

    def __call__(self, *arguments: str, **variables: str) -> Done:
        environment = {**os.environ, "CANISTER_FACTORY_HOME": str(self.home), **variables}
        environment = {name: value for name, value in environment.items() if value != "(unset)"}
        done = subprocess.run(
            [*MODULE, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    def background(self, *options: str, **variables: str) -> dict[str, Any]:
        """Starts a replica in the background; what it said when it was ready."""
        done = self("replica", "start", "--background", "--port", "0", "--json", *options, **variables)
        assert done.returncode == 0, done.stderr + done.stdout
        record: dict[str, Any] = json.loads(done.stdout)
        self.pids.append(record["pid"])
        return record

    def kill_all(self) -> None:
        """Ends the replicas that were left running."""
        for pid in self.pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)


def error_of(done: Done, code: int = 1) -> str:
    """The one line of an error."""
    assert done.returncode == code, done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def json_error_of(done: Done, code: int = 1) -> dict[str, Any]:
    assert done.returncode == code, done.stderr + done.stdout
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    error: dict[str, Any] = json.loads(line)["error"]
    return error
