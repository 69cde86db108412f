"""Failures of the disk in an owner's words. Owns nothing else."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from canister_factory.owner.errors import BackupError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within it something is written at `path`, or below.

    Raises:
        BackupError: that failed.
    """
    try:
        yield
    except OSError as error:
        full = "; make room, and run the same command again: what is there stays" if error.errno == errno.ENOSPC else ""
        raise BackupError(f"{path} can't be written: {error.strerror}{full}") from error
