"""A new file is there as a whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from canister_factory.ic.errors import IdentityError
from canister_factory.ic.identity import Identity
from canister_factory.ic.new_file import write_new


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The disk is full once a file was made, until this is undone."""

    def fails(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fails)
    return monkeypatch


def test_a_file_that_couldnt_be_written_is_not_there_and_can_be_written_later(
    tmp_path: Path, full_disk: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "new", b"content")
    assert list(tmp_path.iterdir()) == []
    full_disk.undo()
    write_new(tmp_path / "new", b"content")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "new", b"another")
    assert (tmp_path / "new").read_bytes() == b"content"


def test_a_key_that_found_no_room_leaves_no_empty_file(tmp_path: Path, full_disk: pytest.MonkeyPatch) -> None:
    path, identity = tmp_path / "key.pem", Identity.generate()
    with pytest.raises(IdentityError, match="No space left"):
        identity.write_pem(path)
    full_disk.undo()
    identity.write_pem(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Identity.from_pem_file(path).sender() == identity.sender()
