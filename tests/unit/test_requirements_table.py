"""The table of `docs/requirements.md` is true: its rows are complete, and the tests that it names exist.

Reads files only; whether the tests pass is for the tests themselves to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from canister_factory.candid.did import parse_did
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationErrorKind
from support.named_tests import check_named_tests

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
TABLE = REPOSITORY / "docs" / "requirements.md"

NOT_SHOWN_YET: set[str] = set()
"""Rows that no test shows. May only become smaller."""

PARTS = {"R1": 7, "R2": 8, "R3": 5, "R4": 4, "R5": 5, "R6": 5, "R7": 10}
WORK = {"S2": 3, "S3": 2, "S4": 2, "S6": 3, "S7": 2, "S8": 2, "S9": 2, "S10": 2, "S11": 2, "S12": 2, "S15": 3, "S16": 3}
WHOLE = {f"S{number}" for number in range(1, 19)} - set(WORK)


# --- the table -------------------------------------------------------------------------------------------------------


def rows() -> dict[str, str]:
    """What shows each requirement, by its number."""
    found: dict[str, str] = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"[RSA]\d+(\.\d+)?", cells[0]):
            assert cells[0] not in found, f"{cells[0]} has two rows"
            assert len(cells) == 3, f"{cells[0]} has {len(cells)} cells"
            found[cells[0]] = cells[2]
    return found


def test_there_is_a_row_for_every_requirement() -> None:
    parts = {f"{name}.{number}" for name, count in {**PARTS, **WORK}.items() for number in range(1, count + 1)}
    assert {name for name in rows() if not name.startswith("A")} == parts | WHOLE


def test_every_row_is_shown_by_tests_that_exist() -> None:
    for name, shown in rows().items():
        tests = re.findall(r"`([^`]+)`", shown)
        if name in NOT_SHOWN_YET:
            assert (shown, tests) == ("not shown yet", []), f"{name} is shown now: take it off the list"
            continue
        check_named_tests(name, shown)


NAMES = {
    *("PersonalCanisterCreationResponse", "CreationStatus", "CreationStatusResponse", "ExportData", "ExportMetadata"),
    *("PersonalCanisterCreationState", "PersonalCanisterCreationConfig", "CreatePersonalCanisterConfig"),
    *("PersonalCanisterCreationStats", "PersonalCanisterRecord"),
    *("migrate_capsule", "get_migration_status", "get_detailed_migration_status", "set_migration_enabled"),
    "get_migration_stats",
}
"""What S1, S11 and S17 call things."""


def test_every_name_that_users_expect_is_in_the_contract_or_has_something_that_stands_for_it() -> None:
    contract = parse_did((REPOSITORY / "canisters" / "backend" / "backend.did").read_text())
    assert contract.service is not None
    there = {*contract.types, *(name for name, _ in contract.service.methods)}
    section = TABLE.read_text().split("## Where the names of S1, S11 and S17 are")[1].split("\n## ")[0]
    table = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    assert set(table) == NAMES
    for name, stands_for_it in table.items():
        carriers = re.findall(r"`(\w+)`", stands_for_it)
        assert carriers, f"{name} has nothing that stands for it"
        assert set(carriers) <= there, f"{name}: {set(carriers) - there} is not in the contract"
        if name in there:
            assert carriers[0] == name, f"{name} is in the contract itself"


# --- what the table says of the tests themselves ---------------------------------------------------------------------


def sources() -> Iterator[Path]:
    return (path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)


@cache
def all_tests_text() -> str:
    return "\n".join(path.read_text() for path in sorted(sources()) if path != Path(__file__))


@pytest.mark.parametrize("canister", ["backend", "personal"])
def test_every_endpoint_of_both_canisters_is_called_by_a_test(canister: str) -> None:
    service = parse_did((REPOSITORY / "canisters" / canister / f"{canister}.did").read_text()).service
    assert service is not None
    text = all_tests_text()
    missing = [name for name, _ in service.methods if not re.search(rf"\.{name}\(|\"{name}\"", text)]
    assert missing == []


def test_every_typed_error_is_expected_by_a_test() -> None:
    text = all_tests_text()
    kinds = [f'"{name}"' for name in CapsuleError.model_fields]
    missing = [kind for kind in kinds if kind not in text]
    missing += [
        kind for kind in CreationErrorKind if not re.search(rf'CreationErrorKind\.{kind}\b|Case\("{kind}"\)', text)
    ]
    assert missing == []


def test_creations_and_capsules_are_made_for_one_test_each() -> None:
    """What tests of the product share is the network alone, on which each makes canisters and people of its own."""
    places = (
        "integration/test_creation*.py",
        "integration/test_capsule*.py",
        "unit/canisters/*.py",
        "unit/factory/*.py",
    )
    builds = "test_canister_builds.py"  # compares artifacts: nothing is installed, let alone created
    paths = [path for place in places for path in TESTS.glob(place) if path.name != builds]
    assert len(paths) > 20
    shared = [path.name for path in paths if re.search(r"fixture\([^)]*scope=", path.read_text())]
    assert shared == []
