"""Memories as files under their own names, each chunk compared with the hash that the canister's manifest has.

Owns the names, and that no file is lost or overwritten. Does not own: what is believed of what is read
(`factory.source`).
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.contract.memory_models import MemoryRecord
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.manifest import Entry, Kind
from canister_factory.factory.source import Source
from canister_factory.factory.window import Window
from canister_factory.owner.backup import PersonalCapsule
from canister_factory.owner.disk import writing
from canister_factory.owner.errors import BackupError
from canister_factory.owner.memory_file import holds, write_memory

_LONGEST_NAME = 200
_NOT_IN_NAMES = frozenset('<>:"\\|?*')  # not allowed on every computer
_TRIES = 1_000


@dataclass(slots=True)
class Downloaded:
    """What a download did: files that were written, those that were there already, and memories whose bytes live
    elsewhere, with where that is. `bytes`: of the files that were written.
    """

    written: list[Path] = field(default_factory=list)
    present: list[Path] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


class Download:
    """Writes the memories of a personal canister into a directory: `run` is called once.

    A file is there as a whole or not at all. A file of the same name and content is left as it is, one of another
    content keeps its name: the memory gets a number behind its own.
    """

    def __init__(
        self,
        client: PersonalClient,
        directory: Path,
        config: FactoryConfig,
        *,
        on_bytes: Callable[[int], None] = lambda _more: None,
    ) -> None:
        self._directory = directory
        self._on_bytes = on_bytes
        self._source = Source(PersonalCapsule(client), config)
        self._window = Window(config.start_window, config.max_window)
        self._taken: set[Path] = set()
        self._done = Downloaded()

    def __repr__(self) -> str:
        return f"Download({self._source!r} to {str(self._directory)!r})"

    async def run(self) -> Downloaded:
        """Writes the files.

        Raises:
            BackupError: the directory can't be written.
            SourceMovedError: a memory was changed or deleted meanwhile; the same call goes on.
            ExportError: a chunk isn't what the canister's manifest says.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        listing = await self._source.listing()
        entries = [entry for key, entry in listing.entries.items() if key.kind is Kind.MEMORY]
        with writing(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        here: dict[str, tuple[MemoryRecord, Entry]] = {}
        async for entry, item in self._source.records(entries):
            if entry.content_checksum is None:
                self._done.elsewhere[item.value.info.name] = item.value.blob_ref.locator
            else:
                here[entry.key.id] = item.value, entry
        async for manifest in self._source.memory_manifests([entry for _, entry in here.values()]):
            record, entry = here[manifest.memory_id]
            await self._memory(record, manifest, entry)
        return self._done

    async def _memory(self, record: MemoryRecord, manifest: MemoryManifest, entry: Entry) -> None:
        with writing(self._directory):
            path, is_there = await asyncio.to_thread(self._place, record, manifest)
        if is_there:
            self._done.present.append(path)
            self._on_bytes(entry.size)
            return
        await write_memory(self._source, self._window, manifest, path, self._on_bytes)
        self._done.written.append(path)
        self._done.bytes += entry.size

    def _place(self, record: MemoryRecord, manifest: MemoryManifest) -> tuple[Path, bool]:
        """Where the memory goes, and whether it's there already."""
        wanted = self._directory / safe_name(record.info.name)
        if any(parent.exists() and not parent.is_dir() for parent in wanted.parents):
            wanted = self._directory / "_".join(safe_name(record.info.name).parts)  # a file has its folder's name
        for number in range(_TRIES):
            path = wanted if number == 0 else wanted.with_name(f"{wanted.stem} ({number + 1}){wanted.suffix}")
            if path in self._taken:
                continue
            if not os.path.lexists(path):
                self._taken.add(path)
                return path, False
            if path.is_file() and not path.is_symlink() and holds(path, manifest):
                self._taken.add(path)
                return path, True
        raise BackupError(f"there are {_TRIES} files named like {wanted}; download into another directory")


def safe_name(name: str) -> Path:
    """A relative path made of a memory's name that leads nowhere but below its directory, on every computer.

    `/` divides folders; what can't be in a name becomes `_`.
    """
    parts = []
    for part in unicodedata.normalize("NFC", name).split("/"):
        plain = "".join("_" if c in _NOT_IN_NAMES or unicodedata.category(c)[0] == "C" else c for c in part)
        plain = plain.strip().strip(".").strip()
        if plain:
            while len(plain.encode()) > _LONGEST_NAME:
                stem, dot, suffix = plain.rpartition(".")
                plain = f"{stem[:-1]}.{suffix}" if dot and stem and len(suffix) < 20 else plain[:-1]
            parts.append(plain)
    return Path(*parts) if parts else Path("unnamed")
