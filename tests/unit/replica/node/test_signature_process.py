"""The process that checks signatures, as a program on a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nacl.signing import SigningKey

from canister_factory.replica.node import signature_process
from canister_factory.replica.node.signature_process import RECORD, is_valid

KEY = SigningKey.generate()
MESSAGE = b"what is signed"


def record(message: bytes = MESSAGE, *, signed: bytes | None = None) -> bytes:
    signature = KEY.sign(message if signed is None else signed).signature
    return RECORD.pack(len(message), bytes(KEY.verify_key), signature, message)


@contextmanager
def running() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        program = [sys.executable, "-P", signature_process.__file__]
        with subprocess.Popen(program, stdin=theirs.fileno(), stderr=subprocess.PIPE) as process:
            theirs.close()
            yield ours, process
            ours.close()
            assert process.wait(10) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""


def test_a_record_is_valid_if_its_signature_is() -> None:
    assert is_valid(record())
    assert is_valid(record(b""))
    assert is_valid(record(b"\0" * signature_process.MAX_MESSAGE_BYTES))
    assert not is_valid(record(signed=b"something else"))
    assert not is_valid(record(MESSAGE + b"\0", signed=MESSAGE)), "its length is part of what is signed"


def test_each_record_has_one_byte_in_order_wherever_the_stream_is_cut() -> None:
    stream = record() + record(signed=b"something else") + record(b"")
    for cut in (1, RECORD.size - 1, RECORD.size, RECORD.size + 1, 2 * RECORD.size + 64):
        with running() as (ours, _):
            ours.sendall(stream[:cut])
            whole = cut // RECORD.size
            answers = ours.recv(1) + ours.recv(1) if whole > 1 else ours.recv(1) if whole else b""
            ours.sendall(stream[cut:])
            while len(answers) < 3:
                answers += ours.recv(3)
            assert answers == b"\1\0\1"


def test_it_ends_when_the_other_side_is_gone() -> None:
    with running() as (ours, process):
        ours.sendall(record()[:10])
        os.kill(process.pid, 0)
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(10) == 0


def test_it_ends_without_a_word_when_nobody_takes_its_answers() -> None:
    with running() as (ours, process):
        ours.sendall(record() * 50)
    assert process.returncode == 0
