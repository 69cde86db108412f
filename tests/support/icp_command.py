"""The official command `icp`, isolated from the developer's own home, with the embedded replica as its network."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from canister_factory.ic.identity import Identity
from canister_factory.replica.node.process import ReplicaProcess


@dataclass
class Icp:
    """The command `icp` with a home of its own, and identities `owner` and `stranger` in it."""

    binary: Path
    home: Path
    replica: ReplicaProcess

    @property
    def by_url(self) -> list[str]:
        """Options that name the replica without any project."""
        return ["--network", self.replica.url, "--root-key", self.replica.root_key.hex()]

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ICP_", "XDG_"))}
        isolated = {"HOME": str(self.home), "ICP_HOME": str(self.home / "icp")}
        environment = {**kept, **isolated, "ICP_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1", "RUST_BACKTRACE": "0"}
        return subprocess.run(
            [self.binary, *arguments],
            cwd=cwd or self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def ok(self, *arguments: str, cwd: Path | None = None) -> str:
        """Standard output of a command that must succeed."""
        finished = self.run(*arguments, cwd=cwd)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def call(self, canister: str, method: str, arguments: str, *options: str, identity: str = "owner") -> str:
        """A call as a script makes it; the answer in textual Candid, on one line."""
        printed = self.ok(
            "canister", "call", canister, method, arguments, *self.by_url, "--identity", identity, *options
        )
        return " ".join(printed.split())

    def balance(self, identity: str) -> int:
        """Cycles on an account of the cycles ledger."""
        printed = self.ok("cycles", "balance", *self.by_url, "--identity", identity)
        found = re.search(r"[\d_]+", printed)
        assert found, printed
        return int(found[0].replace("_", ""))

    @classmethod
    def with_identities(cls, binary: Path, home: Path, replica: ReplicaProcess) -> Icp:
        """A home in which `owner` and `stranger` are identities."""
        icp = cls(binary, home, replica)
        for name in ("owner", "stranger"):
            pem = home / f"{name}.pem"
            pem.write_bytes(Identity.generate().to_pem())
            icp.ok("identity", "import", name, "--from-pem", str(pem), "--storage", "plaintext")
        return icp
