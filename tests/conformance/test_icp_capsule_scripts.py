"""The bash scripts of `scripts/capsule` with their calls made by icp-cli, on the embedded replica."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from canister_factory.replica.node.process import ReplicaProcess

CAPSULE = Path(__file__).resolve().parents[2] / "scripts" / "capsule"


SCRIPTS = sorted(
    path.name for path in CAPSULE.glob("test_*.sh") if path.name not in ("test_config.sh", "test_utils.sh")
)


def test_all_scripts_are_found() -> None:
    assert len(SCRIPTS) == 6


@pytest.mark.sample(3)  # all of them run with calls by our own command
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_passes_with_calls_by_icp(
    script: str, icp_binary: Path, replica: ReplicaProcess, preloaded: Path, tmp_path: Path
) -> None:
    ran = subprocess.run(
        ["bash", CAPSULE / "run_tests.sh", "--only", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "CANISTER_FACTORY": str(preloaded),  # which makes the keys and deploys the backend
            "CALL_WITH": "icp",
            "ICP": str(icp_binary),
            "NETWORK": replica.url,
            "ROOT_KEY": replica.root_key.hex(),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "calls by icp" in ran.stderr
    assert f"[PASS] {script} (" in ran.stdout
    assert "[FAIL]" not in ran.stdout
    assert list(tmp_path.iterdir()) == []  # nothing is left in the home, nor of the temporary files
