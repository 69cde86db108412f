"""Ctrl-C and SIGTERM at any moment: one line that says what holds, the exit code of shells, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.ic.network import Network
from support.creation_world import World
from support.interrupting import at_call
from support.terminal_screen import Seen, on_terminal

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")

NOTHING_KEPT = "interrupted; nothing of the demo is kept. Run it again"


@pytest.fixture(scope="module")
def calls_of_help() -> int:
    """How many function calls `demo --help` takes, nearly all of them in imports."""
    counted = at_call(0, "demo", "--help")
    assert counted.returncode == 0, counted.stderr
    return int(counted.stderr.split()[-1])


@pytest.mark.sample(6)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_an_interrupt_while_modules_are_loaded_is_one_line(calls_of_help: int, share: float) -> None:
    ended = at_call(max(1, int(calls_of_help * share)), "demo", "--help")
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr in ("interrupted; nothing was changed\n", f"{NOTHING_KEPT}\n")


def test_a_termination_while_modules_are_loaded_is_one_line(calls_of_help: int) -> None:
    ended = at_call(calls_of_help // 2, "demo", "--help", sent=signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", "terminated; nothing was changed\n")


def test_the_installed_command_takes_the_signals_over_before_it_imports_anything(repository: Path) -> None:
    first = "import sys, canister_factory.__main__; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True).stdout.split()
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, signal, typing, contextlib; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(loaded) - set(bare) <= {
        "canister_factory",
        "canister_factory.__main__",
        "canister_factory.interrupts",
        "canister_factory.lazy",
        "canister_factory.version",
        "__future__",
    }
    assert 'canister-factory = "canister_factory.__main__:main"' in (repository / "pyproject.toml").read_text()


# --- The demo on a terminal -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("memories")
    (directory / "film.mp4").write_bytes(os.urandom(15_000_000))
    return directory


def family() -> set[int]:
    """The processes that descend from this one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    grown = {os.getpid()}
    while grown:
        found |= grown
        grown = {child for child, parent in parents.items() if parent in grown} - found
    return found


def replicas_of(directory: Path) -> list[str]:
    """Command lines of running processes that name a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(directory) in command:
                found.append(command)
    return found


MOMENTS = [
    "1 file",
    "embedded replica at",
    "reserve:",
    "storing the files as memories ",
    "create_personal_canister:",
    "creating the personal canister ",
    "handed over:",
    "reading everything back",
]


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    ("marker", "number"),
    [*((marker, None) for marker in MOMENTS), ("1 file", signal.SIGTERM), ("creating the personal", signal.SIGTERM)],
)
def test_an_interrupted_demo_leaves_a_line_and_nothing_else(
    memories: Path, tmp_path: Path, marker: str, number: int | None
) -> None:
    before = family()
    seen = on_terminal(
        ["demo", str(memories)],
        when=lambda text: marker in text,
        number=number,
        environment={"TMPDIR": str(tmp_path)},
    )
    expected = NOTHING_KEPT if number is None else NOTHING_KEPT.replace("interrupted", "terminated")
    assert (seen.code, seen.lines[-1]) == (130 if number is None else 143, expected), seen.text
    assert sum("interrupted" in line or "terminated" in line for line in seen.lines) == 1
    assert seen.cursor_is_shown
    assert not re.search("[━╸╺]|MB of|Traceback|\\^C", seen.text), seen.text
    assert family() <= before
    assert list(tmp_path.iterdir()) == []
    assert replicas_of(tmp_path) == []


def test_a_kept_demo_that_is_interrupted_keeps_nothing(memories: Path, tmp_path: Path) -> None:
    seen = on_terminal(
        ["demo", str(memories), "--keep"],
        when=lambda text: "approved release" in text,
        environment={"TMPDIR": str(tmp_path)},
    )
    assert (seen.code, seen.lines[-1]) == (130, NOTHING_KEPT)
    assert list(tmp_path.iterdir()) == []
    assert replicas_of(tmp_path) == []


def test_with_json_an_interruption_is_one_object(memories: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "canister_factory", "demo", str(memories), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "approved release" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(stdout) == {"error": {"kind": "Interrupted", "message": NOTHING_KEPT}}


# --- Other commands say what holds for them -------------------------------------------------------------------------


def interrupted(world: World, *command: str, marker: str, number: int | None = None) -> Seen:
    network = ["--network", world.network.url, "--root-key", world.network.root_key.hex()]
    return on_terminal([*command, *network], when=lambda text: marker in text, columns=160, number=number)


@pytest.mark.parametrize("number", [None, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_an_interrupted_run_gives_its_lease_back_and_goes_on(operator: World, number: int | None) -> None:
    seen = interrupted(operator, "run", str(operator.owner_id), marker="created ", number=number)
    assert seen.code == (130 if number is None else 143), seen.text
    assert seen.lines[-1].endswith("; the creation stays open. The same command, or a worker, continues it")
    assert seen.cursor_is_shown
    creation = await operator.as_operator.get_user_creation_status(operator.owner_id)
    assert creation is not None
    assert creation.status not in (CreationStatus.Failed, CreationStatus.Completed)
    again = interrupted(operator, "run", str(operator.owner_id), marker="nothing of the sort")
    assert again.code == 0, again.text  # at once: nobody holds the lease
    assert "Completed" in again.text


async def test_an_interrupted_deploy_names_the_canister_that_it_made(operator: World, tmp_path: Path) -> None:
    admin = ("--identity", str(tmp_path / "admin.pem"))
    seen = interrupted(operator, "deploy", *admin, marker="created canister")
    assert seen.code == 130, seen.text
    named = re.fullmatch(
        r"interrupted; the backend is canister (\S+)\. 'deploy --canister (\S+)' continues", seen.lines[-1]
    )
    assert named is not None, seen.text
    assert named[1] == named[2]
    again = interrupted(operator, "deploy", "--canister", named[1], *admin, marker="nothing of the sort")
    assert again.code == 0, again.text


async def test_an_interrupted_question_changes_nothing(operator: World, tmp_path: Path) -> None:
    admin = ("--identity", str(tmp_path / "admin.pem"))
    seen = interrupted(operator, "admin", "clear", str(operator.owner_id), *admin, marker="[y/N]: ")
    assert (seen.code, seen.lines[-1]) == (130, "interrupted; nothing was changed"), seen.text


def test_an_interrupted_call_says_that_it_may_be_executed_and_names_its_request(
    network: Network, tmp_path: Path
) -> None:
    arrived, over = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.set()
            over.wait(60)

    did = tmp_path / "service.did"
    did.write_text("service : { change : () -> () }")
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        command = ["call", "lqy7q-dh777-77777-aaaaq-cai", "change", "--did", str(did), "--network", url]
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "canister_factory",
                *command,
                "--network",
                url,
                "--root-key",
                network.root_key.hex(),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert arrived.wait(60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        over.set()
        server.shutdown()
    assert (process.returncode, stdout) == (130, "")
    assert re.fullmatch(
        r"interrupted; the call of change may have been executed, or may still be \(request id [0-9a-f]{64}\)\n", stderr
    ), stderr


# --- The scripts around it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [None, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_the_demo_script_ends_as_its_demo_does(
    repository: Path, memories: Path, tmp_path: Path, number: int | None
) -> None:
    seen = on_terminal(
        [str(memories)],
        command=[str(repository / "scripts" / "demo")],
        when=lambda text: "approved release" in text,
        number=number,
        environment={"TMPDIR": str(tmp_path)},
    )
    assert seen.code == (130 if number is None else 143), seen.text
    assert seen.lines[-1].endswith("nothing of the demo is kept. Run it again")
    assert list(tmp_path.iterdir()) == []
    assert replicas_of(tmp_path) == []


@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist=loadfile")], ids=["one process", "two processes"])
def test_the_test_script_ends_with_130_when_its_tests_are_interrupted(
    repository: Path, tmp_path: Path, processes: tuple[str, ...]
) -> None:
    endless = tmp_path / "test_endless.py"
    endless.write_text(
        "import os, signal\n\ndef test_endless():\n    os.write(2, b'it runs')\n    signal.pause()\n",
    )
    seen = on_terminal(
        ["-q", "-s", "-p", "no:cacheprovider", *processes, "tests/unit/cli/test_cli_amounts.py", str(endless)],
        command=[str(repository / "scripts" / "test")],
        when=lambda text: "it runs" in text,
    )
    assert seen.code == 130, seen.text
    assert "KeyboardInterrupt" in seen.text
    assert "Traceback" not in seen.text


@pytest.mark.parametrize("script", ["demo", "test"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_script_that_is_stopped_before_its_command_runs_ends_with_one_line(
    repository: Path, tmp_path: Path, script: str, number: int, code: int
) -> None:
    # The first thing that the scripts run is the checksum of what they depend on: this one waits for the signal.
    slow = tmp_path / "sha256sum"
    slow.write_text("#!/bin/sh\necho waiting >&2\nexec sleep 60\n")
    slow.chmod(0o755)
    seen = on_terminal(
        [],
        command=[str(repository / "scripts" / script)],
        when=lambda text: "waiting" in text,
        keys=b"\x03",
        number=None if number == signal.SIGINT else -number,
        environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert seen.code == code, seen.text
    word = "Interrupted." if number == signal.SIGINT else "Terminated."
    assert [line.removeprefix("^C") for line in seen.lines] == ["waiting", word]


def test_an_interrupted_set_up_says_one_line_too(repository: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nexec sleep 60\n')
    python.chmod(0o755)
    seen = on_terminal(
        [],
        command=[str(repository / "scripts" / "demo")],
        when=lambda text: "Making a virtual environment" in text,
        environment={"PYTHON": str(python), "CANISTER_FACTORY_VENV": str(tmp_path / "venv")},
    )
    assert seen.code == 130, seen.text
    lines = [line.removeprefix("^C") for line in seen.lines]
    assert lines == ["Making a virtual environment in venv ...", "Interrupted; the next run begins the set-up anew."]
