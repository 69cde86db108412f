"""Ctrl-C while a network is written to a file or read from one: nothing half written is left, with its private keys."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from canister_factory.replica.node.maintenance import export
from canister_factory.replica.node.server import ReplicaServer
from support.interrupting import at_call


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A directory with a `state`, and the `file` that it was exported to."""

    async def live() -> None:
        async with ReplicaServer(tmp_path / "given" / "state"):
            pass

    asyncio.run(live())
    export(tmp_path / "given" / "state", tmp_path / "given" / "file", lambda size: None)
    return tmp_path / "given"


@pytest.mark.sample(6)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.99])
@pytest.mark.parametrize("command", ["export", "import"])
def test_an_interruption_leaves_nothing_half_written(network: Path, tmp_path: Path, command: str, share: float) -> None:
    made = tmp_path / "made"
    made.mkdir()
    file, state = (made, network) if command == "export" else (network, made)
    arguments = ["replica", command, str(file / "file"), "--state-dir", str(state / "state")]
    whole = at_call(0, *arguments, within="store/archive.py")
    assert whole.returncode == 0, whole.stderr
    complete = [path.name for path in made.iterdir()]
    for path in made.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    number = 1 + int(int(whole.stderr.splitlines()[-1]) * share)
    interrupted = at_call(number, *arguments, within="store/archive.py")
    assert interrupted.returncode == 130, interrupted.stderr
    assert interrupted.stderr.splitlines()[-1].startswith("interrupted; ")
    assert [path.name for path in made.iterdir()] in ([], complete)
