"""What an upgrade leaves on record: it fits the variables, comes back as it was, and anything else is no record."""

from __future__ import annotations

import pytest

from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.upgrade_record import (
    FACTS,
    SNAPSHOT,
    UNTIL,
    VARIABLE,
    Kept,
    Record,
    changed,
    facts_in,
    kept_in,
    record_in,
    until_in,
)
from canister_factory.ic.management_types import EffectiveSettings, EnvironmentVariable

BEFORE, TARGET = bytes(range(32)), bytes(range(100, 132))
LAST_NS = 2**63 - 1


def settings(**variables: str) -> EffectiveSettings:
    return EffectiveSettings(
        controllers=[],
        compute_allocation=0,
        memory_allocation=0,
        freezing_threshold=0,
        environment_variables=[EnvironmentVariable(name=name, value=value) for name, value in variables.items()],
    )


@pytest.mark.parametrize("goes_back", [False, True])
@pytest.mark.parametrize("earlier_ns", [0, LAST_NS])
def test_a_record_comes_back_and_fits_a_variable(goes_back: bool, earlier_ns: int) -> None:
    record = Record(BEFORE, TARGET, earlier_ns, goes_back)
    assert len(record.text) <= 128
    found = record_in(settings(**{VARIABLE: record.text}))
    assert found is not None
    assert (found.target, found.earlier_ns, found.goes_back) == (TARGET, earlier_ns, goes_back)
    assert found.was(BEFORE)
    assert not found.was(TARGET)
    assert not found.was(None)
    assert found.text == record.text, "what is read can be written again"


@pytest.mark.parametrize("text", ["", "on", "on xx yy 5", "forth 00 00 5", "on 00 00 later", "on 00 00 5 6"])
def test_what_no_upgrade_wrote_is_refused_with_the_name_of_the_variable(text: str) -> None:
    with pytest.raises(UpgradeError, match=VARIABLE):
        record_in(settings(**{VARIABLE: text}))


def test_where_nothing_is_on_record_nothing_is_found() -> None:
    other = settings(LANGUAGE="eo")
    assert (record_in(other), facts_in(other), kept_in(other), until_in(other)) == (None, "", None, 0)


def test_facts_snapshots_and_times_come_back() -> None:
    kept = Kept(b"\x01snapshot", LAST_NS)
    found = settings(**{FACTS: "audited 5", SNAPSHOT: kept.text, UNTIL: str(LAST_NS)})
    assert (facts_in(found), kept_in(found), until_in(found)) == ("audited 5", kept, LAST_NS)


@pytest.mark.parametrize("text", ["", "00", "xx 5", "00 soon", "00 5 6"])
def test_a_variable_of_somebody_else_names_no_snapshot(text: str) -> None:
    assert kept_in(settings(**{SNAPSHOT: text})) is None


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "²", "9" * 20])
def test_a_variable_of_somebody_else_is_no_time(text: str) -> None:
    assert until_in(settings(**{UNTIL: text})) == 0


def test_a_change_leaves_the_variables_of_others_as_they_are() -> None:
    held = settings(LANGUAGE="eo", **{VARIABLE: "old", FACTS: "f"})
    after = {each.name: each.value for each in changed(held, {VARIABLE: "new", FACTS: None, SNAPSHOT: None})}
    assert after == {"LANGUAGE": "eo", VARIABLE: "new"}
