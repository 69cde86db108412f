"""A replica as another process sees it: whether it lives, whether it is the recorded one, what it says of itself.

Owns asking. Does not own the record (`state_file`), the lock (`state_lock`) or what is done about an answer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from canister_factory.ic.cbor import loads_map
from canister_factory.ic.errors import MalformedCborError
from canister_factory.ic.network_status import NetworkStatus
from canister_factory.replica.node import state_lock
from canister_factory.replica.node.state_file import ReplicaRecord

__all__ = ["is_alive", "is_recorded_process", "status_at"]

_REQUEST_TIMEOUT_S: Final = 3.0
_MAX_STATUS_BYTES: Final = 65_536


def status_at(url: str, timeout_s: float = _REQUEST_TIMEOUT_S) -> NetworkStatus | None:
    """What the network at a URL on this computer says of itself; None where none answers in time."""
    from urllib.request import ProxyHandler, build_opener  # takes as long to load as all else that a start needs here

    opener = build_opener(ProxyHandler({}))  # a proxy would look for the address on its own computer
    try:
        with opener.open(f"{url}/api/v2/status", timeout=timeout_s) as response:
            return NetworkStatus.from_fields(loads_map(response.read(_MAX_STATUS_BYTES), "status"))
    except (OSError, ValueError, MalformedCborError):
        return None


def is_alive(pid: int) -> bool:
    """Whether a process has this id and hasn't ended."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:
        # One that has ended, but whose parent hasn't noticed yet, still has its id.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def is_recorded_process(record: ReplicaRecord) -> bool | None:
    """Whether the process with the recorded id still is that replica: ids are used again. None: it can't be told.

    Who holds the lock on the state directory is the replica; without that file, who answers with its root key is.
    """
    if not is_alive(record.pid):
        return False
    lock = Path(record.state_dir) / "lock"
    if record.state_dir and lock.exists():
        return state_lock.holder(Path(record.state_dir)) == record.pid
    status = status_at(record.url)
    return True if status is not None and _has_key(status, record) else None


def _has_key(status: NetworkStatus, record: ReplicaRecord) -> bool:
    return status.root_key is not None and status.root_key.hex() == record.root_key
