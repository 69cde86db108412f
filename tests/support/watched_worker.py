"""A worker in a process of its own that is watched over HTTP: its events, and the server that it names."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx


class WatchedWorker:
    """A worker that runs, with `--json`."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "canister_factory", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        self.said: list[str] = []
        self.url = self.line(r"^metrics at (http://\S+)/metrics$")[1]

    def line(self, pattern: str) -> re.Match[str]:
        """Reads stderr up to a line like this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line.rstrip()):
                return found
        raise AssertionError(f"the worker ended: {''.join(self.said)}")

    def event(self, name: str) -> dict[str, Any]:
        """Reads stdout up to an event of this name; every line before it is an event, too."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"the worker ended: {''.join(self.said)}{self.process.communicate()[1]}")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}", trust_env=False)

    def metrics(self) -> dict[str, float]:
        """Each sample by its name and labels, as the page writes them."""
        lines = [line for line in self.get("metrics").text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@contextmanager
def watched_worker(arguments: list[str]) -> Iterator[WatchedWorker]:
    """A worker that runs while the block does, then stops in good order."""
    worker = WatchedWorker(arguments)
    try:
        yield worker
    finally:
        worker.process.send_signal(signal.SIGTERM)
        _, error = worker.process.communicate()
    assert worker.process.returncode == 0, error
