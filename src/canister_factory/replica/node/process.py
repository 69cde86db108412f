"""An embedded replica in a process of its own, for demos and tests: started, watched, ended.

Owns the child process. Does not own what runs in it (`cli.replica`, `server`).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, Self

from canister_factory.candid.hexadecimal import from_hex
from canister_factory.ic.home import HOME_VARIABLE
from canister_factory.replica.node.launch import ReplicaProcessError, launch

__all__ = ["ReplicaProcess", "ReplicaProcessError"]

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 15.0


class ReplicaProcess:
    """A replica that lives as long as a `with` (or `async with`) block, and never longer than this process.

    Args:
        state_dir: where the network is kept. None: a temporary directory that goes when the replica stops.
        port: 0 picks a free one.
        log: a file for the replica's log; by default it is kept beside the state and shown when the start fails.
        environment: variables to set for the process, on top of this one's.
        prices: "configured" (the official replica's, the dearer ones) or "documented". By default those that the
            state began with, and "configured" for a new one.
        durability: "power" or "process", as `replica start --durability`. None: "power" for a directory that was given.

    Attributes are readable once started: `url`, `root_key` (bytes, DER), `pid`.
    """

    def __init__(
        self,
        state_dir: Path | str | None = None,
        *,
        port: int = 0,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        prices: str | None = None,
        durability: str | None = None,
    ) -> None:
        self._durability = durability or ("process" if state_dir is None else "power")
        self._given_state_dir = Path(state_dir) if state_dir is not None else None
        self._port = port
        self._log = log
        self._environment = dict(environment or {})
        self._options = () if prices is None else ("--prices", prices)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.root_key = b""
        self.pid = 0

    def __repr__(self) -> str:
        return f"<ReplicaProcess {self.url or 'not started'} pid={self.pid or None} running={self.running}>"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> Self:
        """Start the process and wait until it answers.

        Raises:
            ReplicaProcessError: it ended, or wasn't ready within 30 seconds.
        """
        if self.running:
            return self
        try:
            if self._given_state_dir is None and self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="canister-factory-replica-")
        except OSError as error:
            raise ReplicaProcessError(
                f"there is no place for temporary files ({error.strerror}): free some, or set TMPDIR"
            ) from None
        state_dir = self._given_state_dir or Path(self._temporary.name if self._temporary else ".")
        # The home directory is the state directory: this replica is not the one that a person's commands find.
        environment = {HOME_VARIABLE: str(state_dir), **self._environment}
        try:
            self._child, record = launch(
                state_dir,
                port=self._port,
                timeout_s=_START_TIMEOUT_S,
                log=self._log,
                environment=environment,
                options=(*self._options, "--durability", self._durability),
            )
        except ReplicaProcessError:
            self._clean_up()
            raise
        self.url, self.root_key, self.pid = record.url, from_hex(record.root_key), record.pid
        return self

    def stop(self) -> None:
        """End it in order (what was executed is durable), or by force when it takes longer than 15 seconds."""
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
        self._clean_up()

    def kill(self) -> None:
        """End it at once, as a power cut would. The state directory stays usable."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
        self._clean_up(keep_state=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        import asyncio

        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        await asyncio.to_thread(self.stop)

    def _clean_up(self, *, keep_state: bool = False) -> None:
        child = self._child
        if child is not None:
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()
            self._child = None
        if self._temporary is not None and not keep_state:
            self._temporary.cleanup()
            self._temporary = None
