"""The bash scripts of `scripts/capsule`, run as a person runs them, on the network of the integration tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from canister_factory.ic.network import Network
from canister_factory.replica.node.compiled_modules import DIRECTORY_VARIABLE

CAPSULE = Path(__file__).resolve().parents[2] / "scripts" / "capsule"
INSTALLED = Path(sys.executable).parent / "canister-factory"
SHARED_FILES = {"test_config.sh", "test_utils.sh"}
SHORTEST = "test_gallery_upload.sh"
SCRIPTS = sorted(file.name for file in CAPSULE.glob("test_*.sh") if file.name not in SHARED_FILES)


def environment(folder: Path, network: Network | None = None, command: Path = INSTALLED) -> dict[str, str]:
    """Variables for a script: its home and its temporary files are in `folder`; without a network it starts its own."""
    home, temporary = folder / "home", folder / "temporary"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    where = {} if network is None else {"NETWORK": network.url, "ROOT_KEY": network.root_key.hex()}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "CANISTER_FACTORY": str(command),
        DIRECTORY_VARIABLE: os.environ[DIRECTORY_VARIABLE],
        **where,
    }


def run(
    folder: Path, network: Network | None, *arguments: str | Path, command: Path = INSTALLED
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *arguments],
        cwd=folder,
        env=environment(folder, network, command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )


def left_behind(folder: Path) -> list[Path]:
    return [file for name in ("home", "temporary") for file in (folder / name).iterdir()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_expectation_of_the_script_is_met(
    script: str, network: Network, preloaded: Path, sweep: bool, tmp_path: Path
) -> None:
    """One script, and in a sweep each, makes its calls by the installed command."""
    command = INSTALLED if sweep or script == SHORTEST else preloaded
    ran = run(tmp_path, network, CAPSULE / "run_tests.sh", "--only", script, command=command)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "[FAIL]" not in ran.stdout
    counted = re.search(rf"^{re.escape(script)}: (\d+) passed, 0 failed$", ran.stdout, re.MULTILINE)
    assert counted, ran.stdout
    assert int(counted[1]) == len(re.findall(r"^\[PASS\] .* \(.*\)$", ran.stdout, re.MULTILINE)) - 1  # and the file's
    assert int(counted[1]) > 20
    assert f"[PASS] {script} (" in ran.stdout
    assert left_behind(tmp_path) == []


def test_the_list_has_every_test_file(tmp_path: Path) -> None:
    ran = run(tmp_path, None, CAPSULE / "run_tests.sh", "--list")

    assert ran.returncode == 0
    assert sorted(ran.stdout.split()) == SCRIPTS


def test_a_file_that_is_not_there_is_a_wrong_usage(tmp_path: Path) -> None:
    ran = run(tmp_path, None, CAPSULE / "run_tests.sh", "--only", "test_nothing.sh")

    assert ran.returncode == 2
    assert "no test file 'test_nothing.sh'" in ran.stderr


def short_script(folder: Path, body: str) -> Path:
    """A test file of our own, as the others are."""
    script = folder / "test_short.sh"
    script.write_text(f"set -euo pipefail\nsource {CAPSULE}/test_utils.sh\nset_up owner\n{body}\n")
    return script


def test_an_expectation_that_is_not_met_says_what_was_expected_and_what_came(network: Network, tmp_path: Path) -> None:
    script = short_script(
        tmp_path,
        """
        query "$BACKEND" get_capsule '("cap-none")' owner
        expect_ok "deliberately wrong"
        expect_err NotFound "right"
        finish
        """,
    )

    ran = run(tmp_path, network, script)

    assert ran.returncode == 1
    failed, rest = ran.stdout.split("[FAIL] deliberately wrong\n")[1].split("[PASS] right")
    assert "call:     get_capsule as owner" in failed
    assert "expected: Ok" in failed
    assert 'came:     (variant { Err = variant { NotFound = record { id = "cap-none"' in failed
    assert "test_short.sh: 1 passed, 1 failed" in rest


@pytest.mark.parametrize("body", ["no_such_command", ":"], ids=["an error", "an end without a summary"])
def test_a_script_that_stops_before_its_end_has_failed(body: str, network: Network, tmp_path: Path) -> None:
    ran = run(tmp_path, network, short_script(tmp_path, body))

    assert ran.returncode != 0
    assert "[FAIL] test_short.sh stopped before its end" in ran.stdout
    assert left_behind(tmp_path) == []


def test_without_a_network_the_script_has_a_replica_of_its_own_which_an_interruption_ends(tmp_path: Path) -> None:
    script = short_script(tmp_path, 'echo "at $NETWORK"\nread -r never_comes')
    child = subprocess.Popen(
        ["bash", script],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test run in the background inherits that interrupts are ignored, which bash then can't change.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stdout is not None
    place = next(line for line in child.stdout if line.startswith("at "))
    assert place.startswith("at http://127.0.0.1:")

    os.killpg(child.pid, signal.SIGINT)  # as a terminal's Ctrl-C does: to the script and all that it started
    rest, _ = child.communicate(timeout=60)

    assert child.returncode == 130
    assert "stopped before its end" in rest
    assert left_behind(tmp_path) == []
    assert processes_of_session(child.pid) == []


def processes_of_session(session: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True)
    return listed.stdout.splitlines()
