"""The tests that a document names, as `path::test_name`. Reads files only; whether they pass is theirs to say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@cache
def names_in(path: str) -> set[str]:
    """The functions and assigned names of a test module."""
    tree = ast.parse((REPOSITORY / path).read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def check_named_tests(row: str, shown: str) -> None:
    """That a row names tests, and that each of them exists."""
    tests = re.findall(r"`([^`]+)`", shown)
    assert tests, f"{row} is shown by no test"
    for test in tests:
        path, _, function = test.partition("::")
        assert (REPOSITORY / path).is_file(), f"{row}: {path} doesn't exist"
        assert function in names_in(path), f"{row}: {path} has no {function}"
        assert function.lower().startswith("test"), f"{row}: {function} is not a test"
