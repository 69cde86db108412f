"""Where signatures of requests are checked: here, or in a process beside this one once many come in a short time.

Owns that process, and which checks it gets. Does not own what it does (`signature_process`), or what a signature must
be for (`ic.envelope`). To check an Ed25519 signature takes a sixth of all that an update takes, and needs neither the
subnet nor secrets.

A request is checked as if each signature were good, and goes on when the process says that they are. Otherwise, and
when there is no answer, it is checked again here, so that nothing depends on that process but the pace.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.public_key import ED25519_DER_PREFIX, Verify
from canister_factory.ic.signatures import verifying_with
from canister_factory.replica.node import signature_process
from canister_factory.replica.node.node_key import verify_quickly
from canister_factory.replica.node.signature_process import MAX_MESSAGE_BYTES, RECORD, is_valid

__all__ = ["SignatureChecks"]

T = TypeVar("T")

MANY: Final = 300
"""So many checks in a second, and the process is started."""
FEW: Final = 2
"""So many that come at the same time are checked here: they would wait longer for an answer."""
MAX_OPEN: Final = 128
"""Signatures that wait for an answer; further ones are checked here. They fit into the socket."""
_TOGETHER: Final = 4  # records that are sent at once, so that the process is at work while others are read
_DER_BYTES: Final = len(ED25519_DER_PREFIX) + 32
_SIGNATURE_BYTES: Final = 64
_OVERDUE_S: Final = 0.5
_PAUSE_S: Final = 10.0  # until a process that failed has a successor

logger = logging.getLogger(__name__)


class _Open(NamedTuple):
    """Something that waits for answers to so many records, and for all that came before."""

    records: int
    check: Callable[[Verify], Any]
    result: Any
    then: Callable[[Callable[[], Any]], None]


class SignatureChecks:
    """Decides about checked requests, in the event loop's thread.

    Args:
        network: canisters' signatures are checked with its root key.
        beside: whether a process may be started. Without one, everything is decided at once.
        clock_s: seconds that never go back.
    """

    def __init__(
        self, network: CertificateVerifier, *, beside: bool = False, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._here = verifying_with(network, verify_quickly)
        self._noting = verifying_with(network, self._note)
        self._clock_s = clock_s
        self._beside = beside
        self._count = 0
        self._since_s = self._not_before_s = float("-inf")
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._noted: list[bytes] = []  # records of the request that is being checked
        self._unsent: list[bytes] = []
        self._sent = 0  # records without an answer
        self._answers = b""  # that belong to requests with records that have none yet
        self._open: deque[_Open] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._answered = 0

    def __repr__(self) -> str:
        return f"<SignatureChecks pid={self.pid} open={len(self._open)}>"

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def decide(self, check: Callable[[Verify], T], then: Callable[[Callable[[], T]], None]) -> None:
        """Calls `then` once, now or later, with a function that returns what `check` does, or raises what it raises.

        `then` must not raise.
        """
        if self._socket is None:
            self._count_one()
            then(partial(check, self._here))
            return
        noted = self._noted = []
        try:
            result = check(self._noting)
        except Exception as error:
            then(partial(_raise, error))
            return
        if not noted:
            then(lambda: result)
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += noted
        self._open.append(_Open(len(noted), check, result, then))
        if len(self._unsent) >= _TOGETHER:
            self._send()

    async def settled(self) -> None:
        """Waits until all is decided that waits for it now."""
        if self._open:
            settled = asyncio.Event()
            self._open.append(_Open(0, _nothing, None, lambda _: settled.set()))
            await settled.wait()

    def stop(self) -> None:
        """Ends the process; what is still open is decided here, and so is all that follows."""
        self._beside = False
        self._end()

    # --- the process -------------------------------------------------------------------------------------------------

    def _count_one(self) -> None:
        """Starts the process where it is worth it."""
        self._count += 1
        if self._count >= MANY:
            now_s = self._clock_s()
            many = now_s - self._since_s < 1.0
            self._count, self._since_s = 0, now_s
            if many and self._beside and now_s >= self._not_before_s:
                self._start()

    def _start(self) -> None:
        self._not_before_s = self._clock_s() + _PAUSE_S
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                self._socket = ours
                ours.setblocking(False)
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                    [sys.executable, "-P", str(Path(signature_process.__file__))],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    process_group=0,  # a terminal's Ctrl-C is for this process, whose end ends that one
                )
            asyncio.get_running_loop().add_reader(ours, self._read)
        except OSError as error:
            self._fail(error)

    def _fail(self, reason: object) -> None:
        logger.warning("signatures are checked without a second process for now: %s", reason)
        self._end()

    def _end(self) -> None:
        ours, self._socket = self._socket, None
        process, self._process = self._process, None
        if ours is not None:
            asyncio.get_running_loop().remove_reader(ours)
            ours.close()
        if process is not None:
            process.kill()  # it has nothing to finish
            process.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent.clear()
        self._sent, self._answers = 0, b""
        undecided, self._open = self._open, deque()
        for each in undecided:
            each.then(partial(each.check, self._here))

    # --- records -----------------------------------------------------------------------------------------------------

    def _note(self, der: bytes, message: bytes, signature: bytes) -> None:
        """Notes what the process can check, and checks everything else: `ic.public_key.Verify`."""
        if (
            len(der) == _DER_BYTES
            and der.startswith(ED25519_DER_PREFIX)
            and len(signature) == _SIGNATURE_BYTES
            and len(message) <= MAX_MESSAGE_BYTES
            and self._sent + len(self._unsent) < MAX_OPEN
        ):
            self._noted.append(RECORD.pack(len(message), der[-32:], signature, message))
        else:
            verify_quickly(der, message, signature)

    def _flush(self) -> None:
        if self._unsent and not self._sent and len(self._unsent) <= FEW:
            answers = bytes(map(is_valid, self._unsent))
            self._unsent.clear()
            self._take(answers)
        elif self._unsent:
            self._send()

    def _send(self) -> None:
        assert self._socket is not None, "there is no process"
        data = b"".join(self._unsent)
        self._sent += len(self._unsent)
        self._unsent.clear()
        try:
            complete = self._socket.send(data) == len(data)
        except OSError as error:
            self._fail(error)
            return
        if not complete:
            self._fail("it doesn't read what it is sent")
        elif self._timer is None:
            self._watch()

    def _watch(self) -> None:
        before = self._answered

        def look() -> None:
            self._timer = None
            if self._sent and self._answered == before:
                self._fail(f"it hasn't answered for {_OVERDUE_S} s")
            elif self._sent:
                self._watch()

        self._timer = asyncio.get_running_loop().call_later(_OVERDUE_S, look)

    def _read(self) -> None:
        assert self._socket is not None, "there is no process"
        try:
            answers = self._socket.recv(2 * MAX_OPEN)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if not answers:
            self._fail("it has ended")
            return
        self._sent -= len(answers)
        self._answered += len(answers)
        self._take(answers)

    def _take(self, answers: bytes) -> None:
        answers = self._answers + answers
        at = 0
        while self._open and at + self._open[0].records <= len(answers):
            records, check, result, then = self._open.popleft()
            good = answers.count(1, at, at + records) == records
            at += records
            then(partial(_same, result) if good else partial(check, self._here))
        self._answers = answers[at:]


def _same(value: T) -> T:
    return value


def _raise(error: Exception) -> NoReturn:
    raise error


def _nothing(verify: Verify) -> None:
    """The check of what only waits for others."""
