"""Tests that can't fail: the forms of them that show in the source. What doesn't show, `scripts/mutate` finds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
MODULES = sorted(path for path in TESTS.rglob("test_*.py") if "node_modules" not in path.parts)
BROAD = {"Exception", "BaseException", "IcError", "FactoryError"}
ASSERTING_HELPERS = {
    "check",
    "refused",  # of CapsuleWorld: expects a refusal of one kind, and that nothing changed
    "refused_to_others",  # of CapsuleWorld: the same, or not let in at the door of a personal canister
    "turned_away",  # of CapsuleWorld: not let in at the door, and nothing changed
    "refuses_cleanly",
    "suppress",  # property tests: whatever is given, nothing but this error is raised
}


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(module.read_text())
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return (node for node in nodes if node.name.startswith("test"))


def name_of(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def asserts_something(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        name = name_of(node.func) if isinstance(node, ast.Call) else ""
        if name in ASSERTING_HELPERS | {"raises", "warns"} or name.startswith("assert_"):
            return True
    return False


def broad_expectation(node: ast.AST) -> bool:
    """`raises` of a whole family of errors without a word on which: a defect of ours would pass as well."""
    if not (isinstance(node, ast.Call) and name_of(node.func) == "raises" and node.args):
        return False
    if isinstance(node.args[0], ast.Tuple):
        return True
    return name_of(node.args[0]) in BROAD and not any(keyword.arg == "match" for keyword in node.keywords)


def always_true(node: ast.AST) -> bool:
    """An assertion that takes either outcome, or compares nothing."""
    if not isinstance(node, ast.Assert):
        return False
    if isinstance(node.test, ast.Tuple | ast.JoinedStr):
        return True
    return isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or)


def compared_to_nothing(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare | ast.BoolOp | ast.Name | ast.Attribute)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_test_asserts_one_outcome(module: Path) -> None:
    weak: list[str] = []
    for test in functions(module):
        where = f"{module.relative_to(TESTS)}::{test.name}"
        if not asserts_something(test):
            weak.append(f"{where} asserts nothing")
        for node in ast.walk(test):
            if broad_expectation(node):
                weak.append(f"{where}: expects any of several errors: {ast.unparse(node)}")
            if always_true(node):
                weak.append(f"{where}: takes either outcome: {ast.unparse(node)}")
            if compared_to_nothing(node):
                weak.append(f"{where}: a comparison without assert: {ast.unparse(node)}")
    assert weak == []


def test_this_look_at_the_source_finds_each_form() -> None:
    source = """
def test_nothing(): run()
def test_either(): assert a or b
def test_any_error():
    with pytest.raises((A, B)): run()
def test_family():
    with pytest.raises(IcError): run()
def test_lost(): a == b
"""
    tests = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert not asserts_something(tests["test_nothing"])
    assert any(map(always_true, ast.walk(tests["test_either"])))
    assert any(map(broad_expectation, ast.walk(tests["test_any_error"])))
    assert any(map(broad_expectation, ast.walk(tests["test_family"])))
    assert any(map(compared_to_nothing, ast.walk(tests["test_lost"])))
