"""The files of a directory as memories to be: found in a fixed order, with a name, a kind and a content type each.

Owns which files count and what they are called. Does not own: storing them (`demo_capsule`).
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from canister_factory.cli.errors import InputError
from canister_factory.cli.output import printable
from canister_factory.contract.memory_models import MemoryType, NewMemory

SAMPLE = Path(__file__).resolve().parent / "sample"
_KINDS = {
    "image": MemoryType.Image,
    "video": MemoryType.Video,
    "audio": MemoryType.Audio,
    "text": MemoryType.Note,
}


@dataclass(frozen=True, slots=True)
class DemoFile:
    """A file; `name` is its path below the directory, `size` in bytes, `modified_ns` since 1970."""

    path: Path
    name: str
    size: int
    modified_ns: int
    content_type: str

    @property
    def memory(self) -> NewMemory:
        """What is stored beside the bytes."""
        return NewMemory(
            memory_type=_KINDS.get(self.content_type.split("/")[0], MemoryType.Document),
            name=self.name,
            content_type=self.content_type,
            date_of_memory=self.modified_ns,
        )


def find_files(directory: Path, skipped: Callable[[str], None] = lambda why: None) -> list[DemoFile]:
    """All files below `directory`, ordered by name. `skipped` is told of what isn't taken, and why.

    Symbolic links are followed to files within the directory only. A name that isn't UTF-8 is escaped like in
    Python's bytes (`caf\\xe9.txt`). Raises `InputError` for a directory or file that can't be read.
    """
    name = printable(str(directory))
    if not directory.exists():
        raise InputError(f"there is no directory {name}")
    if not directory.is_dir():
        raise InputError(f"{name} is a file; give the directory that it is in")
    root = directory.resolve()
    found = [file for path in _paths(directory) if (file := _file(path, directory, root, skipped)) is not None]
    return sorted(found, key=lambda file: file.name)


def _paths(directory: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{printable(str(error.filename))} can't be read: {error.strerror}")

    for parent, directories, files in os.walk(directory, onerror=refuse):
        directories.sort()
        for name in files:
            yield Path(parent) / name
        # os.walk lists links to directories with the directories, and doesn't follow them.
        yield from (Path(parent) / name for name in directories if (Path(parent) / name).is_symlink())


def _file(path: Path, directory: Path, root: Path, skipped: Callable[[str], None]) -> DemoFile | None:
    raw = os.fsencode(path.relative_to(directory).as_posix())
    name = raw.decode("utf-8", "backslashreplace")
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            skipped(f"{name}: a symbolic link that leads nowhere")
            return None
        if not target.is_relative_to(root):
            skipped(f"{name}: a symbolic link out of the directory")
            return None
    try:
        about = path.stat()
        if not S_ISREG(about.st_mode):
            skipped(f"{name}: not a regular file")
            return None
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{printable(str(path))} can't be read: {error.strerror}") from None
    content_type, encoding = mimetypes.guess_type(name)
    if content_type is None or encoding is not None:
        content_type = "application/octet-stream"
    return DemoFile(path, name, about.st_size, max(about.st_mtime_ns, 0), content_type)
