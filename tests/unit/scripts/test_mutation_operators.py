"""The faults that `scripts/mutate` puts into a module: which it makes, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def operators(repository: Path) -> ModuleType:
    name = "mutants"
    spec = importlib.util.spec_from_file_location(name, repository / "tests" / "mutation" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def faults(operators: ModuleType, folder: Path, code: str) -> set[str]:
    """What each mutant makes of the lines that it changes."""
    path = folder / "sample.py"
    path.write_text(code)
    changed = set()
    for mutant in operators.mutants_of("sample.py", path):
        lines = [line[1:].strip() for line in mutant.diff(path.read_bytes()) if line.startswith("+")]
        changed.add(" ".join(lines))
    return changed


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = a < b", {"x = (a <= b)", "x = (a >= b)"}),
        ("x = a in b", {"x = (a not in b)"}),
        ("x = a and b", {"x = (a or b)", "x = (b)", "x = (a)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a + b", {"x = (a - b)"}),
        ("x = 5", {"x = 6", "x = (4)"}),
        ("x = True", {"x = False"}),
        ("x = 'é' + a", {'x = "" + a', "x = ('é' - a)"}),
        ("x = a[1:]", {"x = a[2:]", "x = a[(0):]", "x = a[None:]"}),
        ("self.x = a", {"pass"}),
        ("f(a, b=c)", {"pass", "f(a)"}),
        ("await f()", {"pass"}),
        ("return a", {"return None"}),
        ("raise Wrong(f'{a} is wrong', 'text', code=a)", {"pass", "raise Wrong(f'{a} is wrong', 'text')"}),
        ("while a: f()", {"while (not a): f()", "while a: pass"}),
    ],
)
def test_each_kind_of_line_has_its_faults(operators: ModuleType, tmp_path: Path, line: str, expected: set[str]) -> None:
    assert faults(operators, tmp_path, f"async def work(self):\n    {line}\n") == expected


def test_a_handler_is_taken_out(operators: ModuleType, tmp_path: Path) -> None:
    code = "try:\n    x = a\nexcept OSError:\n    x = b\n    y = c\n"
    assert faults(operators, tmp_path, code) == {"raise"}


def test_what_no_test_should_notice_is_left_alone(operators: ModuleType, tmp_path: Path) -> None:
    code = '''
"""A docstring."""
from typing import TYPE_CHECKING, TypeVar
T = TypeVar("T", bound=int)
__all__ = ["T"]
if TYPE_CHECKING:
    import os
    N = 5
x: "list[int]"
"""About x."""
class A:
    def __repr__(self) -> str:
        return "A" + self.name
@dataclass(frozen=True)
class B:
    a: Literal[1]
def f(a: "int" = None) -> "str":
    """What it does."""
    assert a == 1, "so it is"
    logger.warning("%s failed", a)
    return None
'''
    assert faults(operators, tmp_path, code) == set()


def test_every_mutant_is_another_program_with_an_id_of_its_own(operators: ModuleType, repository: Path) -> None:
    path = repository / "src" / "canister_factory" / "factory" / "verify.py"
    found = operators.mutants_of("factory/verify.py", path)
    source = path.read_bytes()
    assert len(found) > 20
    assert len({mutant.id for mutant in found}) == len(found)
    assert source not in [mutant.applied(source) for mutant in found]
