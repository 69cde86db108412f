"""Which files of a directory become memories, and what they are called."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canister_factory.cli.errors import InputError
from canister_factory.cli.local_files import SAMPLE, find_files, given_files
from canister_factory.contract.memory_models import MemoryType


def test_files_of_all_levels_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.png", "a/b/c.mp4", "c.wav", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = find_files(tmp_path).files
    assert [file.name for file in found] == ["a/b/c.mp4", "a/z.png", "b.txt", "c.wav", "d"]
    assert [file.memory.memory_type for file in found] == [
        MemoryType.Video,
        MemoryType.Image,
        MemoryType.Note,
        MemoryType.Audio,
        MemoryType.Document,
    ]
    assert [file.size for file in found] == [9, 7, 5, 5, 1]


def test_a_compressed_file_is_not_called_what_is_inside_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt.gz").write_bytes(b"\x1f\x8b")
    (file,) = find_files(tmp_path).files
    assert (file.content_type, file.memory.memory_type) == ("application/octet-stream", MemoryType.Document)


def test_an_empty_file_is_a_memory_of_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert [file.size for file in find_files(tmp_path).files] == [0]


def test_links_within_the_directory_are_followed_and_links_out_of_it_are_not(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (inside / "real.txt").write_text("real")
    (inside / "same.txt").symlink_to("real.txt")
    (inside / "out.txt").symlink_to(outside / "secret.txt")
    (inside / "out").symlink_to(outside)
    (inside / "nowhere").symlink_to("missing")
    (inside / "loop").symlink_to("loop")
    skipped: list[str] = []
    assert [file.name for file in find_files(inside, skipped.append).files] == ["real.txt", "same.txt"]
    assert sorted(why.split(":")[0] for why in skipped) == ["loop", "nowhere", "out", "out.txt"]


def test_pipes_and_the_like_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    skipped: list[str] = []
    with pytest.raises(InputError, match="none of its files can be used"):
        find_files(tmp_path, skipped.append)
    assert skipped == ["pipe: not a regular file"]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (file,) = find_files(tmp_path).files
    assert file.name == "caf\\xe9.txt"
    assert file.path.read_text() == "x"


def test_a_directory_that_is_missing_or_a_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        find_files(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give its directory"):
        find_files(tmp_path / "file")


@contextmanager
def as_ordinary_person() -> Iterator[None]:
    """Root reads everything: a test of permissions that runs as root lays that down for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("locked", ["locked.txt", "folder"])
def test_what_cannot_be_read_is_named_and_left_out(locked: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # tmp_path is in a directory of its owner's only
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "locked.txt").write_text("x")
        (directory / "folder").mkdir()
        (directory / "folder" / "inside.txt").write_text("x")
        (directory / "open.txt").write_text("x")
        (directory / locked).chmod(0)
        skipped: list[str] = []
        with as_ordinary_person():
            found = find_files(directory, skipped.append)
        (directory / locked).chmod(0o755)
    assert found.unreadable == [locked]
    assert skipped == [f"{locked}: can't be read: Permission denied"]
    assert "open.txt" in [file.name for file in found.files]
    assert not any(file.name.startswith(locked) for file in found.files)


def test_a_directory_that_cannot_be_read_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "locked"
        directory.mkdir(mode=0)
        Path(name).chmod(0o755)
        with as_ordinary_person(), pytest.raises(InputError, match="locked can't be read: Permission denied"):
            find_files(directory)


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no files to take"):
        find_files(tmp_path)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    for name in (
        "photo.jpg",
        ".DS_Store",
        ".git/config",
        "trip/.hidden/x.txt",
        "trip/draft.tmp",
        "trip/a.txt",
        "z.tmp",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_hidden_files_and_folders_are_left_out_and_counted(family: Path) -> None:
    skipped: list[str] = []
    found = find_files(family, skipped.append)
    assert [file.name for file in found.files] == ["photo.jpg", "trip/a.txt", "trip/draft.tmp", "z.tmp"]
    assert skipped == ["3 hidden files and folders; --all includes them"]


def test_hidden_files_and_folders_are_taken_when_that_is_asked_for(family: Path) -> None:
    skipped: list[str] = []
    found = find_files(family, skipped.append, hidden=True)
    assert {".DS_Store", ".git/config", "trip/.hidden/x.txt"} <= {file.name for file in found.files}
    assert skipped == []


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (("*.tmp",), ["photo.jpg", "trip/a.txt"]),
        (("trip",), ["photo.jpg", "z.tmp"]),
        (("trip/",), ["photo.jpg", "z.tmp"]),
        (("trip/*.tmp", "photo.*"), ["trip/a.txt", "z.tmp"]),
        (("draft.tmp",), ["photo.jpg", "trip/a.txt", "z.tmp"]),
    ],
)
def test_patterns_leave_out_names_and_paths(family: Path, patterns: tuple[str, ...], left: list[str]) -> None:
    assert [file.name for file in find_files(family, exclude=patterns).files] == left


def test_the_sample_has_every_kind_but_video_and_is_small() -> None:
    found = find_files(SAMPLE).files
    assert {file.memory.memory_type for file in found} == set(MemoryType) - {MemoryType.Video}
    assert sum(file.size for file in found) < 50_000


def test_files_and_folders_that_are_named_are_taken_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("album/deep/a.jpg", "album/.hidden", "letter.txt", os.fsdecode(b"caf\xe9/b.txt")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("letter.txt")

    def names(*paths: Path | str) -> list[str]:
        return [file.name for file in given_files([Path(path) for path in paths]).files]

    assert names(tmp_path / "letter.txt", tmp_path / "album", tmp_path / "link") == [
        "letter.txt",
        "album/deep/a.jpg",
        "link",
    ]
    assert names(tmp_path / os.fsdecode(b"caf\xe9")) == ["caf\\xe9/b.txt"]
    monkeypatch.chdir(tmp_path / "album")
    assert names(".") == ["deep/a.jpg"]
    assert names("../album/") == ["album/deep/a.jpg"]
    above = given_files([Path("..")], hidden=True, exclude=["letter.txt", "caf*"]).files
    assert [file.name for file in above] == ["album/.hidden", "album/deep/a.jpg", "link"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("gone.txt", "gone.txt can't be read: No such file"), ("/dev/null", "/dev/null is not a file")],
)
def test_a_named_path_that_is_no_file_is_an_error(path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        given_files([Path(path)])
