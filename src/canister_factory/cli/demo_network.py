"""The embedded replica that a demo runs on: gone afterwards, or with --keep left running with files to look around.

Owns that replica's life. Does not own the replica (`canister_factory.replica`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.errors import UNREACHABLE, CommandError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica.process import ReplicaProcess, ReplicaProcessError

T = TypeVar("T")
_WATCH_SECONDS = 0.5
_STATE_VARIABLE = "CANISTER_FACTORY_HOME"


class DemoNetwork:
    """A context manager; `network` is usable inside. With `keep` the replica outlives this process, once it worked."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._process: ReplicaProcess | None = None
        self._kept: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self.network: Network

    def __enter__(self) -> Self:
        if importlib.util.find_spec("wasmtime") is None:
            raise CommandError(
                "the embedded replica is not installed; add it with: pip install 'canister-factory[replica]'"
            )
        if self._keep:
            self.network = self._start_kept()
            return self
        self._process = ReplicaProcess()
        try:
            self._process.start()
        except ReplicaProcessError as error:
            raise CommandError(str(error)) from None
        self.network = Network.resolve(self._process.url, root_key=self._process.root_key)
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
        """The result of `work`; when the replica ends meanwhile, that is said at once instead of waiting for it."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_WATCH_SECONDS)
                if not task.done() and not self._running():
                    raise CommandError(
                        "the embedded replica ended in the middle of the demo; run it again", exit_code=UNREACHABLE
                    )
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_WATCH_SECONDS)

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
        """With `keep`: says how to look around."""
        if self._directory is None or self._kept is None:
            return
        base = f"{_STATE_VARIABLE}={shlex.quote(str(self._directory))} {this_command()}"
        owner, admin = (shlex.quote(str(self._directory / f"{role}.pem")) for role in ("owner", "admin"))
        output.note(f"The replica keeps running at {self.network.url} (process {self._kept.pid}). To look around:")
        for line in (
            f"call {canister_id} get_personal_info",
            f"call {canister_id} list_my_capsules --identity {owner}",
            f"call {backend_id} get_reserve_status --identity {admin}",
            "replica stop",
        ):
            output.verbatim(f"  {base} {line}")

    def _start_kept(self) -> Network:
        # Made with mkdtemp, so only this user can read it.
        directory = self._directory = Path(tempfile.mkdtemp(prefix="canister-factory-demo-"))
        command = [sys.executable, "-m", "canister_factory", "replica", "start", "--json", "--port", "0"]
        with (directory / "replica.log").open("ab") as log:
            self._kept = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, "--state-dir", str(directory / "replica")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, _STATE_VARIABLE: str(directory)},
                start_new_session=True,
            )
        assert self._kept.stdout is not None
        line = self._kept.stdout.readline()
        self._kept.stdout.close()
        try:
            ready = json.loads(line)
            return Network.resolve(ready["url"], root_key=bytes.fromhex(ready["root_key"]))
        except (ValueError, KeyError, TypeError):
            self._kept.kill()
            self._kept.wait()
            said = (directory / "replica.log").read_text(errors="replace")[-1000:].strip()
            raise CommandError(f"the embedded replica did not start: {said or 'it ended without a word'}") from None


def this_command() -> str:
    """How a person who stays where they are calls this program again, quoted for a shell."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py" or not script.is_file():
        return f"{shlex.quote(sys.executable)} -m canister_factory"
    on_path = shutil.which(script.name)
    if on_path is not None and Path(on_path).resolve() == script.resolve():
        return shlex.quote(script.name)
    absolute = script.absolute()
    here = Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))
