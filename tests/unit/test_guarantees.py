"""The page `docs/guarantees.md` names tests that exist, and says what each kind of error means."""

from __future__ import annotations

import re
from pathlib import Path

from canister_factory.contract.creation_models import CreationErrorKind
from support.named_tests import check_named_tests

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "guarantees.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table's rows below a heading."""
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_guarantee_is_shown_by_tests_that_exist() -> None:
    guarantees = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if re.match(r"\| [A-Z]\d", line)
    ]
    assert len(guarantees) > 20
    names = [guarantee[0] for guarantee in guarantees]
    assert len(names) == len(set(names))
    for name, _, shown in guarantees:
        check_named_tests(name, shown)


def test_every_kind_of_error_has_a_meaning_and_something_to_do() -> None:
    table = {kind.strip("`"): cells for kind, *cells in rows("What each error means")}
    assert set(table) == set(CreationErrorKind)
    assert all(len(cells) == 2 and all(cells) for cells in table.values())


def test_what_an_operator_sees_has_something_to_do() -> None:
    table = rows("When something stops")
    assert len(table) > 10
    assert all(len(cells) == 3 and all(cells) for cells in table)
