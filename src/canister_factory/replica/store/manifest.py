"""`manifest`: which files make up a state, with their lengths and checksums. It alone says what is valid.

Owns the file's form. Does not own what is in the others (`snapshot`, `journal`, `images`), or their names (`names`).

Text, so that a person can look at it: one line of JSON, and one with the SHA-256 of the first.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from canister_factory.replica.store.files import DamagedError, Files
from canister_factory.replica.store.names import (
    CREATING,
    FIRST_FORMAT,
    KEYS,
    MANIFEST,
    changes_name,
    is_ours,
    journal_name,
    state_name,
)
from canister_factory.replica.subnet.durability import CheckpointError

FORMAT: Final = 7
"""Of everything in a state directory; raised when that changes in a way that the state's own form doesn't tell."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a file must be: its length in bytes, and its CRC-32."""

    size: int
    crc32: int

    @classmethod
    def of(cls, content: bytes) -> Seal:
        return cls(len(content), zlib.crc32(content))

    def check(self, name: str, content: bytes) -> None:
        """Refuses another content.

        Raises:
            DamagedError: it is another one.
        """
        if not content:
            raise DamagedError(name, "is empty")
        if len(content) != self.size:
            raise DamagedError(name, f"has {len(content)} bytes instead of {self.size}")
        if zlib.crc32(content) != self.crc32:
            raise DamagedError(name, "is damaged, or belongs to another state")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One valid state.

    Attributes:
        generation: counts the snapshots; part of the names of their files.
        form: tells the classes of the state, as `state_codec.FORM`.
        salt: of the journal, hexadecimal.
        keys: what `keys.json` must be; None: there is none.
        state: what `state-<generation>` must be.
        changes: what `changes-<generation>` must be; None: there are none, or they are in the images already.
    """

    generation: int
    form: str
    salt: str
    keys: Seal | None
    state: Seal
    changes: Seal | None = None
    format: int = field(default=FORMAT)

    def __post_init__(self) -> None:
        """Refuses what no manifest says, with ValueError or TypeError: others may have written it."""
        bytes.fromhex(self.salt)
        if self.generation < 1:
            raise ValueError(f"generation {self.generation}")

    def encoded(self) -> bytes:
        """The content of the file."""
        line = json.dumps(asdict(self), sort_keys=True).encode() + b"\n"
        return line + hashlib.sha256(line).hexdigest().encode() + b"\n"

    @classmethod
    def decoded(cls, content: bytes) -> Manifest:
        """Reads what `encoded` gave.

        Raises:
            DamagedError: it is something else.
            OtherFormatError: another version wrote it.
        """
        if not content:
            raise DamagedError(MANIFEST, "is empty")
        line, _, digest = content.partition(b"\n")
        if digest != hashlib.sha256(line + b"\n").hexdigest().encode() + b"\n":
            raise DamagedError(MANIFEST, "is damaged")
        try:
            fields: dict[str, Any] = json.loads(line)
            if fields.get("format") != FORMAT:
                raise OtherFormatError(fields.get("format"))
            for name in ("keys", "state", "changes"):
                fields[name] = fields[name] and Seal(**fields[name])
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(MANIFEST, f"can't be read ({type(error).__name__})") from error

    def save(self, files: Files, directory: Path) -> None:
        """Makes it the valid one."""
        files.publish(directory / MANIFEST, self.encoded())

    @property
    def names(self) -> set[str]:
        """The files of the state, those in its two directories left out."""
        names = {MANIFEST, state_name(self.generation), journal_name(self.generation)}
        return names | ({KEYS} if self.keys else set()) | ({changes_name(self.generation)} if self.changes else set())


class OtherFormatError(CheckpointError):
    """Another version of this program wrote the state."""

    def __init__(self, written: object) -> None:
        super().__init__(f"the state has format {written}, this version reads format {FORMAT}")
        self.written = written


def read_manifest(files: Files, directory: Path) -> Manifest | None:
    """The manifest of a state directory; None where there is no state, or one that was never finished.

    Raises:
        OSError: it can't be read.
        DamagedError: it is damaged, or missing though other files are there.
        OtherFormatError: another version wrote the state.
    """
    names = files.names(directory)
    if MANIFEST in names:
        return Manifest.decoded(files.read_whole(directory / MANIFEST))
    if FIRST_FORMAT in names:
        raise OtherFormatError("1 to 4")
    if CREATING not in names and any(is_ours(name) and not name.endswith(".new") for name in names):
        raise DamagedError(MANIFEST, "is missing, though other files of a state are there")
    return None
