"""`replica.json`: where a running replica says at which URL it listens, and with which root key.

Owns the file's place and form. Does not own the process that it describes (`process`, `cli.replica`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from canister_factory.candid.hexadecimal import from_hex
from canister_factory.ic import home
from canister_factory.ic.errors import NetworkConfigError
from canister_factory.ic.home import STATE_FILE_NAME
from canister_factory.replica.node.private_files import open_private
from canister_factory.replica.node.state_lock import StateDirectoryError

__all__ = ["ReplicaRecord", "default_state_directory", "home_directory", "read_record", "remove_record", "write_record"]


def home_directory() -> Path:
    """The home directory.

    Raises:
        StateDirectoryError: this user has none.
    """
    try:
        return home.home_directory()
    except NetworkConfigError as error:
        raise StateDirectoryError(f"{error}, or give --state-dir") from None


def default_state_directory() -> Path:
    """Where a replica keeps its state unless it is told otherwise.

    Raises:
        StateDirectoryError: this user has no home.
    """
    return home_directory() / "replica"


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A running replica: `root_key` is the hexadecimal form of its DER public key (133 bytes).

    `state_dir` is absolute; empty where the record doesn't tell.
    """

    url: str
    root_key: str
    pid: int
    state_dir: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def write_record(directory: Path, record: ReplicaRecord) -> None:
    """Writes the file so that a reader sees all of it or none.

    Raises:
        OSError: it can't be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = directory / f"{STATE_FILE_NAME}.{os.getpid()}.new"
    try:
        with open_private(draft, "w") as file:
            file.write(record.to_json() + "\n")
        draft.replace(directory / STATE_FILE_NAME)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_record(directory: Path) -> ReplicaRecord | None:
    """The record in a directory; None where there is none, or one that isn't ours to understand."""
    try:
        return record_from_json((directory / STATE_FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return None


def record_from_json(text: str | bytes) -> ReplicaRecord:
    """Reads what `to_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        fields = json.loads(text)
        from_hex(fields["root_key"])
        return ReplicaRecord(
            str(fields["url"]), fields["root_key"], int(fields["pid"]), str(fields.get("state_dir", ""))
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no record of a replica: {error}") from None


def remove_record(directory: Path, record: ReplicaRecord) -> None:
    """Removes the file if it still describes this replica: another one may have started since.

    Raises:
        OSError: it can't be removed.
    """
    if read_record(directory) == record:
        (directory / STATE_FILE_NAME).unlink(missing_ok=True)
