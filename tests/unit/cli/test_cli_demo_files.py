"""Which files of a directory become memories, and what they are called."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canister_factory.cli.demo_files import SAMPLE, find_files
from canister_factory.cli.errors import InputError
from canister_factory.contract.memory_models import MemoryType


def test_files_of_all_levels_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.png", "a/b/c.mp4", "c.wav", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = find_files(tmp_path)
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
    (file,) = find_files(tmp_path)
    assert (file.content_type, file.memory.memory_type) == ("application/octet-stream", MemoryType.Document)


def test_an_empty_file_is_a_memory_of_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert [file.size for file in find_files(tmp_path)] == [0]


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
    assert [file.name for file in find_files(inside, skipped.append)] == ["real.txt", "same.txt"]
    assert sorted(why.split(":")[0] for why in skipped) == ["loop", "nowhere", "out", "out.txt"]


def test_pipes_and_the_like_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    skipped: list[str] = []
    assert find_files(tmp_path, skipped.append) == []
    assert skipped == ["pipe: not a regular file"]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (file,) = find_files(tmp_path)
    assert file.name == "caf\\xe9.txt"
    assert file.path.read_text() == "x"


def test_a_directory_that_is_missing_or_a_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        find_files(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give the directory"):
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
def test_what_cannot_be_read_is_named(locked: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # tmp_path is in a directory of its owner's only
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "locked.txt").write_text("x")
        (directory / "folder").mkdir()
        (directory / locked).chmod(0)
        with as_ordinary_person(), pytest.raises(InputError, match=rf"{locked}.* can't be read: Permission denied"):
            find_files(directory)


def test_the_sample_has_every_kind_but_video_and_is_small() -> None:
    found = find_files(SAMPLE)
    assert {file.memory.memory_type for file in found} == set(MemoryType) - {MemoryType.Video}
    assert sum(file.size for file in found) < 50_000
