"""`canister-factory` without the half second of its imports, for scripts that call it some hundred times.

A server process has the modules loaded. The command is a small program that hands its streams, its folder and its
variables to a fork of the server, where the real command line runs, and ends with that one's exit code. Signals are not
passed on: what interrupts a command uses the installed one.

Owns this. The command line in it is the product's own.
"""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_CLIENT = """#!{python} -IS
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"."], [0, 1, 2])
server.sendall(ascii([os.getcwd(), dict(os.environ), sys.argv]).encode() + b"\\n")
code = server.recv(1)
os._exit(code[0] if code else 70)
"""


@contextmanager
def preloaded_command() -> Iterator[Path]:
    """The command, for the time of the block."""
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket may have a hundred bytes
        address, client = Path(folder) / "socket", Path(folder) / "canister-factory"
        client.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
        client.chmod(0o755)
        with subprocess.Popen(
            [sys.executable, "-P", __file__, str(address)],
            stdin=subprocess.PIPE,  # its end is the server's end
            stdout=subprocess.PIPE,
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            try:
                yield client
            finally:
                assert server.stdin is not None
                server.stdin.close()


def serve(address: str) -> None:
    """Answers each connection by a fork, until the end of stdin."""
    _preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while select.select([listener, sys.stdin], [], [])[0] == [listener]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _become(connection)
            connection.close()


def _preload() -> None:
    from canister_factory import candid, cli, contract, factory, ic
    from canister_factory.candid.did import parse_did

    for package in (candid, ic, contract, factory, cli):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    parse_did("service : {}")  # makes the parser


def _become(connection: socket.socket) -> NoReturn:
    """Runs the command of this connection, and ends the process as it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # As the interpreter opens them.
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    folder, variables, sys.argv = ast.literal_eval(connection.makefile().readline())
    os.chdir(folder)
    os.environ.clear()
    os.environ |= variables
    code = 70
    try:
        from canister_factory.__main__ import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
