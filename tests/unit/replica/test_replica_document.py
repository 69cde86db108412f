"""`docs/replica.md` is true as far as reading can tell: its rows are complete, and the tests that it names exist.

Reads files only; whether the tests pass is for the tests themselves to say.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from canister_factory.candid.did import parse_did
from canister_factory.replica.node.routes import ROUTES
from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.runtime.system_api import HOST_FUNCTIONS
from canister_factory.replica.subnet.management_interface import NOT_OFFERED

REPOSITORY = Path(__file__).resolve().parents[3]
STATES = {"there", "differs", "not offered"}
NOTHING_TO_SHOW = {"Synchronicity across nodes", "The HTTP gateway protocol", "Canister renaming"}
"""Rows on what isn't there at all, so that no test can look at it."""


@cache
def rows() -> dict[str, tuple[str, str]]:
    """State and tests of each row, by the section that it is about."""
    text = (REPOSITORY / "docs" / "replica.md").read_text().partition("## Against the specification")[2]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[1] not in {"state", "---"}:
            assert len(cells) == 4, f"{cells[0]} has {len(cells)} cells"
            assert cells[0] not in found, f"{cells[0]} has two rows"
            found[cells[0]] = (cells[1], cells[3])
    return found


@cache
def names_in(module: str) -> set[str]:
    """The functions and assigned names of the test module of that name, which is there once."""
    (path,) = (REPOSITORY / "tests").rglob(f"{module}.py")
    tree = ast.parse(path.read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {target.id for target in assigned if isinstance(target, ast.Name)}


def named() -> set[str]:
    """Everything that the first cells name in backquotes."""
    return {name for section in rows() for name in re.findall(r"`([^`]+)`", section)}


def test_each_row_says_how_it_is_and_names_tests_that_exist() -> None:
    assert len(rows()) > 60
    for section, (state, shown) in rows().items():
        assert state in STATES, section
        tests = re.findall(r"`(\w+)::(\w+)`", shown)
        assert bool(tests) == (section not in NOTHING_TO_SHOW), section
        for module, test in tests:
            assert test in names_in(module), f"{section} names {module}::{test}, which isn't there"


def test_each_method_of_the_management_canister_has_its_row() -> None:
    service = parse_did(files("canister_factory.ic").joinpath("management.did").read_text(encoding="utf-8")).service
    assert service is not None
    methods = {name for name, _ in service.methods}
    assert methods - named() == set()
    not_offered = {
        name
        for section, (state, _) in rows().items()
        if state == "not offered"
        for name in methods
        if f"`{name}`" in section
    }
    assert not_offered == set(NOT_OFFERED)


def test_each_system_api_function_has_its_row() -> None:
    assert set(HOST_FUNCTIONS) - named() == set()


@pytest.mark.parametrize("entry", [entry for entry in Entry if entry.value.startswith("canister_")])
def test_each_entry_point_has_its_row(entry: Entry) -> None:
    assert entry.value in named()


@pytest.mark.parametrize(("kind", "operation"), ROUTES)
def test_each_endpoint_has_its_row(kind: str, operation: str) -> None:
    sections = " ".join(rows())
    assert operation in sections
    assert kind in sections
