"""Whose a state directory is: the file `lock` in it, held by the one replica that uses it and naming its process.

Owns the directory's making, the lock and its errors. Does not own what is in the directory (`keys`, `store`), or modes
(`private_files`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.node.private_files import LOCK_NAME, make_private, open_private

__all__ = ["StateDirectoryError", "acquire", "holder"]

# Whoever only looks holds the lock for an instant.
_PATIENCE_S: Final = 0.5
_PAUSE_S: Final = 0.02
_PID_LENGTH: Final = 32


class StateDirectoryError(CanisterFactoryError):
    """A state directory can't be used: another process has it, or the system refuses; says what to do."""


def acquire(state_dir: Path) -> IO[str]:
    """Makes the directory, for this user alone, and holds it.

    Until the returned file is closed, or this process ends, however it does.

    Raises:
        StateDirectoryError: it is in use, or can't be made or written.
    """
    import fcntl  # here, since clients run on systems that don't have it

    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(state_dir)
        file = open_private(state_dir / LOCK_NAME, "a+")
    except OSError as error:
        raise unusable(state_dir, error) from None
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pid = _pid_in(file)
            if time.monotonic() < deadline and (pid is None or not _exists(pid)):
                time.sleep(_PAUSE_S)
                continue
            file.close()
            raise StateDirectoryError(
                f"the state directory {state_dir} is used by another replica"
                f"{'' if pid is None else f' (process {pid})'}: stop it with "
                f"'canister-factory replica stop --state-dir {state_dir}', or choose another with --state-dir"
            ) from None
        except OSError as error:
            file.close()
            raise unusable(state_dir, error) from None
    try:
        if os.fstat(file.fileno()).st_size > _PID_LENGTH:
            file.close()
            raise StateDirectoryError(
                f"{state_dir / LOCK_NAME} is no file of a replica: choose another directory with --state-dir"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except OSError as error:
        raise unusable(state_dir, error) from None
    return file


def holder(state_dir: Path) -> int | None:
    """The process that uses a state directory; None where none does, or where that can't be seen."""
    import fcntl

    try:
        with (state_dir / LOCK_NAME).open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _pid_in(file)
    except OSError:
        pass
    return None


def unusable(state_dir: Path, error: OSError) -> StateDirectoryError:
    """The error for a directory that the system refuses."""
    return StateDirectoryError(
        f"the state directory {state_dir} can't be used ({error.strerror or error}): choose another with --state-dir"
    )


def _pid_in(file: IO[str]) -> int | None:
    file.seek(0)
    text = file.read(_PID_LENGTH).strip()
    return int(text) if text.isdecimal() else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
