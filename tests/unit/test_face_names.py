"""What `import canister_factory` offers: each name is there, is the real object, and costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import canister_factory
from canister_factory import candid, errors, models, testing

FACES = [canister_factory, candid, errors, models, testing]
HEAVY = (
    "pydantic",
    "httpx",
    "ic",
    "wasmtime",
    "rich",
    "click",
    "asyncio",
    "lark",
    "cryptography",
    "cbor2",
    "httptools",
)


def homes(face: ModuleType) -> dict[str, str]:
    """Each name of a face and the module that it comes from, by its table."""
    return {
        name: f"canister_factory.{home}"
        for home, names in face._HOMES.items()
        for name in names.split() or [home.rpartition(".")[2]]
    }


def typed_homes(face: ModuleType) -> dict[str, str]:
    """The same, as type checkers see it."""
    assert face.__file__
    return {
        alias.asname: f"{node.module}.{alias.name}" if (Path(face.__file__), alias.name) in SUBMODULES else node.module
        for node in ast.walk(ast.parse(Path(face.__file__).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname and not alias.asname.startswith("_")
    }


ROOT = Path(str(canister_factory.__file__))
SUBMODULES = {(ROOT, name) for name in ("candid", "errors", "models", "testing")} | {
    (ROOT.parent / "candid" / "__init__.py", name) for name in ("errors", "types")
}


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_name_is_the_real_object(face: ModuleType) -> None:
    where = homes(face)
    assert face.__all__ == sorted(where)
    for name, home in where.items():
        module = import_module(home)
        is_module = face._HOMES[home.removeprefix("canister_factory.")] == ""
        assert getattr(face, name) is (module if is_module else getattr(module, name)), name


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_type_checkers_see_the_same_names_from_the_same_modules(face: ModuleType) -> None:
    assert typed_homes(face) == homes(face)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_dir_shows_these_names_and_no_others(face: ModuleType) -> None:
    assert [name for name in dir(face) if not name.startswith("_")] == face.__all__
    with pytest.raises(AttributeError, match=f"module '{face.__name__}' has no attribute 'nothing_of_the_kind'"):
        _ = face.nothing_of_the_kind


def test_every_name_of_the_package_is_documented() -> None:
    undocumented = [
        name
        for name in canister_factory.__all__
        if not (inspect.getdoc(getattr(canister_factory, name)) or "").strip()
        or vars(getattr(canister_factory, name)).get("__doc__", "") is None
    ]
    assert undocumented == []


def test_the_documentation_tells_of_every_name(repository: Path) -> None:
    text = (repository / "docs" / "python.md").read_text("utf-8")
    assert [name for name in canister_factory.__all__ if f"`cf.{name}`" not in text] == []


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import canister_factory",
        "import canister_factory as cf; cf.candid; cf.models; cf.errors; dir(cf); dir(cf.models)",
        "import canister_factory as cf; cf.errors.RejectedError; cf.errors.CanisterFactoryError; cf.errors.CandidError",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    loaded = loaded_by(statement)
    assert [name for name in HEAVY if name in loaded] == []
    # What an import costs is the modules that it loads: ours are few, and only the package when it's just imported.
    ours = {name for name in loaded if name.startswith("canister_factory")}
    if statement == "import canister_factory":
        assert ours == {"canister_factory", "canister_factory.lazy", "canister_factory.version"}


def test_using_a_name_loads_only_what_it_needs() -> None:
    loaded = loaded_by("import canister_factory as cf; cf.Principal")
    assert "canister_factory.candid.principal" in loaded
    assert not {name for name in loaded if name.startswith(("canister_factory.ic", "canister_factory.contract"))}


def test_submodules_imported_first_do_not_hide_the_names() -> None:
    program = (
        "import canister_factory.candid.encoding, canister_factory.candid.decoding, canister_factory as cf;"
        "print(cf.candid.decode(cf.candid.encode([cf.candid.types.NAT], [5]), [cf.candid.types.NAT]))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout == "(5,)\n"


def test_the_package_says_that_it_is_typed() -> None:
    assert ROOT.with_name("py.typed").is_file()
