"""A whole state as one file, to be kept or carried to another computer: `export` and `import`.

Owns the form of that file: a line that says what it is, a gzip-compressed tar of the files of a state whose journal is
empty, and the SHA-256 of all that. Does not own these files.

There is nothing of wasmtime, of the processor or of this computer in it. It holds the network's private keys.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.manifest import Manifest
from canister_factory.replica.store.names import IMAGES, MANIFEST, MODULES, is_ours, module_name, state_name
from canister_factory.replica.store.snapshot import Snapshot

_MAGIC: Final = b"canister-factory replica export 1\n"
_DIGEST_BYTES: Final = 32
_LEVEL: Final = 1
_BLOCK_BYTES: Final = 1 << 20
_OF_MALFORMED_TARS: Final = (ValueError, OverflowError, RecursionError)  # `tarfile` lets them through


class ArchiveError(CanisterFactoryError):
    """A file is no export, or a damaged one."""


def export(path: Path, files: Files, target: Path, on_bytes: Callable[[int], object]) -> int:
    """Writes the state of a directory into a new file; returns that file's length, bytes.

    Args:
        path: a state directory in order, whose journal is empty and whose changes are in its images.
        files: how the disk is reached.
        target: the file; one that was there is replaced once the new one is complete.
        on_bytes: told how many more bytes of the state are in it.

    Raises:
        OSError: the system refuses; the file is as it was.
    """
    manifest = Manifest.decoded(files.read_whole(path / MANIFEST))
    name = state_name(manifest.generation)
    snapshot = Snapshot.decoded(name, files.read_whole(path / name))
    names = [MANIFEST, *sorted(manifest.names - {MANIFEST})]
    names += sorted(snapshot.status_names)
    names += sorted(f"{IMAGES}/{image}" for image in snapshot.image_names)
    names += sorted(module_name(hash_) for hash_ in snapshot.module_hashes)
    draft = target.with_name(f"{target.name}.{time.time_ns()}.new")
    try:
        size = _write_draft(path, files, draft, names, on_bytes)
        files.replace(draft, target)
    except BaseException:
        files.remove(draft)
        raise
    files.sync_directory(target.parent)
    return size


def _write_draft(path: Path, files: Files, draft: Path, names: list[str], on_bytes: Callable[[int], object]) -> int:
    file = files.create(draft)
    try:
        with open(file, "wb", closefd=False) as raw:
            hashed = _Hashed(raw)
            hashed.write(_MAGIC)
            packed = gzip.GzipFile(fileobj=hashed, mode="wb", compresslevel=_LEVEL, mtime=0)
            with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
                for each in names:
                    _add(tar, path / each, each, on_bytes)
            raw.write(hashed.digest())
        files.sync(file)
        return files.size(file)
    finally:
        files.close(file)


def _add(tar: tarfile.TarFile, path: Path, name: str, on_bytes: Callable[[int], object]) -> None:
    with path.open("rb") as content:
        entry = tarfile.TarInfo(name)
        entry.size = path.stat().st_size
        entry.mode = 0o600
        tar.addfile(entry, _Told(content, on_bytes))  # type: ignore[arg-type]


class _Told:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], object]) -> None:
        self._file = file
        self._on_bytes = on_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._on_bytes(len(data))
        return data


class _Hashed:
    """A file that knows the SHA-256 of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.digest()


def unpack(source: Path, files: Files, target: Path, on_bytes: Callable[[int], object]) -> None:
    """Writes the files of an export into an empty directory, durably. Whether they belong together isn't checked.

    Raises:
        ArchiveError: it is no export, or a damaged one; it may be noticed after a part was written.
        OSError: the system refuses.
    """
    with source.open("rb") as raw:
        _check(source, raw)
        for name in (IMAGES, MODULES):
            files.make_directory(target / name)
        try:
            with gzip.GzipFile(fileobj=raw) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
                for entry in tar:
                    content = tar.extractfile(entry) if _may_be(entry) else None
                    if content is None:
                        raise ArchiveError(f"{source} is no export of a replica: it holds {entry.name!r}")
                    _write(files, target / entry.name, content, on_bytes)
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, *_OF_MALFORMED_TARS) as error:
            raise ArchiveError(f"{source} can't be read as an export ({error})") from error
    for directory in (target / IMAGES, target / MODULES, target):
        files.sync_directory(directory)


def _check(source: Path, file: IO[bytes]) -> None:
    """Compares all of it with its checksum, and leaves the file where the tar begins."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ArchiveError(f"{source} is no export of a replica, or one of another version")
    left = source.stat().st_size - len(_MAGIC) - _DIGEST_BYTES
    digest = hashlib.sha256(_MAGIC)
    while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
        digest.update(block)
        left -= len(block)
    if left or file.read() != digest.digest():
        raise ArchiveError(f"{source} is damaged, or was cut off")
    file.seek(len(_MAGIC))


def _may_be(entry: tarfile.TarInfo) -> bool:
    is_plain = entry.isreg() and not entry.issparse()  # a sparse one claims any length
    return is_plain and is_ours(entry.name) and entry.name not in (IMAGES, MODULES)


def _write(files: Files, path: Path, content: IO[bytes], on_bytes: Callable[[int], object]) -> None:
    file = files.create(path)
    try:
        at = 0
        while block := content.read(_BLOCK_BYTES):
            if block.count(0) != len(block):  # zeroes stay a hole
                files.write(file, block, at)
            at += len(block)
            on_bytes(len(block))
        files.truncate(file, at)
        files.sync(file)
    finally:
        files.close(file)
