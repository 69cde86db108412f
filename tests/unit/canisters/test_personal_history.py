"""A personal canister tells its owner what was ever done to it, as the network tells the canister."""

from __future__ import annotations

import hashlib

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, STRANGER, another_build, wasm
from support.personal_world import FRIEND, PersonalWorld


def test_the_owner_is_told_every_change_with_its_author_and_who_controls_the_canister() -> None:
    world = PersonalWorld()
    other = another_build("personal")
    world.upgrade(other)
    settings = {"canister_id": world.personal, "settings": {"controllers": [OWNER]}}
    world.manage("update_settings", settings, sender=OPERATOR)
    told = world.ok("get_history")
    assert (told["total_num_changes"], told["controllers"]) == (4, [OWNER])
    assert told["module_hash"] == hashlib.sha256(other).digest()
    created, installed, upgraded, handed_over = told["recent_changes"]
    assert created["details"].tag == "creation"
    assert set(created["details"].value["controllers"]) == {OPERATOR, OWNER}
    assert installed["details"].value == {
        "mode": Case("install"),
        "module_hash": hashlib.sha256(wasm("personal")).digest(),
    }
    assert upgraded["details"].value["mode"] == Case("upgrade")
    assert upgraded["origin"] == Case("from_user", {"user_id": OWNER})
    assert handed_over["origin"] == Case("from_user", {"user_id": OPERATOR})
    assert handed_over["details"] == Case("controllers_change", {"controllers": [OWNER]})


@pytest.mark.parametrize("caller", [STRANGER, FRIEND, OPERATOR])
def test_nobody_else_makes_the_canister_ask_for_it(caller: Principal) -> None:
    world = PersonalWorld()
    assert not world.accepts("get_history", sender=caller)
    assert world.accepts("get_history", sender=OWNER)
