"""Each concern of the work list has modules of its own that do the job (S13), and each module has unit tests (S14).

Asked of the code itself: what a module offers is there, is used from where creations run, and a test calls it.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CANISTERS = REPOSITORY / "canisters"
SOURCES = REPOSITORY / "src"
UNIT_TESTS = REPOSITORY / "tests" / "unit"
PACKAGE = "canister_factory"
ORCHESTRATOR = f"{PACKAGE}.factory.orchestrator"

IN_PYTHON = {
    "types": {"contract.creation_models": ["DetailedCreationStatus", "CreationStatus", "LeaseRef"]},
    "cycles": {"contract.admin_models": ["ReserveStatus"]},
    "registry": {"contract.backend_client": ["BackendClient"]},
    "export": {"factory.source": ["LeasedSource"], "factory.manifest": ["content_checksum"]},
    "import": {"factory.copying": ["Copying"], "factory.copy_pass": ["CopyPass"], "factory.target": ["Target"]},
    "verify": {"factory.verify": ["verify"]},
    "canister operations": {"factory.personal_canister": ["PersonalCanister"]},
    "orchestrator": {"factory.stages": ["Stages"], "factory.lease": ["Lease"]},
}
"""Where each concern is, below the orchestrator: modules, and what they offer that does the job."""

IN_MOTOKO = {
    "types": {"backend/Types": ["DetailedCreationStatus"], "capsule/Types": ["CapsuleManifest"]},
    "registry": {"backend/Registry": ["add", "setStatus"], "backend/Creations": ["move"]},
    "cycles": {"backend/Reserve": ["preflight", "debit", "settle"], "backend/Alerts": ["watchReserve"]},
    "auth": {"backend/Roles": ["requireOperator", "requireAdmin"], "capsule/Access": ["mayWrite"]},
    "export": {"capsule/Export": ["items", "chunk"], "capsule/Manifest": ["take"]},
    "import": {"personal/Import": ["Import"]},
    "verify": {"backend/Verification": ["compare"]},
    "canister operations": {"backend/CanisterOperations": ["create", "info"]},
    "orchestrator": {"backend/CreationSteps": ["claim", "beginProvisioning"], "backend/CreationEnd": ["complete"]},
}
"""The same in the canisters, below their `Main.mo`."""

CONCERNS = {
    *("types", "registry", "cycles", "auth", "export", "import", "verify", "canister operations", "orchestrator"),
}
"""The work list's."""


# --- S13, Python ----------------------------------------------------------------------------------------------------


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def path_of(module: str) -> Path:
    path = SOURCES.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str, str]]:
    """Module, name in it, and name here, of each `from canister_factory... import` in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for name in node.names:
                yield node.module or "", name.name, name.asname or name.name


@cache
def below(root: str) -> frozenset[str]:
    """All modules of the package that a module imports, in any number of steps, and itself."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for source, name, _ in imports(path_of(module)):
            whole = f"{source}.{name}"
            waiting.append(whole if path_of(whole).is_file() else source)
    return frozenset(found)


def called_in(node: ast.AST) -> set[str]:
    """The names `f` of all calls `f(...)` and `f.g(...)` below a node."""
    found = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            callee: ast.expr = call.func
            while isinstance(callee, ast.Attribute | ast.Call):
                callee = callee.func if isinstance(callee, ast.Call) else callee.value
            if isinstance(callee, ast.Name):
                found.add(callee.id)
    return found


def uses(path: Path, name: str, concern: str) -> bool:
    """Whether a file, besides importing a name, calls it; of what are only types, whether it names them."""
    if concern not in ("types", "cycles"):
        return name in called_in(tree(path))
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree(path)))


def test_the_lists_have_every_concern() -> None:
    assert set(IN_MOTOKO) == CONCERNS
    assert set(IN_PYTHON) == CONCERNS - {"auth"}, "who may do what is decided by the canisters alone"


@pytest.mark.parametrize("concern", IN_PYTHON)
def test_what_does_the_job_of_a_concern_is_in_its_module_and_the_orchestrator_uses_it(concern: str) -> None:
    for short, names in IN_PYTHON[concern].items():
        module = f"{PACKAGE}.{short}"
        loaded = importlib.import_module(module)
        assert (loaded.__doc__ or "").strip(), f"{module} doesn't say what it is responsible for"
        assert module in below(ORCHESTRATOR), f"the orchestrator doesn't come to {module}"
        for name in names:
            assert getattr(loaded, name).__module__ == module, f"{name} isn't made in {module}"
            users = [
                user
                for user in below(ORCHESTRATOR) - {module}
                for source, there, here in imports(path_of(user))
                if there == name and defined_in(source, there) == module and uses(path_of(user), here, concern)
            ]
            assert users, f"nothing below the orchestrator uses {name} of {module}"


# --- S13, Motoko ----------------------------------------------------------------------------------------------------

_IMPORT = re.compile(r'^import (\w+) "(\.\.?/[\w/]+|\w+)";', re.MULTILINE)


@cache
def motoko(module: str) -> str:
    return (CANISTERS / f"{module}.mo").read_text()


def motoko_imports(module: str) -> Iterator[tuple[str, str]]:
    """The alias and the module (as `backend/Reserve`) of each import of a sibling."""
    for alias, path in _IMPORT.findall(motoko(module)):
        target = (CANISTERS / module).parent.joinpath(path).resolve().relative_to(CANISTERS.resolve())
        yield alias, target.as_posix()


@cache
def wired() -> frozenset[str]:
    """All modules that one of the two actors imports, in any number of steps."""
    found: set[str] = set()
    waiting = ["backend/Main", "personal/Main"]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [target for _, target in motoko_imports(module)]
    return frozenset(found)


@pytest.mark.parametrize("concern", IN_MOTOKO)
def test_what_does_the_job_of_a_concern_is_in_its_motoko_module_and_an_actor_uses_it(concern: str) -> None:
    for module, names in IN_MOTOKO[concern].items():
        text = motoko(module)
        assert text.startswith("///"), f"{module} doesn't begin with what it is responsible for"
        assert module in wired(), f"neither canister comes to {module}"
        for name in names:
            assert re.search(rf"public (func|type|class) {name}\b", text), f"{module} offers no {name}"
            users = [
                user
                for user in wired() - {module}
                for alias, target in motoko_imports(user)
                if target == module and re.search(rf"\b{alias}\.{name}\b", motoko(user))
            ]
            assert users, f"no module of an actor uses {name} of {module}"


# --- S14 ------------------------------------------------------------------------------------------------------------


@cache
def defined_in(module: str, name: str) -> str:
    """The module that a name comes from, where another one hands it on."""
    found = getattr(importlib.import_module(module), name, None)
    if isinstance(found, ModuleType):
        return found.__name__
    if found is None:  # a module of a package that isn't imported yet
        return f"{module}.{name}"
    return getattr(found, "__module__", None) or module


def called_by_tests(path: Path) -> set[str]:
    """The modules of which a test module calls something within a function: a test, or what its tests share."""
    names = {here: defined_in(source, there) for source, there, here in imports(path)}
    found: set[str] = set()
    for function in ast.walk(tree(path)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {names[name] for name in called_in(function) & set(names)}
    return found


@cache
def called_by_any_test() -> frozenset[str]:
    """All modules that a unit test calls something of. A module of tests without a test in it counts for nothing."""
    found: set[str] = set()
    for path in UNIT_TESTS.rglob("test_*.py"):
        functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        if path != Path(__file__) and any(function.name.startswith("test_") for function in functions):
            found |= called_by_tests(path)
    return frozenset(found)


def modules() -> list[str]:
    return [
        f"{PACKAGE}.{package}.{path.stem}"
        for package in ("factory", "contract")
        for path in sorted((SOURCES / PACKAGE / package).glob("*.py"))
        # `clients` hands on what two other modules make; `cycles_return` is a module of Wasm.
        if path.stem not in ("__init__", "clients", "cycles_return")
    ]


@pytest.mark.parametrize("module", modules())
def test_a_unit_test_calls_something_of_each_module_of_factory_and_contract(module: str) -> None:
    assert module in called_by_any_test()


@pytest.mark.parametrize("concern", IN_MOTOKO)
def test_a_unit_test_on_the_built_canister_is_about_each_concern_of_the_canisters(concern: str) -> None:
    """By an endpoint that is the concern's alone, which a test on a subnet in this process calls and asserts of."""
    endpoint = {
        "types": "list_all_creation_states",
        "registry": "get_registry_entry",
        "cycles": "get_consumption_report",
        "auth": "add_operator",
        "export": "get_export_memory_manifests",
        "import": "put_memory_chunk",
        "verify": "verify_creation",
        "canister operations": "provision_canister",
        "orchestrator": "claim_creation",
    }[concern]
    callers = []
    for path in (UNIT_TESTS / "canisters").glob("test_*.py"):
        for function in ast.walk(tree(path)):
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                text = ast.unparse(function)
                asserts = any(isinstance(node, ast.Assert | ast.With) for node in ast.walk(function))
                if asserts and f"'{endpoint}'" in text:
                    callers.append(function.name)
    assert callers, f"no unit test calls {endpoint}"
