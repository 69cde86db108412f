"""Nobody else can read a state directory, however it was made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from canister_factory.replica.node.launch import ReplicaProcessError, launch
from canister_factory.replica.node.private_files import SharedDirectoryError, make_private
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.node.state_file import ReplicaRecord, write_record
from canister_factory.replica.node.state_lock import StateDirectoryError, acquire


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """A umask under which everything is made for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    """The modes of all that is in a directory, and of itself, by name."""
    return {str(path.relative_to(directory)): stat.S_IMODE(path.lstat().st_mode) for path in directory.rglob("*")} | {
        ".": stat.S_IMODE(directory.stat().st_mode)
    }


def open_up(directory: Path) -> None:
    """Files as other versions and people may leave them, for everybody."""
    (directory / "replica.log").touch()
    (directory / "images" / "00-main-1").touch()
    (directory / "damaged-1").mkdir()
    (directory / "damaged-1" / "keys.json").touch()
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o777)


def wanted(directory: Path) -> dict[str, int]:
    return {name: 0o700 if (directory / name).is_dir() else 0o600 for name in modes(directory)}


async def test_a_new_directory_is_private(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    async with ReplicaServer(directory):
        write_record(directory, ReplicaRecord("http://127.0.0.1:1", "aa", 1))
        assert {"keys.json", "lock", "manifest", "images", "replica.json"} <= modes(directory).keys()
        assert modes(directory) == wanted(directory)


async def test_a_directory_with_other_modes_becomes_private_at_the_start(tmp_path: Path) -> None:
    async with ReplicaServer(tmp_path):
        pass
    open_up(tmp_path)
    acquire(tmp_path).close()
    assert modes(tmp_path) == wanted(tmp_path)


def test_modes_are_set_without_the_replicas_own_libraries() -> None:
    """Commands that only look for a replica import these modules."""
    code = "import sys, canister_factory.replica.node.launch; sys.exit('wasmtime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_persons_own_files_in_it_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "keys.json").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "notes.txt").chmod(0o644)
    make_private(tmp_path)
    assert stat.S_IMODE((tmp_path / "notes.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["images", "modules", "damaged-1"])
def test_what_a_link_leads_to_stays_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "photos").mkdir(mode=0o755)
    (tmp_path / "photos" / "sea.jpg").touch(mode=0o644)
    (tmp_path / "state" / name).symlink_to(tmp_path / "photos")
    make_private(tmp_path / "state")
    assert modes(tmp_path / "photos") == {".": 0o755, "sea.jpg": 0o644}


def test_a_directory_that_a_link_leads_to_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    acquire(tmp_path / "state").close()
    assert modes(tmp_path / "elsewhere") == {".": 0o700, "lock": 0o600}


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Path]:
    """A state directory in which `lock` and `replica.log` lead to a person's file, which has to stay as it is."""
    (tmp_path / "state").mkdir()
    (tmp_path / "notes").write_text("precious")
    for name in ("lock", "replica.log"):
        (tmp_path / "state" / name).symlink_to(tmp_path / "notes")
    yield tmp_path / "state"
    assert (tmp_path / "notes").read_text() == "precious"


def test_a_link_in_the_place_of_the_lock_is_refused(linked: Path) -> None:
    with pytest.raises(StateDirectoryError, match=r"Too many levels.*--state-dir"):
        acquire(linked)


def test_a_link_in_the_place_of_the_log_is_refused(linked: Path) -> None:
    with pytest.raises(ReplicaProcessError, match=r"Too many levels.*--state-dir"):
        launch(linked, port=0, timeout_s=30)


def test_a_persons_own_file_named_lock_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("a person's combination is 1234 5678")
    with pytest.raises(StateDirectoryError, match=r"lock is no file of a replica.*--state-dir"):
        acquire(tmp_path)
    assert (tmp_path / "lock").read_text() == "a person's combination is 1234 5678"
    (tmp_path / "lock").write_bytes(bytes(8))  # as a power failure may leave it
    acquire(tmp_path).close()


def test_a_directory_that_all_users_share_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(StateDirectoryError, match=r"it is shared by all users.*--state-dir"):
        acquire(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(SharedDirectoryError, match="another user"):
        make_private(tmp_path)
