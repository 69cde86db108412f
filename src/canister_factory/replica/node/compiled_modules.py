"""Where compiled modules are kept between processes, so that a module is compiled once on this computer.

Owns the directory: whose it must be, and what leaves it. Does not own the files in it (`runtime.engine`). They hold
native code for one version of wasmtime and one kind of processor, so they don't belong to a replica's state.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from canister_factory.replica.runtime.engine import COMPILED_SUFFIX

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE: Final = "CANISTER_FACTORY_COMPILED_MODULES"
_UNUSED_DAYS: Final = 30
_FILES_KEPT: Final = 64  # some 10 MB each for canisters such as ours


def compiled_modules_directory() -> Path | None:
    """`$CANISTER_FACTORY_COMPILED_MODULES`, else `$XDG_CACHE_HOME/canister-factory/compiled`, else in `~/.cache`.

    It is made, for this user alone. Modules that nobody used for 30 days are deleted, and no other file: a person may
    have chosen a directory that holds some. None where there is no such place, or where others could put native code
    into it: modules are compiled in each process then.
    """
    try:
        directory = _directory()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _ours_alone(directory):
            logger.warning("compiled modules are not kept: %s belongs to others, or others can write to it", directory)
            return None
        _delete_unused(directory)
    except (OSError, RuntimeError) as error:
        logger.info("compiled modules are not kept: %s", error)
        return None
    return directory


def _directory() -> Path:
    if chosen := os.environ.get(DIRECTORY_VARIABLE):
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "canister-factory" / "compiled"


def _ours_alone(directory: Path) -> bool:
    status = directory.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _delete_unused(directory: Path) -> None:
    """Deletes what wasn't used for long, and the oldest of too many. The engine marks what it uses."""
    used: list[tuple[float, Path]] = []
    for path in directory.glob(f"*{COMPILED_SUFFIX}"):
        with suppress(OSError):  # another process deleted it
            used.append((path.stat().st_mtime, path))
    used.sort(reverse=True)
    oldest = time.time() - _UNUSED_DAYS * 86_400
    for number, (seconds, path) in enumerate(used):
        if number >= _FILES_KEPT or seconds < oldest:
            with suppress(OSError):
                path.unlink()
