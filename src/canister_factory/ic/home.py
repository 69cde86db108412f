"""Where this computer keeps what the embedded network leaves for others: the home directory, and names in it.

Owns the place and the names. Does not own the files' contents (`network` reads the state file, the replica writes it).
"""

from __future__ import annotations

import os
from pathlib import Path

from canister_factory.ic.errors import NetworkConfigError

HOME_VARIABLE = "CANISTER_FACTORY_HOME"
STATE_FILE_NAME = "replica.json"
"""The JSON file in which a running embedded replica says its `url`, `root_key` (DER in hex) and `pid`."""


def home_directory() -> Path:
    """`$CANISTER_FACTORY_HOME`, else `~/.canister-factory`.

    Raises:
        NetworkConfigError: this user has no home directory.
    """
    home = os.environ.get(HOME_VARIABLE)
    try:
        return Path(home) if home else Path.home() / ".canister-factory"
    except RuntimeError:
        raise NetworkConfigError(f"this user has no home directory: set HOME or {HOME_VARIABLE}") from None
