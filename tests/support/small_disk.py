"""A disk of a few megabytes for one command: a tmpfs in a mount namespace of its own, which ends with the command."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = [sys.executable, "-m", "canister_factory"]


@functools.cache
def _is_possible() -> bool:
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def on_small_disk(directory: Path, size: str, script: str) -> list[str]:
    """A command that runs a shell script with a disk of `size` (such as `8m`) mounted at `directory`.

    Skips the test where this user may not mount one.
    """
    if not _is_possible():
        pytest.skip("a small disk needs unshare(1), and the right to mount a tmpfs (root has it)")
    directory.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(directory))}"
    return ["unshare", "--mount", "sh", "-c", f"{mount} && {script}"]


def shell(*words: str) -> str:
    """A command line of ours for such a script."""
    return shlex.join([*MODULE, *words])


def environment(**variables: object) -> dict[str, str]:
    """This process's, with others on top."""
    return {**os.environ, **{name: str(value) for name, value in variables.items()}}
