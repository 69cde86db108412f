"""What tests share is in `support`: no test file, and nothing in `support`, imports from a test file or a conftest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
MODULES = sorted(path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)
TEST_FILES = {path.stem for path in MODULES if path.name.startswith("test_")} | {"conftest"}


def imported(module: str) -> Iterator[str]:
    """The modules of a source, and each name taken from one, which may be a module too; relative ones with dots."""
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module or ''}.{name.name}" for name in node.names)


def is_test_file(name: str) -> bool:
    return name.startswith(".") or name.rpartition(".")[2] in TEST_FILES


def test_no_module_imports_from_a_test_file() -> None:
    assert [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in MODULES
        for name in imported(path.read_text())
        if is_test_file(name)
    ] == []


def test_this_look_at_the_source_finds_each_form() -> None:
    source = """
import unit.test_time_limits
from test_time_limits import HANGING
from unit import test_time_limits
from conftest import SHARED
from .test_time_limits import HANGING
from support.creation_world import World
"""
    found = [name for name in imported(source) if is_test_file(name)]
    assert found == [
        "unit.test_time_limits",
        "test_time_limits",
        "unit.test_time_limits",
        "conftest",
        ".test_time_limits",
    ]
