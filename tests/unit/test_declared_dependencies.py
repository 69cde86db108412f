"""What the sources import is declared, and what is declared is locked: nothing is there by luck."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "src" / "canister_factory"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OURS = {"canister_factory"}

# What a lock needs beside the project's own dependencies: what builds the project, for an editable installation too.
BUILD = ["hatchling", "editables"]


def declared(*extras: str) -> set[str]:
    """Distributions that the project asks for."""
    texts = [*PROJECT["dependencies"], *(text for name in extras for text in PROJECT["optional-dependencies"][name])]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports, anywhere in it; for type checkers only too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OURS


def files_of(part: str) -> list[Path]:
    """The files of a room with dependencies of its own, or "product": all others."""
    apart = ("replica", "testing")
    rooms = {path: path.relative_to(SOURCES).parts[0] for path in sorted(SOURCES.rglob("*.py"))}
    return [path for path, room in rooms.items() if part == (room if room in apart else "product")]


def undeclared(paths: Iterable[Path], allowed: set[str]) -> dict[str, set[str]]:
    """By file: the modules that come from no distribution that is allowed."""
    origin = metadata.packages_distributions()
    found = {}
    for path in paths:
        strange = {
            name for name in imported(path) if not allowed & {canonicalize_name(one) for one in origin.get(name, [])}
        }
        if strange:
            found[str(path.relative_to(SOURCES))] = strange
    return found


def test_everything_that_the_product_imports_is_declared() -> None:
    """`mnemonic` came along with another package until that would have dropped it."""
    assert undeclared(files_of("product"), declared()) == {}


def test_what_only_the_replica_imports_is_declared_in_its_extra() -> None:
    assert undeclared(files_of("replica"), declared("replica")) == {}


def test_the_test_face_needs_the_replica_and_pytest_which_loads_it() -> None:
    assert undeclared(files_of("testing"), declared("replica") | {"pytest"}) == {}


def test_everything_that_is_declared_is_imported() -> None:
    origin = metadata.packages_distributions()
    names = {name for path in SOURCES.rglob("*.py") for name in imported(path)}
    used = {canonicalize_name(one) for name in names for one in origin.get(name, [])}
    assert declared("replica") - used == set()


def test_an_import_that_is_not_declared_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SOURCES", tmp_path)
    (tmp_path / "module.py").write_text("def f():\n    import pytest, os, canister_factory.ic\n    import httpx\n")
    assert undeclared([tmp_path / "module.py"], declared()) == {"module.py": {"pytest"}}


# --- the locks --------------------------------------------------------------------------------------------------------


def locked(kind: str) -> dict[str, str]:
    """Names and versions in a lock."""
    text = (REPOSITORY / "requirements" / f"{kind}.lock").read_text()
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M)}


def wanted(requirements: Iterable[str]) -> dict[str, list[Requirement]]:
    """What these distributions need, and what those need, with the extras that are asked for.

    pip doesn't check extras (`pip check`): a lock could lack what `package[extra]` needs.
    """
    found: dict[str, list[Requirement]] = {}
    queue = [Requirement(text) for text in requirements]
    seen = set()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(requirement)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needs = map(Requirement, metadata.requires(name) or [])
            queue += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return found


@pytest.mark.parametrize(("kind", "extras"), [("run", ["replica"]), ("dev", ["replica", "dev"])])
def test_a_lock_has_everything_that_is_wanted_in_a_release_that_is_wanted(kind: str, extras: list[str]) -> None:
    asked = [*PROJECT["dependencies"], *BUILD]
    asked += [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    asked += tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    lock = locked(kind)
    for name, requirements in wanted(asked).items():
        assert name in lock, f"{kind}.lock lacks {name}, which {requirements[0]} asks for"
        for requirement in requirements:
            assert requirement.specifier.contains(lock[name], prereleases=True), f"{name} {lock[name]}: {requirement}"


def test_both_locks_agree() -> None:
    run, dev = locked("run"), locked("dev")
    assert run.items() <= dev.items()


@pytest.mark.parametrize("kind", ["run", "dev"])
def test_every_line_of_a_lock_has_hashes_and_no_host(kind: str) -> None:
    text = (REPOSITORY / "requirements" / f"{kind}.lock").read_text()
    entries = re.split(r"(?<!\\)\n", text.strip())
    assert len(entries) == len(locked(kind))
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+", entry), entry[:100]
