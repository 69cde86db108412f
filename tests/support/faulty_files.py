"""The store's file operations with a disk that fails: a layer between the store and the files of a test."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canister_factory.replica.store.files import Files


class Died(BaseException):
    """The process was killed: nothing of it runs afterwards."""


@dataclass
class FaultyFiles(Files):
    """Counts what changes the disk; the operations from number `at` on do as `fault` says.

    Attributes:
        at: number of the first operation with the fault, from 0.
        count: how many have it.
        share: of the bytes that a faulty write still writes, 0 to 1.
        fault: raises what the operation ends with. None: nothing fails.
        flip: instead of failing, one byte of what is written is another one.
        done: operations so far.
    """

    at: int = -1
    count: int = 1
    share: float = 0.0
    fault: Callable[[], BaseException] | None = None
    flip: random.Random | None = None
    done: int = 0
    flipped: bool = False
    power: bool = True
    kinds: list[str] = field(default_factory=list)

    def _is_due(self, kind: str) -> bool:
        number, self.done = self.done, self.done + 1
        self.kinds.append(kind)
        return self.at <= number < self.at + self.count if self.at >= 0 else False

    def _step(self, kind: str) -> None:
        if self._is_due(kind) and self.fault is not None:
            raise self.fault()

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        if not data or not self._is_due("write"):
            super().write(file, data, offset)
        elif self.flip is not None:
            changed = bytearray(data)
            changed[self.flip.randrange(len(changed))] ^= self.flip.randrange(1, 256)
            self.flipped = True
            super().write(file, bytes(changed), offset)
        else:
            super().write(file, data[: int(len(data) * self.share)], offset)
            if self.fault is not None:
                raise self.fault()
            super().write(file, data, offset)

    def create(self, path: Path) -> int:
        self._step("create")
        return super().create(path)

    def replace(self, source: Path, target: Path) -> None:
        self._step("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._step("remove")
        super().remove(path)

    def reserve(self, file: int, offset: int, size: int) -> None:
        self._step("reserve")
        super().reserve(file, offset, size)

    def truncate(self, file: int, size: int) -> None:
        self._step("truncate")
        super().truncate(file, size)

    def sync(self, file: int) -> None:
        self._step("sync")

    def sync_directory(self, path: Path) -> None:
        self._step("sync_directory")

    def make_directory(self, path: Path) -> None:
        self._step("make_directory")
        super().make_directory(path)


def dying(files: FaultyFiles) -> Callable[[], BaseException]:
    """A fault after which every further operation dies as well."""

    def fault() -> BaseException:
        files.count = 1 << 62
        files.share = 0.0
        return Died()

    return fault


def failing(code: int) -> Callable[[], BaseException]:
    return lambda: OSError(code, os.strerror(code))


_BLOCK = 4096


@dataclass
class _Inode:
    """A file's content as the disk has it for sure, and what was written since: (offset, data)."""

    durable: bytes = b""
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass
class PowerFiles(FaultyFiles):
    """Remembers what was forced to disk; `cut` is the disk after a power failure.

    Of what wasn't forced, each block of 4 KiB may be there or not, and names change in their order.
    """

    root: Path = Path()
    inodes: dict[int, _Inode] = field(default_factory=dict)  # by the number the system gives
    linked: dict[Path, int] = field(default_factory=dict)  # durable ones
    renamings: list[tuple[Path, Path, int | None]] = field(default_factory=list)  # (directory, name, inode or none)

    def _inode(self, file: int) -> _Inode:
        return self.inodes.setdefault(os.fstat(file).st_ino, _Inode())

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        try:
            super().write(file, data, offset)
        finally:
            self._inode(file).unsynced.append((offset, bytes(data)))

    def reserve(self, file: int, offset: int, size: int) -> None:
        super().reserve(file, offset, size)
        self._inode(file).unsynced.append((offset, bytes(size)))

    def truncate(self, file: int, size: int) -> None:
        super().truncate(file, size)
        self._inode(file).unsynced.append((size, b""))

    def create(self, path: Path) -> int:
        file = super().create(path)
        self.inodes[os.fstat(file).st_ino] = _Inode()
        self.renamings.append((path.parent, path, os.fstat(file).st_ino))
        return file

    def replace(self, source: Path, target: Path) -> None:
        number = source.stat().st_ino
        super().replace(source, target)
        self.renamings += [(target.parent, target, number), (source.parent, source, None)]

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.renamings.append((path.parent, path, None))

    def sync(self, file: int) -> None:
        super().sync(file)
        inode = self._inode(file)
        inode.durable = _applied(inode.durable, inode.unsynced)
        inode.unsynced.clear()

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        for directory, name, number in self.renamings:
            if directory == path:
                self._rename(self.linked, name, number)
        self.renamings = [renaming for renaming in self.renamings if renaming[0] != path]

    @staticmethod
    def _rename(names: dict[Path, int], name: Path, number: int | None) -> None:
        names.pop(name, None)
        if number is not None:
            names[name] = number

    def cut(self, target: Path, chance: random.Random) -> None:
        """Makes a directory that has what a power failure now may leave."""
        names = dict(self.linked)
        for _, name, number in self.renamings[: chance.randint(0, len(self.renamings))]:
            self._rename(names, name, number)
        for directory in (self.root, *(path for path in self.root.iterdir() if path.is_dir())):
            (target / directory.relative_to(self.root)).mkdir()
        for path, number in names.items():
            inode = self.inodes[number]
            blocks = [
                (offset + at, data[at : at + _BLOCK])
                for offset, data in inode.unsynced
                for at in range(0, len(data) or 1, _BLOCK)
            ]
            kept = [block for block in blocks if chance.random() < 0.5]
            (target / path.relative_to(self.root)).write_bytes(_applied(inode.durable, kept))


def _applied(content: bytes, writes: list[tuple[int, Any]]) -> bytes:
    changed = bytearray(content)
    for offset, data in writes:
        changed += bytes(max(0, offset + len(data) - len(changed)))
        changed[offset : offset + len(data)] = data
    return bytes(changed)
