"""The npm step of the scripts, and of the tests with official clients: killed and run again, and two at once.

npm itself is a script of a few lines here: what is tested is what we do when it doesn't end well.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.setup_project import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts need bash")

# Like npm it clears the folder first. What it does in the middle is said by the file `plan`.
_NPM = """#!/usr/bin/env bash
echo ran >>../runs
rm -rf node_modules; mkdir node_modules
echo half >node_modules/part-1
source ../plan
echo whole >node_modules/part-2
"""
INSTALLING = "Installing the Motoko compiler into canisters/node_modules (once) ...\n"


class Clone:
    """A folder with the script, a lock file, and programs named node and npm."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.canisters = root / "canisters"
        self.canisters.mkdir(parents=True)
        (self.canisters / "package-lock.json").write_text("{}")
        (root / "scripts" / "lib").mkdir(parents=True)
        shutil.copy(REPOSITORY / "scripts" / "lib" / "motoko.sh", root / "scripts" / "lib")
        programs = root / "bin"
        programs.mkdir()
        for name, text in (("npm", _NPM), ("node", "#!/bin/sh\necho v20.19.0\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.plan("true")

    def plan(self, script: str) -> None:
        (self.root / "plan").write_text(script + "\n")

    @property
    def runs(self) -> int:
        return (self.root / "runs").read_text().count("ran")

    @property
    def is_whole(self) -> bool:
        return (self.canisters / "node_modules" / "part-2").exists()

    def begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", 'set -e; source "$0"; ensure_compiler', "scripts/lib/motoko.sh"],
            cwd=self.root,
            env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(self.root)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ensure(self) -> tuple[int, str]:
        process = self.begin()
        said = process.communicate(timeout=60)[1]
        return process.returncode, said


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_it_is_installed_once_and_anew_for_another_lock(clone: Clone) -> None:
    assert clone.ensure() == (0, INSTALLING)
    assert clone.ensure() == (0, "")
    (clone.canisters / "package-lock.json").write_text('{"other": 1}')
    assert clone.ensure() == (0, INSTALLING)
    assert (clone.runs, clone.is_whole) == (2, True)


@pytest.mark.parametrize("after_a_good_one", [False, True])
def test_killed_in_the_middle_the_next_run_begins_anew(clone: Clone, after_a_good_one: bool) -> None:
    if after_a_good_one:
        assert clone.ensure()[0] == 0
        (clone.canisters / "package-lock.json").write_text('{"other": 1}')
    clone.plan("kill -9 0")
    assert clone.ensure()[0] == -signal.SIGKILL
    assert not clone.is_whole
    clone.plan("true")
    assert clone.ensure() == (0, INSTALLING)
    assert clone.is_whole


def test_an_interruption_is_130_and_one_line(clone: Clone) -> None:
    clone.plan("kill -INT 0; sleep 60")
    assert clone.ensure() == (130, INSTALLING + "Interrupted; the next run begins the installation anew.\n")
    assert list(clone.root.glob("tmp.*")) == []
    clone.plan("true")
    assert clone.ensure() == (0, INSTALLING)


def test_what_npm_says_of_a_failure_is_shown(clone: Clone) -> None:
    clone.plan("echo npm ERR! no such package; exit 1")
    code, said = clone.ensure()
    assert code == 1
    assert said.splitlines()[1:] == [
        "npm ERR! no such package",
        "error: npm could not install the Motoko compiler (see above); the next run tries again",
    ]
    clone.plan("true")
    assert clone.ensure() == (0, INSTALLING)


@pytest.mark.skipif(shutil.which("flock") is None, reason="two at once need flock(1)")
def test_of_two_at_once_one_installs_and_the_other_waits(clone: Clone) -> None:
    os.mkfifo(clone.root / "started")
    os.mkfifo(clone.root / "go on")
    clone.plan('echo >../started; read -r <"../go on"')
    first = clone.begin()
    (clone.root / "started").read_text()
    second = clone.begin()
    assert second.stderr is not None
    assert second.stderr.readline() == "Another script is installing the Motoko compiler; waiting for it ...\n"
    (clone.root / "go on").write_text("\n")
    assert first.communicate(timeout=60)[1] == INSTALLING
    assert second.communicate(timeout=60)[1] == ""
    assert (first.returncode, second.returncode, clone.runs) == (0, 0, 1)


# --- the tests with official clients --------------------------------------------------------------------------------


@pytest.fixture
def install_clients() -> Callable[[str, Path], str]:
    """The function that the conformance tests install their clients with."""
    spec = importlib.util.spec_from_file_location(
        "conformance_conftest", REPOSITORY / "tests" / "conformance" / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[str, Path], str] = module.install_clients
    return found


def test_half_an_installation_of_the_clients_is_begun_anew(
    clone: Clone, install_clients: Callable[[str, Path], str]
) -> None:
    npm = str(clone.root / "bin" / "npm")
    clone.plan("kill -9 $$")
    assert install_clients(npm, clone.canisters) != ""
    assert not clone.is_whole
    clone.plan("true")
    assert install_clients(npm, clone.canisters) == ""
    assert clone.is_whole
    assert install_clients(npm, clone.canisters) == ""
    assert clone.runs == 2
