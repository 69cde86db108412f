"""`replica.json`: where a running replica says at which URL it listens, and with which root key.

Owns the file's place and form. Does not own the process that it describes (`process`, `cli.replica`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["ReplicaRecord", "home_directory", "read_record", "remove_record", "write_record"]

_FILE_NAME: Final = "replica.json"


def home_directory() -> Path:
    """`$CANISTER_FACTORY_HOME`, else `~/.canister-factory`."""
    return Path(os.environ.get("CANISTER_FACTORY_HOME") or Path.home() / ".canister-factory")


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A running replica: `root_key` is the hexadecimal form of its DER public key (133 bytes)."""

    url: str
    root_key: str
    pid: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def write_record(directory: Path, record: ReplicaRecord) -> None:
    """Write the file so that a reader sees all of it or none."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{_FILE_NAME}.{os.getpid()}.new"
    draft.write_text(record.to_json() + "\n")
    draft.replace(directory / _FILE_NAME)


def read_record(directory: Path) -> ReplicaRecord | None:
    """The record in a directory; None where there is none, or one that isn't ours to understand."""
    try:
        fields = json.loads((directory / _FILE_NAME).read_text())
        return ReplicaRecord(str(fields["url"]), str(fields["root_key"]), int(fields["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_record(directory: Path, record: ReplicaRecord) -> None:
    """Remove the file if it still describes this replica: another one may have started since."""
    if read_record(directory) == record:
        (directory / _FILE_NAME).unlink(missing_ok=True)
