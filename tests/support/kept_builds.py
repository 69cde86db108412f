"""What the Motoko compiler made of our sources, kept by all that went into it: compiling takes half a minute.

Owns the files in the tests' own cache, `$XDG_CACHE_HOME/canister-factory/tests` or `~/.cache/...`. Does not own how a
build is made. With another source, compiler or Node.js the key is another, so nothing that is older is ever returned.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import pytest

CANISTERS = Path(__file__).resolve().parents[2] / "canisters"
_SCRIPTS = CANISTERS.parent / "scripts"
_KEPT = 8

Files: TypeAlias = dict[str, bytes]
"""What a build made, by file name."""

_failures: dict[str, str] = {}
"""Builds that this process has tried in vain, and how the compiler's words begin."""


def kept(what: str, build: Callable[[], Files]) -> Files:
    """The files of a build that is called `what`; `build` makes them unless just that is kept from an earlier time.
    Where it can't, the test fails, and so does at once whichever asks for it later.
    """
    return tried_once(what, lambda: kept_in(_cache(), f"{what} {_node()} {digest(ingredients())}", build))


def tried_once(what: str, make: Callable[[], Files]) -> Files:
    """What `make` returns. Where it fails, the first test has all that the compiler says; the later ones name it."""
    if what in _failures:
        pytest.fail(f"{what} can't be built, as an earlier test says in full: {_failures[what]}", pytrace=False)
    try:
        return make()
    except Exception as error:
        said = str(error).strip() or type(error).__name__
        _failures[what] = said.splitlines()[0]
        pytest.fail(f"{what} can't be built:\n{said}", pytrace=False)


def ingredients() -> list[Path]:
    """Every file that a build may depend on: Motoko, contracts, releases, the scripts, and the compiler."""
    folders = (CANISTERS, _SCRIPTS)
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if CANISTERS / "dist" not in path.parents]


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of names and contents."""
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(
            f"{path.relative_to(CANISTERS.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return content.hexdigest()


def kept_in(cache: Path | None, key: str, build: Callable[[], Files]) -> Files:
    """The files kept under the key, or those that `build` makes, which are kept then. Without a cache nothing is."""
    if cache is None:
        return build()
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.zip"
    if (files := _read(path)) is not None:
        return files
    files = build()
    with tempfile.TemporaryDirectory(dir=cache) as draft:
        whole = Path(draft) / path.name
        with zipfile.ZipFile(whole, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        whole.replace(path)
    for old in sorted(cache.glob("*.zip"), key=lambda kept: kept.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return files


def _read(path: Path) -> Files | None:
    """The files, if they are there and as they were written (each has a checksum)."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        os.utime(path)
    except (OSError, zipfile.BadZipFile):
        return None
    return files


def _cache() -> Path | None:
    """The folder, which is this user's alone; None where there can't be one."""
    caches = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(caches) if caches else Path.home() / ".cache") / "canister-factory" / "tests"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _node() -> str:
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
