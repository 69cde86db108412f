"""The rule that the options of `owner share` say, and how a rule is read."""

from __future__ import annotations

from typing import Any

import click
import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.access import access_words
from canister_factory.cli.owner_share import DateType, _rule
from canister_factory.contract.memory_models import AccessEvent, CustomAccess, MemoryAccess
from canister_factory.contract.person_models import PersonRef

DAUGHTER, SON = Principal(b"\1" * 29), Principal(b"\2" * 29)
NEW_YEAR = 1_893_456_000 * 10**9
CHOICES: dict[str, Any] = {
    "people": (),
    "groups": (),
    "public": False,
    "private": False,
    "after": None,
    "event": None,
}


def words(**chosen: Any) -> str:
    return access_words(_rule(**(CHOICES | chosen)))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"public": True}, "public"),
        ({"private": True}, "private"),
        ({"people": (DAUGHTER, SON, DAUGHTER)}, "{daughter}, {son}"),
        ({"people": (DAUGHTER,), "groups": ("family",)}, "{daughter}, group family"),
        ({"public": True, "after": NEW_YEAR}, "from 2030-01-01 00:00:00 UTC on: public"),
        ({"people": (SON,), "event": AccessEvent(Birthday=18)}, "after Birthday:18: {son}"),
        (
            {"people": (SON,), "event": AccessEvent.of("AfterDeath"), "after": NEW_YEAR},
            "from 2030-01-01 00:00:00 UTC on: after AfterDeath: {son}",
        ),
    ],
)
def test_options_become_a_rule(chosen: dict[str, Any], said: str) -> None:
    assert words(**chosen) == said.format(daughter=output.ident(DAUGHTER), son=output.ident(SON))


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"public": True, "private": True},
        {"public": True, "people": (DAUGHTER,)},
        {"private": True, "groups": ("family",)},
        {"after": NEW_YEAR},
        {"event": AccessEvent.of("AfterDeath")},
        {"private": True, "after": NEW_YEAR},
    ],
)
def test_options_that_say_no_rule_or_several_are_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(click.UsageError, match="--private"):
        words(**chosen)


def test_of_many_people_the_first_are_shown_and_names_are_made_harmless() -> None:
    many = [PersonRef(Opaque=f"friend {number}\x1b[2J") for number in range(9)]
    shown = access_words(MemoryAccess(Custom=CustomAccess(individuals=many, groups=[])))
    assert shown.endswith("friend 2\\x1b[2J and 6 more")
    assert "\x1b" not in shown
    assert access_words(MemoryAccess(Custom=CustomAccess(individuals=[], groups=[]))) == "nobody"


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("2030-01-01", 1_893_456_000),
        ("2030-01-01T00:00:00Z", 1_893_456_000),
        ("2030-01-01 02:00:00+02:00", 1_893_456_000),
        ("1970-01-01", 0),
    ],
)
def test_a_date_is_of_utc_unless_it_says_otherwise(typed: str, seconds: int) -> None:
    assert DateType().convert(typed, None, None) == seconds * 10**9


@pytest.mark.parametrize("typed", ["tomorrow", "01.01.2030", "2030-13-01", ""])
def test_what_is_no_date_is_refused_with_the_form(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a date; write it as 2030-12-31"):
        DateType().convert(typed, None, None)


@pytest.mark.parametrize("typed", ["1969-12-31", "9999-01-01"])
def test_a_time_that_no_canister_knows_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="from 1970 to 2554"):
        DateType().convert(typed, None, None)
