"""The embedded replica that a demo runs on: gone afterwards, or with --keep left running with files to look around.

Owns that replica's life. Does not own the replica (`canister_factory.replica`).
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from canister_factory.candid.hexadecimal import from_hex
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.errors import CommandError
from canister_factory.cli.watch import watched
from canister_factory.ic.home import HOME_VARIABLE
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica import missing_libraries
from canister_factory.replica.node.launch import ReplicaProcessError, launch
from canister_factory.replica.node.process import ReplicaProcess

T = TypeVar("T")
_START_TIMEOUT_S = 30.0


class DemoNetwork:
    """A context manager; `network` is usable inside. With `keep` the replica outlives this process, once it worked."""

    def __init__(self, *, keep: bool, prices: str | None = None) -> None:
        self._keep = keep
        self._prices = prices
        self._process: ReplicaProcess | None = None
        self._kept: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self.network: Network

    def __enter__(self) -> Self:
        if missing_libraries():
            raise CommandError(
                "the embedded replica is not installed. Install it with: pip install 'canister-factory[replica]'"
            )
        try:
            self.network = self._start_kept() if self._keep else self._start()
        except ReplicaProcessError as error:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
            raise CommandError(_for_demos(str(error))) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()  # nothing of it is kept, so it needn't write its state first
            self._process.stop()
        if self._kept is not None and error is not None:
            self._kept.terminate()
            self._kept.wait()
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)

    async def watched(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`.

        Raises:
            CommandError: the replica ended or fails meanwhile; at once, with the cause.
        """
        try:
            return await watched(work, self.network.url, self._running, "the demo")
        except CommandError as error:
            raise CommandError(_for_demos(str(error)), exit_code=error.exit_code) from None

    def _running(self) -> bool:
        if self._kept is not None:
            return self._kept.poll() is None
        return self._process is not None and self._process.running

    def keep_identities(self, identities: Mapping[str, Identity]) -> None:
        """With `keep`: writes each identity's PEM file, readable by this user only."""
        if self._directory is not None:
            for role, identity in identities.items():
                identity.write_pem(self._directory / f"{role}.pem")

    def explain(self, backend_id: Principal, canister_id: Principal) -> None:
        """With `keep`: shows commands to look around with."""
        if self._directory is None or self._kept is None:
            return
        base = f"{HOME_VARIABLE}={shlex.quote(str(self._directory))} {this_command()}"
        owner, admin = (shlex.quote(str(self._directory / f"{role}.pem")) for role in ("owner", "admin"))
        output.note(f"The replica keeps running at {self.network.url} (process {self._kept.pid}). To look around:")
        for line in (
            f"call {canister_id} get_personal_info",
            f"call {canister_id} list_my_capsules --identity {owner}",
            f"call {backend_id} get_reserve_status --identity {admin}",
            "replica stop",
        ):
            output.verbatim(f"  {base} {line}")

    def _start(self) -> Network:
        self._process = ReplicaProcess(prices=self._prices).start()
        return Network.resolve(self._process.url, root_key=self._process.root_key)

    def _start_kept(self) -> Network:
        # Made with mkdtemp, so only this user can read it.
        try:
            directory = self._directory = Path(tempfile.mkdtemp(prefix="canister-factory-demo-"))
        except OSError as error:
            raise CommandError(
                f"temporary files can't be written ({error.strerror}): free some space, or set TMPDIR"
            ) from None
        # The home is the directory, so that the commands of `explain` find it there.
        environment = {HOME_VARIABLE: str(directory)}
        self._kept, record = launch(
            directory / "replica",
            port=0,
            timeout_s=_START_TIMEOUT_S,
            detached=True,
            environment=environment,
            options=() if self._prices is None else ("--prices", self._prices),
        )
        assert self._kept.stdout is not None
        self._kept.stdout.close()
        return Network.resolve(record.url, root_key=from_hex(record.root_key))


def _for_demos(message: str) -> str:
    """A replica's advice for a demo, which has no --state-dir: its state is a temporary file."""
    return message.replace("--state-dir", "TMPDIR")


def this_command() -> str:
    """How a person calls this program again from the same directory, quoted for a shell."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py" or not script.is_file():
        return f"{shlex.quote(sys.executable)} -m canister_factory"
    on_path = shutil.which(script.name)
    if on_path is not None and Path(on_path).resolve() == script.resolve():
        return shlex.quote(script.name)
    absolute = script.absolute()
    current = Path.cwd()
    return shlex.quote(str(absolute.relative_to(current) if absolute.is_relative_to(current) else absolute))
