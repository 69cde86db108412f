"""The set-up of a clone: what the lock says is installed, whatever happens in between, and again a year later."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.setup_project import REPOSITORY, Index, Project, kill

pytestmark = [
    pytest.mark.begins_first,
    pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts need bash"),
]

STEPS = [
    "Making a virtual environment in .venv ...",
    "Installing the packages that requirements/run.lock pins (once; about a minute) ...",
]


@pytest.fixture
def index() -> Iterator[Index]:
    made = Index()
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path, index: Index) -> Project:
    """A project that wants `a`, which wants `b` with an extra; both are locked."""
    made = Project(tmp_path / "clone", index)
    made.lock(index.offer("a", "1.0", ["b[extra]>=1.0"]), index.offer("b", "1.0", extras=["extra"]))
    return made


@pytest.fixture(scope="module")
def ready_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project like `project` whose set-up has ended, and a copy of its folder: an environment stays where it is."""
    server = Index()
    project = Project(tmp_path_factory.mktemp("ready") / "clone", server)
    project.lock(server.offer("a", "1.0", ["b[extra]>=1.0"]), server.offer("b", "1.0", extras=["extra"]))
    code, said = project.set_up()
    server.close()
    assert code == 0, said
    copy = project.root.with_name("copy")
    shutil.copytree(project.root, copy, symlinks=True)
    return project, copy


@pytest.fixture
def ready(ready_once: tuple[Project, Path], index: Index) -> Project:
    """A project as `project` after its first set-up."""
    project, copy = ready_once
    shutil.rmtree(project.root, ignore_errors=True)
    shutil.copytree(copy, project.root, symlinks=True)
    return project.with_index(index)


def lines_of(said: str) -> list[str]:
    """What was said, without how long it took."""
    return [line for line in said.splitlines() if not line.startswith("The environment is ready after ")]


# --- what is installed ------------------------------------------------------------------------------------------------


def test_the_locked_release_is_installed_though_another_package_wants_it_with_extras(project: Project) -> None:
    """The fault that made every new clone fail: pip looks anew for `b[extra]`, beside the pin of `b`."""
    project.index.offer("b", "2.0", extras=["extra"])
    project.index.offer("a", "2.0")
    code, said = project.set_up(PYTHON=sys.executable)
    assert (code, lines_of(said)) == (0, STEPS)
    assert (project.installed("a"), project.installed("b")) == ("1.0", "1.0")


def test_a_second_run_is_silent_and_needs_neither_pip_nor_an_index(ready: Project) -> None:
    for pip in ready.venv.glob("lib/python*/site-packages/pip.pth"):
        pip.unlink()
    asked: list[str] = []
    ready.index.on_request = asked.append
    assert ready.set_up() == (0, "")
    assert asked == []


def test_a_lock_that_changed_is_installed(ready: Project) -> None:
    ready.lock(ready.index.offer("a", "2.0", ["b[extra]"]), ready.index.offer("b", "1.0", extras=["extra"]))
    code, said = ready.set_up()
    assert (code, lines_of(said)) == (0, STEPS[1:]), "without a new environment"
    assert ready.installed("a") == "2.0"


def test_what_an_earlier_lock_had_is_not_in_the_way_of_a_later_one(project: Project) -> None:
    project.lock(
        project.index.offer("a", "1.0"), project.index.offer("b", "1.0"), project.index.offer("old", "1.0", ["b<2"])
    )
    assert project.set_up()[0] == 0
    project.lock(project.index.offer("a", "1.0"), project.index.offer("b", "2.0"))
    code, said = project.set_up()
    assert (code, lines_of(said)) == (0, [STEPS[1], *STEPS])
    assert project.installed("b") == "2.0"


@pytest.mark.parametrize(
    ("lock", "complaint", "runs"),
    [
        # The second run doesn't take the first one's work for done.
        ([("a", "1.0", ["b"])], "a 1.0 requires b, which is not installed.", 2),
        ([("a", "1.0", ["b>=2"]), ("b", "1.0", [])], "a 1.0 has requirement b>=2, but you have b 1.0.", 1),
    ],
)
def test_a_lock_that_is_not_complete_is_an_error_that_names_what_is_missing(
    project: Project, lock: list[tuple[str, str, list[str]]], complaint: str, runs: int
) -> None:
    project.lock(*(project.index.offer(*package) for package in lock))
    for _ in range(runs):
        code, said = project.set_up()
        assert code == 1
        assert said.splitlines()[-2:] == [
            complaint,
            "error: requirements/run.lock doesn't fit together (see above); scripts/lock makes it anew",
        ]


def test_what_pip_says_of_a_failure_is_shown_and_the_next_run_tries_again(project: Project) -> None:
    missing = project.index.wheels.pop("b-1.0-py3-none-any.whl")
    code, said = project.set_up()
    assert code == 1
    assert "No matching distribution found for b==1.0" in said
    assert said.splitlines()[-1] == "error: the packages could not be installed (see above); the next run tries again"
    project.index.wheels["b-1.0-py3-none-any.whl"] = missing
    assert project.set_up()[0] == 0
    assert project.installed("b") == "1.0"


def test_a_package_that_is_not_the_locked_one_is_refused(project: Project) -> None:
    project.index.wheels["b-1.0-py3-none-any.whl"] += b"tampered with"
    code, said = project.set_up()
    assert code == 1
    assert "DO NOT MATCH THE HASHES" in said


def test_a_persons_pip_settings_do_not_send_the_packages_elsewhere(project: Project, tmp_path: Path) -> None:
    code, _ = project.set_up(PIP_USER="1", PIP_TARGET=str(tmp_path / "target"), PYTHONPATH=str(tmp_path))
    assert code == 0
    assert project.installed("a") == "1.0"


# --- which Python -----------------------------------------------------------------------------------------------------


def test_without_a_suitable_python_one_line_says_what_is_needed(project: Project, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "cat", "cut", "sha256sum", "flock", "mktemp", "rm"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    (programs / "python3").symlink_to("/bin/false")  # one that is too old
    code, said = project.set_up(PATH=str(programs), PYTHON="")
    assert code == 1
    assert said == (
        "error: Python 3.11, 3.12 or 3.13 with the module venv is needed and none was found; install one, "
        "or set PYTHON to one\n"
    )


def test_a_python_that_was_asked_for_and_can_not_be_used_is_named(project: Project) -> None:
    code, said = project.set_up(PYTHON="/bin/false")
    assert code == 1
    assert said.startswith("error: PYTHON is /bin/false, which isn't Python 3.11, 3.12 or 3.13")
    assert said.count("\n") == 1


def test_an_environment_whose_python_is_gone_is_made_anew(ready: Project) -> None:
    (ready.venv / "bin" / "python").unlink()
    (ready.venv / "bin" / "python").symlink_to("/nonexistent/python")
    code, said = ready.set_up()
    assert (code, lines_of(said)) == (0, STEPS)
    assert ready.installed("a") == "1.0"


def test_a_clone_that_was_moved_is_set_up_anew(ready: Project, tmp_path: Path) -> None:
    moved = ready.moved_to(tmp_path / "elsewhere")
    code, said = moved.set_up()
    assert (code, lines_of(said)) == (0, STEPS)
    script = "import canister_factory; print(canister_factory.__file__)"
    found = subprocess.run([moved.venv / "bin" / "python", "-I", "-c", script], capture_output=True, text=True)
    assert found.stdout.startswith(str(moved.root))


# --- killed, interrupted, twice at once ------------------------------------------------------------------------------


def test_killed_while_the_environment_is_made_the_next_run_begins_anew(project: Project, tmp_path: Path) -> None:
    """Killed where an interpreter is there, but nothing that it needs."""
    python = tmp_path / "killing-python"
    python.write_text(
        "#!/usr/bin/env bash\n"
        f'if [[ " $* " != *" -m venv "* ]]; then exec {sys.executable} "$@"; fi\n'
        'for last in "$@"; do :; done\n'
        f'mkdir -p "$last/bin"; ln -s {sys.executable} "$last/bin/python"; kill -9 0\n'
    )
    python.chmod(0o755)
    assert project.set_up(PYTHON=str(python))[0] == -signal.SIGKILL
    assert (project.venv / "bin" / "python").exists()
    code, said = project.set_up()
    assert (code, lines_of(said)) == (0, STEPS)
    assert project.installed("a") == "1.0"


def test_killed_while_packages_are_installed_the_next_run_begins_anew(project: Project) -> None:
    process = project.begin()
    project.index.on_request = lambda name: kill(process) if name.startswith("b-") else None
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    project.index.on_request = lambda name: None
    code, said = project.set_up()
    assert (code, lines_of(said)) == (0, STEPS)
    assert (project.installed("a"), project.installed("b")) == ("1.0", "1.0")


def test_killed_while_the_project_itself_is_installed_the_next_run_begins_anew(project: Project) -> None:
    assert project.set_up(KILL_THE_BUILD="1")[0] == -signal.SIGKILL
    assert project.installed("b") == "1.0", "killed after the lock's packages were there"
    code, said = project.set_up()
    assert (code, lines_of(said)) == (0, STEPS)
    assert project.set_up() == (0, "")


def test_an_interruption_ends_it_with_130_and_one_line(project: Project) -> None:
    process = project.begin()
    project.index.on_request = lambda name: os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    project.index.on_request = lambda name: None
    assert process.returncode == 130
    assert lines_of(said) == [*STEPS, "Interrupted; the next run begins the set-up anew."]
    assert list((project.root / "home").glob("tmp.*")) == [], "nothing is left in the directory for temporary files"
    assert project.set_up()[0] == 0
    assert project.installed("b") == "1.0"


@pytest.mark.parametrize("script", ["test", "demo"])
def test_ctrl_c_on_a_terminal_ends_the_scripts_with_130_and_one_line(project: Project, script: str) -> None:
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - becomes the script
        os.chdir(project.root)
        os.execvpe("bash", ["bash", f"scripts/{script}"], project.environment)
    project.index.on_request = lambda name: os.write(terminal, b"\x03")
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that nobody is there any more
            break
        if not part:
            break
        said += part
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    shown = said.decode().replace("^C", "").splitlines()
    kind = "dev" if script == "test" else "run"
    assert shown == [
        STEPS[0],
        STEPS[1].replace("run", kind),
        "Interrupted; the next run begins the set-up anew.",
    ]


@pytest.mark.skipif(shutil.which("flock") is None, reason="two set-ups at once need flock(1)")
def test_of_two_set_ups_at_once_one_does_the_work_and_the_other_waits(project: Project) -> None:
    waiting, asked = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        asked.set()
        assert waiting.wait(60)

    project.index.on_request = hold
    first = project.begin()
    assert asked.wait(60)
    second = project.begin()
    assert second.stderr is not None
    line = second.stderr.readline()
    waiting.set()
    said = [first.communicate(timeout=120)[1], second.communicate(timeout=120)[1]]
    assert (first.returncode, second.returncode) == (0, 0)
    assert line == "Another script is setting the environment up; waiting for it ...\n"
    assert [lines_of(text) for text in said] == [STEPS, []]
    assert project.installed("a") == "1.0"


def test_every_script_installs_a_lock_without_resolving_anything() -> None:
    installing = [
        (path.name, line)
        for path in (REPOSITORY / "scripts").rglob("*")
        if path.is_file()
        for line in path.read_text().splitlines()
        if "install" in line and ".lock" in line and "-r " in line
    ]
    assert {name for name, _ in installing} == {"environment.sh", "check-wheel"}
    for name, line in installing:
        assert "--require-hashes --no-deps" in line, name
