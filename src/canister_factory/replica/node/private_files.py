"""Files and directories that nobody but this user may read: 0600 and 0700, however they were made.

Owns these modes. Does not own what is in the files (`store`, `keys`, `state_file`), or whose a directory is
(`state_lock`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Any, Final

from canister_factory.ic.home import STATE_FILE_NAME
from canister_factory.replica.store.names import DAMAGED_PREFIX, is_ours

LOG_NAME: Final = "replica.log"
"""The log's name in the state directory."""
LOCK_NAME: Final = "lock"
"""The name of the file that whoever uses a state directory holds."""

_OF_THE_PROCESS: Final = (LOCK_NAME, LOG_NAME, STATE_FILE_NAME)


class SharedDirectoryError(OSError):
    """A directory belongs to another user, or to all of them."""


def open_private(path: Path, mode: str) -> IO[Any]:
    """Opens a file as `open` does; one that is made is for this user alone. A link is refused: whose is what it names?

    Raises:
        OSError: the system refuses, or it is a link.
    """
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600))


def make_private(directory: Path) -> None:
    """Gives a state directory, and what is in it of ours, the modes that they are made with. Links aren't followed.

    Raises:
        SharedDirectoryError: the directory isn't this user's alone to change.
        OSError: the system refuses.
    """
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise SharedDirectoryError(0, "it belongs to another user")
    if status.st_mode & stat.S_ISVTX:
        raise SharedDirectoryError(0, "it is shared by all users")
    _set_mode(directory.resolve())
    for path in directory.iterdir():
        name = path.name
        if is_ours(name) or name in _OF_THE_PROCESS or name.startswith(DAMAGED_PREFIX):
            _set_mode(path)
            if path.is_dir() and not path.is_symlink():
                for inner in path.rglob("*"):
                    _set_mode(inner)


def _set_mode(path: Path) -> None:
    status = path.lstat()
    wanted = {stat.S_IFDIR: 0o700, stat.S_IFREG: 0o600}.get(stat.S_IFMT(status.st_mode))
    if wanted is not None and stat.S_IMODE(status.st_mode) != wanted:
        path.chmod(wanted)
