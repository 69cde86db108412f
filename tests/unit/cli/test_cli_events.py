"""How events are typed and shown."""

from __future__ import annotations

import pytest

from canister_factory.cli.events import EVENT, KINDS, event_name
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.memory_models import AccessEvent


@pytest.mark.parametrize(
    ("typed", "event"),
    [
        ("AfterDeath", AccessEvent.of("AfterDeath")),
        ("after-death", AccessEvent.of("AfterDeath")),
        ("WEDDING", AccessEvent.of("Wedding")),
        ("Birthday:18", AccessEvent(Birthday=18)),
        ("capsule-maturity:0", AccessEvent(CapsuleMaturity=0)),
        ("Custom:moon landing: the second", AccessEvent(Custom="moon landing: the second")),
    ],
)
def test_an_event_is_read_as_it_was_meant(typed: str, event: AccessEvent) -> None:
    assert EVENT.convert(typed, None, None) == event
    assert EVENT.convert(event_name(event), None, None) == event, "and as it is shown"


def test_there_is_a_way_to_type_each_kind() -> None:
    assert sorted(KINDS) == sorted(map(str, EventKind))


def test_a_name_that_would_forge_a_line_is_shown_harmless() -> None:
    assert "\n" not in event_name(AccessEvent(Custom="x\nerror: forged\x1b[2J"))
