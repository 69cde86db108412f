"""What conformance tests share: an embedded replica, and the official clients, whose npm packages are pinned."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from canister_factory.replica.node.process import ReplicaProcess
from support.preloaded_command import preloaded_command

CLIENTS = Path(__file__).resolve().parent / "clients"
OLDEST_NODE = (20, 19)  # what the JavaScript agent's libraries ask for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of each client waits for its packages, and some build canisters: minutes on a slow machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Path]:
    """`canister-factory` without the time of its imports."""
    with preloaded_command() as command:
        yield command


@pytest.fixture(scope="session")
def replica() -> Iterator[ReplicaProcess]:
    """An embedded replica for all conformance tests."""
    with ReplicaProcess() as process:
        yield process


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder of the official clients, installed as package-lock.json says; skips where Node.js isn't there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        _absent("Node.js and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < OLDEST_NODE:
        _absent(f"Node.js is {version}, the JavaScript agent needs {'.'.join(map(str, OLDEST_NODE))} or newer")
    if problem := install_clients(npm, CLIENTS):
        _absent(f"npm ci could not install the official clients:\n{problem}")
    return CLIENTS


def install_clients(npm: str, folder: Path) -> str:
    """Installs what the folder's package-lock.json pins, unless it is there; returns why it couldn't be, or "".

    Killed at any moment, the next call begins anew; of two at once, one does the work.
    """
    stamp = folder / "node_modules" / ".installed"
    wanted = sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with (folder / ".npm-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return ""
        # The stamp comes last: half an installation has none.
        stamp.unlink(missing_ok=True)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        installed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if installed.returncode:
            return installed.stderr[-2000:] or f"it ended with {installed.returncode}"
        stamp.write_text(wanted)
    return ""


@pytest.fixture(scope="session")
def icp_binary(clients: Path) -> Path:
    """icp-cli; skips on machines that its pinned package is not for."""
    binary = clients / "node_modules" / "@icp-sdk" / "icp-cli-linux-x64" / "bin" / "icp"
    if not binary.exists():
        _absent(f"icp-cli is pinned for Linux on x86-64 only; this is {platform.system()} on {platform.machine()}")
    return binary


def _absent(reason: str) -> NoReturn:
    """Skips; fails where CI asks that nothing is skipped."""
    if os.environ.get("CANISTER_FACTORY_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, and CANISTER_FACTORY_REQUIRE_SHARED asks for it", pytrace=False)
    pytest.skip(reason)
