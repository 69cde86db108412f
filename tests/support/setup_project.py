"""A small project with our set-up scripts, and a package index that tests watch, on this machine.

The project builds itself without help, so that nothing is fetched but what its lock names.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

_PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "canister-factory"
version = "0.1.0"
dependencies = [{dependencies}]
"""

_BACKEND = """
import os, pathlib, signal, zipfile

def build_editable(directory, settings=None, metadata=None):
    if os.environ.get("KILL_THE_BUILD"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    here = pathlib.Path(__file__).resolve().parent
    name = "canister_factory-0.1.0"
    with zipfile.ZipFile(pathlib.Path(directory) / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("canister_factory.pth", str(here / "src"))
        wheel.writestr(f"{name}.dist-info/METADATA", (here / "METADATA").read_text())
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    return f"{name}-py3-none-any.whl"
"""


def wheel(name: str, version: str, requires: Iterable[str] = (), extras: Iterable[str] = ()) -> bytes:
    """A wheel with one module, which holds its version."""
    about = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    about += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    info = f"{name}-{version}.dist-info"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{about}")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return content.getvalue()


class Index(ThreadingHTTPServer):
    """A page of links to wheels. `on_request` is called with a wheel's file name before it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels: dict[str, bytes] = {}
        self.on_request: Callable[[str], object] = lambda name: None
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def offer(self, name: str, version: str, requires: Iterable[str] = (), extras: Iterable[str] = ()) -> str:
        """Adds a wheel; returns its line in a lock."""
        content = wheel(name, version, requires, extras)
        self.wheels[f"{name}-{version}-py3-none-any.whl"] = content
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Index)
        name = self.path.strip("/")
        if name:
            self.server.on_request(name)
        links = "".join(f'<a href="/{wheel}">{wheel}</a>\n' for wheel in self.server.wheels)
        body = self.server.wheels.get(name) if name else f"<html><body>{links}</body></html>".encode()
        self.send_response(200 if body is not None else 404)
        self.send_header("content-type", "application/octet-stream" if name else "text/html")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


_QUICK_PYTHON = """#!/usr/bin/env bash
# The interpreter, whose environments get the pip that is there already: to unpack another one takes most of a set-up.
if [[ " $* " != *" -m venv "* ]]; then exec {python} "$@"; fi
{python} "$@" --without-pip
for last in "$@"; do :; done
echo {pip} >"$(echo "$last"/lib/python*/site-packages)/pip.pth"
"""


def quick_python(directory: Path) -> Path:
    """An interpreter that makes virtual environments in no time."""
    pip = directory / "pip"
    pip.mkdir(parents=True)
    for path in map(Path, importlib.metadata.distribution("pip")._path.parent.glob("pip*")):  # type: ignore[attr-defined]
        (pip / path.name).symlink_to(path)
    python = directory / "python"
    python.write_text(_QUICK_PYTHON.format(python=sys.executable, pip=pip))
    python.chmod(0o755)
    return python


class Project:
    """A clone: our scripts, a lock, and an environment variable of its own for everything that pip looks at."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root = root
        self.index = index
        self.venv = root / ".venv"
        (root / "scripts" / "lib").mkdir(parents=True)
        for name in ("lib/environment.sh", "test", "demo"):
            shutil.copy(REPOSITORY / "scripts" / name, root / "scripts" / name)
        (root / "src" / "canister_factory").mkdir(parents=True)
        (root / "src" / "canister_factory" / "__init__.py").write_text("")
        (root / "requirements").mkdir()
        (root / "backend.py").write_text(_BACKEND)
        self.want("a")
        home = root / "home"
        home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHON": str(quick_python(root.parent / "python")),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": index.url,
            "PIP_RETRIES": "0",
            "no_proxy": "127.0.0.1",
        }

    def with_index(self, index: Index) -> Project:
        """The same clone, which asks another index that offers the same."""
        index.wheels |= self.index.wheels
        other = copy.copy(self)
        other.index = index
        other.environment = self.environment | {"PIP_FIND_LINKS": index.url}
        return other

    def moved_to(self, root: Path) -> Project:
        """The clone, moved to another place."""
        other = copy.copy(self)
        other.root = self.root.rename(root)
        other.venv = root / ".venv"
        other.environment = self.environment | {"HOME": str(root / "home"), "TMPDIR": str(root / "home")}
        return other

    def want(self, *dependencies: str) -> None:
        """What the project depends on."""
        (self.root / "pyproject.toml").write_text(
            _PYPROJECT.format(dependencies=", ".join(f'"{one}"' for one in dependencies))
        )
        about = "Metadata-Version: 2.1\nName: canister-factory\nVersion: 0.1.0\n"
        (self.root / "METADATA").write_text(about + "".join(f"Requires-Dist: {one}\n" for one in dependencies))

    def lock(self, *lines: str) -> None:
        for kind in ("run", "dev"):
            (self.root / "requirements" / f"{kind}.lock").write_text("".join(lines))

    def begin(self, **variables: str) -> subprocess.Popen[str]:
        """Begins a set-up, in a process group of its own."""
        return subprocess.Popen(
            ["bash", "-c", 'set -euo pipefail; source "$0"; ensure_environment run', "scripts/lib/environment.sh"],
            cwd=self.root,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, **variables: str) -> tuple[int, str]:
        """A whole set-up: exit code and what it said."""
        process = self.begin(**variables)
        out, err = process.communicate(timeout=120)
        assert out == ""
        return process.returncode, err

    def installed(self, name: str) -> str:
        """The version of a package in the environment."""
        script = f"import {name}; print({name}.version)"
        found = subprocess.run(
            [str(self.venv / "bin" / "python"), "-I", "-c", script], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()


def kill(process: subprocess.Popen[str]) -> None:
    """Ends a set-up and all that it started, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
