"""`canister-factory demo` and the commands around it, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")

FIELDS = {
    "owner",
    "canister_id",
    "status",
    "controllers_before",
    "controllers_after",
    "module_hash",
    "memories",
    "bytes",
    "memory_size",
    "source_manifest",
    "target_manifest",
    "cycles_consumed",
    "paid_until",
    "seconds",
    "replica_url",
    "backend_id",
}


def command(*args: str, home: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables, **({"CANISTER_FACTORY_HOME": str(home)} if home else {})}
    return subprocess.run(
        [sys.executable, "-m", "canister_factory", *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_the_demo_gives_files_of_all_sorts_back_and_prints_one_object(tmp_path: Path) -> None:
    files = {
        "empty.txt": b"",
        "notes/žlutý kůň.md": "úpěl ďábelské ódy".encode(),
        "photo.jpg": os.urandom(1_000_001),
        "film.mp4": os.urandom(4_000_000),
        'b\n"quotes".bin': b"\x00\xff",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / os.fsdecode(b"caf\xe9.bin")).write_bytes(b"latin-1")
    (tmp_path / "out").symlink_to("/etc")

    done = command("demo", str(tmp_path), "--json")

    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result.keys() >= FIELDS
    assert result["status"] == "Completed"
    assert abs(datetime.fromisoformat(result["paid_until"]) - datetime.now(UTC) - timedelta(days=365)) < timedelta(
        days=1
    )
    assert result["controllers_after"] == [result["owner"]]
    assert sorted(result["controllers_before"]) == sorted([result["owner"], result["operator"]])
    assert result["source_manifest"] == result["target_manifest"]
    assert len(result["module_hash"]) == 64
    assert (result["memories"], result["bytes"]) == (6, sum(map(len, files.values())) + 7)
    assert result["bytes"] < result["memory_size"] <= 1.1 * result["bytes"] + 24_000_000
    assert result["read_back"] == "equal"
    assert "left out: out: a symbolic link out of the directory" in done.stderr


def test_without_a_directory_the_demo_shows_the_sample_as_a_table() -> None:
    done = command("demo")
    assert done.returncode == 0, done.stderr
    assert "Completed" in done.stdout
    assert "every byte equal" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_kept_replica_can_be_looked_at_and_stopped(tmp_path: Path) -> None:
    kept = command("demo", "--keep", "--json", TMPDIR=str(tmp_path))
    assert kept.returncode == 0, kept.stderr
    result = json.loads(kept.stdout)
    (home,) = tmp_path.glob("canister-factory-demo-*")
    try:
        for role in ("owner", "operator", "admin"):
            assert stat.S_IMODE((home / f"{role}.pem").stat().st_mode) == 0o600
        owner = ("--identity", str(home / "owner.pem"))
        admin = ("--identity", str(home / "admin.pem"))
        backend = ("--backend", result["backend_id"])

        whoami = command("call", result["canister_id"], "whoami", *owner, home=home)
        assert whoami.stdout == f'(principal "{result["owner"]}")\n'
        info = command("call", result["canister_id"], "get_personal_info", "--json", home=home)
        assert json.loads(info.stdout)[0]["owner"] == result["owner"]
        controllers = command(
            "call",
            "aaaaa-aa",
            "canister_status",
            f'(record {{ canister_id = principal "{result["canister_id"]}" }})',
            "--json",
            *owner,
            home=home,
        )
        assert json.loads(controllers.stdout)[0]["settings"]["controllers"] == [result["owner"]]
        status = command("status", "--json", *backend, *owner, home=home)
        assert json.loads(status.stdout)["status"] == "Completed"
        listed = command("list", "--json", *backend, *admin, home=home)
        assert json.loads(listed.stdout)["canister_id"] == result["canister_id"]

        nobody = command("list", *backend, home=home)
        assert (nobody.returncode, nobody.stderr.count("\n"), "--identity" in nobody.stderr) == (2, 1, True)
        over = command("run", result["owner"], *backend, "--identity", str(home / "operator.pem"), "--json", home=home)
        assert over.returncode == 0, over.stdout
        assert json.loads(over.stdout)["completed_before"] is True
        wrong = command("call", result["canister_id"], "whoani", home=home)
        assert (wrong.returncode, "whoami" in wrong.stderr) == (2, True)
    finally:
        stopped = command("replica", "stop", home=home)
    assert stopped.returncode == 0, stopped.stderr
    gone = command("call", result["canister_id"], "whoami", "--network", result["replica_url"], "--fetch-root-key")
    assert gone.returncode == 3
    assert gone.stderr.startswith("error: can't connect")


def test_a_file_above_the_upload_limit_is_named_with_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(1_073_741_825)
    done = command("demo", str(tmp_path), "--json")
    assert done.returncode == 1
    message = json.loads(done.stdout)["error"]["message"]
    assert "huge.bin (1,073,741,825 bytes) can't be stored" in message
    assert "1,073,741,824" in message


def test_the_commands_that_a_kept_demo_suggests_can_be_pasted(repository: Path, tmp_path: Path) -> None:
    directory = tmp_path / "a folder"
    directory.mkdir()
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not (Path(folder) / "canister-factory").exists())
    environment = {**os.environ, "TMPDIR": str(directory), "PATH": path}

    def bash(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
            cwd=repository,
        )

    kept = bash("scripts/demo --keep")
    assert kept.returncode == 0, kept.stderr
    suggested = [line.strip() for line in kept.stderr.splitlines() if line.startswith("  ")]
    ran = [bash(line) for line in suggested]
    assert [(done.returncode, done.stderr) for done in ran] == [(0, "")] * 4, suggested
    assert all(" .venv/bin/canister-factory " in line for line in suggested)
    info, capsules, reserve, stopped = (done.stdout for done in ran)
    assert "api_version" in info
    assert "cap-" in capsules
    assert "threshold" in reserve
    assert "has stopped" in stopped


def test_the_demo_says_at_its_end_whose_files_are_where(tmp_path: Path) -> None:
    (tmp_path / "only.txt").write_text("x")
    done = command("demo", str(tmp_path))
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"The file of owner [a-z2-7]{5}-…-[a-z2-7]{3} is on canister [a-z2-7-]{27}, which they alone control, "
        r"paid until 20[-0-9]{8} [:0-9]{8} UTC\.",
        last,
    )


def test_a_file_that_cannot_be_read_is_left_out_and_the_end_says_so(tmp_path: Path) -> None:
    # Root reads everything, so the refusal of the system is put in for one file.
    (tmp_path / "good.txt").write_text("x")
    (tmp_path / "bad.txt").write_text("x")
    code = (
        "import pathlib, sys; real = pathlib.Path.open\n"
        "def refuse(self, *a, **k):\n"
        "    if self.name == 'bad.txt': raise PermissionError(13, 'Permission denied', str(self))\n"
        "    return real(self, *a, **k)\n"
        "pathlib.Path.open = refuse\n"
        "from canister_factory.cli import main; main()"
    )
    for options in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-c", code, "demo", str(tmp_path), *options],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "left out: bad.txt: can't be read: Permission denied" in done.stderr
        assert done.stderr.splitlines()[-1] == "not everything was copied: bad.txt can't be read and was left out"
    assert json.loads(done.stdout)["unreadable"] == ["bad.txt"]
    assert json.loads(done.stdout)["memories"] == 1


def test_an_empty_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = command("demo", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path} has no files to take: it is empty\n"
