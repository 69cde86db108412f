"""What a replica loads before its first answer: what it doesn't need for that comes later, or never."""

from __future__ import annotations

import subprocess
import sys

# ic-py's dependencies, the parser of `.did` files, and clients.
LATER = ("aiohttp", "antlr4", "ecdsa", "http.client", "httpx", "lark", "mnemonic", "pydantic", "urllib.request")
PROGRAM = """
import sys
import canister_factory.__main__
import canister_factory.cli.replica_control
import canister_factory.cli.replica_server
from canister_factory.replica.node.server import ReplicaServer
ReplicaServer()
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_replica_starts_without_what_its_first_answer_does_not_need() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *LATER], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("\n", "")
