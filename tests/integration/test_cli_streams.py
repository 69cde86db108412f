"""Consoles of any encoding, full disks and readers who leave: a line or nothing, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.ic.identity import Identity
from support.creation_world import World

PROGRAM = f"{sys.executable} -m canister_factory"
# Nothing listens on the discard port; what these commands print needs no network.
DOCTOR = f"{PROGRAM} doctor --network http://127.0.0.1:9 --root-key 00"


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env={**os.environ, **variables},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_a_console_lacks_is_escaped(tmp_path: Path, encoding: str) -> None:
    missing = tmp_path / "žlutý kůň"
    ended = shell(f'{PROGRAM} demo "{missing}"', PYTHONIOENCODING=encoding)
    assert ended.returncode == 2
    shown = ended.stderr.decode(encoding)
    assert shown.count("\n") == 1
    assert "kůň" in shown if encoding == "utf-8" else "k\\u016f\\u0148" in shown


def test_our_own_ellipsis_is_three_dots_on_an_ascii_console() -> None:
    ended = shell(DOCTOR, PYTHONIOENCODING="ascii")
    assert b"..." in ended.stdout
    assert b"\\u2026" not in ended.stdout
    assert "…" in shell(DOCTOR, PYTHONIOENCODING="utf-8").stdout.decode()


def test_a_locale_of_ascii_only_is_no_hindrance() -> None:
    ended, usual = shell(DOCTOR, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"), shell(DOCTOR)
    assert (ended.returncode, ended.stderr) == (usual.returncode, b"")
    assert ended.stdout.decode("ascii").count("\n") == usual.stdout.decode().count("\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["--help", "doctor --network http://127.0.0.1:9 --root-key 00", "doctor --json"])
def test_a_full_disk_is_one_line_with_the_cause(command: str) -> None:
    ended = shell(f"{PROGRAM} {command} > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr.count(b"\n") == 1
    assert ended.stderr.startswith(b"error: ")
    assert b"No space left on device" in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_notes_that_cannot_be_written_do_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    ended = shell(f"{PROGRAM} demo {tmp_path} --json 2> /dev/full")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["status"] == "Completed"


@pytest.mark.parametrize(
    "line",
    [
        f"{PROGRAM} --help | true",
        f"{DOCTOR} | true",
        f"{DOCTOR} --json | true",
        f"{PROGRAM} nonsense 2>&1 | true",
        f"{DOCTOR} >&-",
        f"{PROGRAM} nonsense 2>&-",
    ],
)
def test_a_reader_who_leaves_or_was_never_there_sees_nothing(line: str) -> None:
    ended = shell(line)
    assert ended.stderr == b""
    assert ended.returncode in (1, 2, 3)  # the command's own, or 1 when its output was lost


async def test_a_reader_who_leaves_a_worker_ends_it_and_fails_no_creation(world: World, tmp_path: Path) -> None:
    await world.as_owner.create_personal_canister(None)
    assert isinstance(world.operator.identity, Identity)
    world.operator.identity.write_pem(tmp_path / "operator.pem")
    ended = shell(
        f"{PROGRAM} worker --once --json --backend {world.backend_id} --identity {tmp_path}/operator.pem "
        f"--network {world.network.url} --root-key {world.network.root_key.hex()} | head -1"
    )
    assert json.loads(ended.stdout)["event"] == "Claimed"
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    creation = await world.as_operator.get_user_creation_status(world.owner_id)
    assert creation is not None
    assert creation.status not in (CreationStatus.Failed, CreationStatus.Completed)
    # Its lease was given back: another worker need not wait.
    assert (await world.orchestrator(worker="another").run(world.owner_id)).creation.status == CreationStatus.Completed
