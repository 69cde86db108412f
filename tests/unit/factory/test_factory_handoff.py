"""What a canister is set to when it becomes its owner's, and what of that was changed later."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.handoff import changed_settings, handoff_settings
from canister_factory.factory.upgrade_record import FACTS, SNAPSHOT, UNTIL, VARIABLE
from canister_factory.ic.management_types import Audience, CanisterSettings, EffectiveSettings, EnvironmentVariable
from support.one_canister import OWNER, STRANGER

HOSTING = PersonalCanisterSettings(freezing_threshold=7_776_000, wasm_memory_limit=3 << 30)


def in_force(**changes: Any) -> EffectiveSettings:
    """The settings after a handoff, with changes since."""
    sent = dict(handoff_settings(OWNER, HOSTING))
    return EffectiveSettings.model_validate({**sent, **changes})


def test_every_setting_but_the_environment_is_set_at_the_handoff() -> None:
    sent = handoff_settings(OWNER, HOSTING)
    left = [name for name in CanisterSettings.model_fields if getattr(sent, name) is None]
    assert left == ["environment_variables"]
    assert (sent.controllers, sent.freezing_threshold, sent.wasm_memory_limit) == ([OWNER], 7_776_000, 3 << 30)


def test_settings_as_they_were_left_have_not_changed() -> None:
    assert changed_settings(in_force()) == []
    assert changed_settings(in_force(log_visibility=None)) == [], "an older network doesn't tell it"
    own = EnvironmentVariable(name="a", value="b")
    assert changed_settings(in_force(environment_variables=[own])) == []


def test_the_backend_sees_the_status_where_it_is_to() -> None:
    sent = handoff_settings(OWNER, HOSTING, STRANGER)
    assert sent.status_visibility == Audience(allowed_viewers=[STRANGER])
    assert (sent.log_visibility, sent.snapshot_visibility) == (Audience(controllers=None), Audience(controllers=None))
    allowed = in_force(status_visibility=sent.status_visibility)
    assert changed_settings(allowed, STRANGER) == []
    assert changed_settings(in_force(), STRANGER) == [], "the owner has taken it from the list"
    assert changed_settings(allowed, OWNER) == [f"status_visibility allowed_viewers {STRANGER}"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"compute_allocation": 5}, "compute_allocation 5"),
        ({"memory_allocation": 1_000_000}, "memory_allocation 1,000,000"),
        ({"reserved_cycles_limit": 0}, "reserved_cycles_limit 0"),
        ({"minimum_incoming_canister_call_cycles": 7}, "minimum_incoming_canister_call_cycles 7"),
        ({"wasm_memory_threshold": 9}, "wasm_memory_threshold 9"),
        ({"log_memory_limit": 1}, "log_memory_limit 1"),
        ({"log_visibility": Audience(public=None)}, "log_visibility public"),
        ({"status_visibility": Audience(allowed_viewers=[STRANGER])}, f"status_visibility allowed_viewers {STRANGER}"),
        ({"snapshot_visibility": Audience(public=None)}, "snapshot_visibility public"),
        *(
            ({"environment_variables": [EnvironmentVariable(name=name, value="")]}, f"environment variable {name}")
            for name in (VARIABLE, FACTS, SNAPSHOT, UNTIL)
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_setting_is_named(changes: dict[str, Any], told: str) -> None:
    assert changed_settings(in_force(**changes)) == [told]
