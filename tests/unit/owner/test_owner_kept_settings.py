"""Which settings of a canister a backup keeps."""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.ic.management_types import Audience, CanisterSettings, EffectiveSettings, EnvironmentVariable
from canister_factory.owner.kept_settings import kept

OWNER, FRIEND = Principal(b"\x01"), Principal(b"\x02")
MINE = EnvironmentVariable(name="MINE", value="1")
AN_UPGRADE = EnvironmentVariable(name="canister_factory_upgrade", value="on ab cd 0")


def test_all_are_kept_but_controllers_and_what_is_on_record_of_an_upgrade() -> None:
    found = EffectiveSettings(
        controllers=[OWNER],
        compute_allocation=1,
        memory_allocation=2,
        freezing_threshold=3,
        log_visibility=Audience(public=None),
        status_visibility=Audience(allowed_viewers=[FRIEND]),
        environment_variables=[MINE, AN_UPGRADE],
    )
    settings = kept(found)
    assert settings == CanisterSettings(
        compute_allocation=1,
        memory_allocation=2,
        freezing_threshold=3,
        log_visibility=Audience(public=None),
        status_visibility=Audience(allowed_viewers=[FRIEND]),
        environment_variables=[MINE],
    )
    assert CanisterSettings.model_validate_json(settings.model_dump_json()) == settings, "as it is in the file"
    forged = settings.model_copy(update={"controllers": [FRIEND], "environment_variables": [MINE, AN_UPGRADE]})
    assert kept(forged) == settings


def test_what_an_earlier_network_does_not_tell_is_left_as_it_is() -> None:
    found = EffectiveSettings(controllers=[OWNER], compute_allocation=0, memory_allocation=0, freezing_threshold=3)
    assert kept(found).environment_variables is None
    assert kept(found).log_visibility is None
