"""Files that are written once: whole or not at all, and never over another one.

Owns that. Does not own: what is said when it fails.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: str | Path, data: bytes, mode: int = 0o666) -> None:
    """Writes a file that wasn't there, down to the disk. If that fails, it isn't there, so that it can be repeated.

    Args:
        mode: the file's permissions, less the umask.

    Raises:
        FileExistsError: there is one.
        OSError, ValueError: it can't be written there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
