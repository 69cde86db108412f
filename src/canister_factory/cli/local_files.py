"""Files of this computer as memories to be: found in a fixed order, with a name, a kind and a content type each.

Owns which files count and what they are called. Does not own: storing them (`demo_capsule`, `owner.adding`).
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG

from canister_factory.cli.errors import InputError
from canister_factory.contract.memory_models import MemoryType, NewMemory
from canister_factory.ic.foreign_text import escaped

SAMPLE = Path(__file__).resolve().parent / "sample"
_KINDS = {
    "image": MemoryType.Image,
    "video": MemoryType.Video,
    "audio": MemoryType.Audio,
    "text": MemoryType.Note,
}


@dataclass(frozen=True, slots=True)
class LocalFile:
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


@dataclass(frozen=True, slots=True)
class Selection:
    """What is taken: files in the order of their names, and the names of those that can't be read."""

    files: list[LocalFile]
    unreadable: list[str]


def find_files(
    directory: Path,
    skipped: Callable[[str], None] = lambda reason: None,
    *,
    hidden: bool = False,
    exclude: Sequence[str] = (),
) -> Selection:
    """The files below `directory`. `skipped` is called with what isn't taken, and why.

    Hidden files and folders (`.name`) are taken with `hidden` only. `exclude`: shell patterns (`*.tmp`, `drafts`,
    `2019/*`) of a name at any depth, or of a path below the directory; a folder is left out with all that is in it.
    Symbolic links are followed to files within the directory only. A name that isn't UTF-8 is escaped like in
    Python's bytes (`caf\\xe9.txt`).

    Raises:
        InputError: the directory can't be read, or has no file to take.
    """
    name = escaped(str(directory))
    if not directory.exists():
        raise InputError(f"there is no directory {name}")
    if not directory.is_dir():
        raise InputError(f"{name} is a file; give its directory")
    search = _Search(directory, skipped, hidden, exclude)
    files = sorted(search.files(), key=lambda file: file.name)
    if search.hidden_count:
        skipped(
            f"{_counted(search.hidden_count, 'hidden file or folder', 'hidden files and folders')}; --all includes them"
        )
    if search.excluded_count:
        skipped(f"{_counted(search.excluded_count, 'file or folder', 'files and folders')} excluded by --exclude")
    if not files:
        reason = "none of its files can be used" if search.seen else "it is empty"
        raise InputError(f"{name} has no files to take: {reason}")
    return Selection(files, search.unreadable)


def given_files(
    paths: Sequence[Path],
    skipped: Callable[[str], None] = lambda reason: None,
    *,
    hidden: bool = False,
    exclude: Sequence[str] = (),
) -> Selection:
    """The files at `paths`: a file has its own name, one in a directory its path from the directory's name on (for `.`
    and `..`: below it). The rest is as in `find_files`.

    Raises:
        InputError: a path can't be read, is no file or directory, or is a directory without a file to take.
    """
    files: list[LocalFile] = []
    unreadable: list[str] = []
    for path in paths:
        if not path.is_dir():
            files.append(_one_file(path))
            continue
        found = find_files(path, skipped, hidden=hidden, exclude=exclude)
        above = "" if path.name in ("", "..") else f"{_utf8(path.name)}/"
        files += [replace(file, name=above + file.name) for file in found.files]
        unreadable += [above + name for name in found.unreadable]
    return Selection(files, unreadable)


def _one_file(path: Path) -> LocalFile:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        problem = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
        raise InputError(f"{escaped(str(path))} can't be read: {problem}") from None
    if not S_ISREG(about.st_mode):
        raise InputError(f"{escaped(str(path))} is not a file")
    return _described(path, _utf8(path.name), about)


def _described(path: Path, name: str, about: os.stat_result) -> LocalFile:
    content_type, encoding = mimetypes.guess_type(name)
    if content_type is None or encoding is not None:
        content_type = "application/octet-stream"
    return LocalFile(path, name, about.st_size, max(about.st_mtime_ns, 0), content_type)


def _utf8(name: str) -> str:
    """A name of the file system as text: bytes that aren't UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


class _Search:
    """One walk through a directory, and what it met."""

    def __init__(self, directory: Path, skipped: Callable[[str], None], hidden: bool, exclude: Sequence[str]) -> None:
        self._directory = directory
        self._root = directory.resolve()
        self._skipped = skipped
        self._hidden = hidden
        self._exclude = [pattern.rstrip("/") for pattern in exclude]
        self.seen = False
        self.hidden_count = self.excluded_count = 0
        self.unreadable: list[str] = []

    def files(self) -> Iterator[LocalFile]:
        for parent, directories, files in os.walk(self._directory, onerror=self._cannot_read):
            here = Path(parent)
            directories[:] = [name for name in sorted(directories) if self._wanted(here / name)]
            # os.walk lists links to directories with the directories, and doesn't follow them.
            links = [name for name in directories if (here / name).is_symlink()]
            for path in [here / name for name in links] + [here / name for name in files if self._wanted(here / name)]:
                file = self._file(path)
                if file is not None:
                    yield file

    def _wanted(self, path: Path) -> bool:
        self.seen = True
        below = path.relative_to(self._directory).as_posix()
        if any(fnmatchcase(path.name, pattern) or fnmatchcase(below, pattern) for pattern in self._exclude):
            self.excluded_count += 1
            return False
        if path.name.startswith(".") and not self._hidden:
            self.hidden_count += 1
            return False
        return True

    def _cannot_read(self, error: OSError) -> None:
        path = Path(error.filename)
        if path == self._directory:
            raise InputError(f"{escaped(str(path))} can't be read: {error.strerror}") from None
        name = self._name(path)
        self.unreadable.append(name)
        self._skipped(f"{name}: can't be read: {error.strerror}")

    def _name(self, path: Path) -> str:
        return _utf8(path.relative_to(self._directory).as_posix())

    def _file(self, path: Path) -> LocalFile | None:
        name = self._name(path)
        if path.is_symlink():
            try:
                target = path.resolve(strict=True)
            except (OSError, RuntimeError):
                self._skipped(f"{name}: a symbolic link that leads nowhere")
                return None
            if not target.is_relative_to(self._root):
                self._skipped(f"{name}: a symbolic link out of the directory")
                return None
        try:
            about = path.stat()
            if not S_ISREG(about.st_mode):
                self._skipped(f"{name}: not a regular file")
                return None
            with path.open("rb"):
                pass
        except OSError as error:
            error.filename = path
            self._cannot_read(error)
            return None
        return _described(path, name, about)
