"""Numbers and names that Python has from the canisters: what their Motoko sources say, read there.

Owns which these are. What has a formula, the prices and the funding, is compared with the built canister instead
(`canisters/test_backend_funding.py`).
"""

from __future__ import annotations

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

from canister_factory.factory.config import FactoryConfig

CANISTERS = Path(__file__).resolve().parents[2] / "canisters"

EQUAL = {
    "factory.plan_refusals:MOST_LOSSES": "backend/CreationPolicy:mostLosses",
    "factory.plan_refusals:FREE_FAILURES": "backend/CreationPolicy:freeFailures",
    "factory.plan_refusals:NAME_CHARACTERS": "backend/CreationPolicy:nameChars",
    "factory.plan_facts:MOST_WAITING": "backend/Admission:mostWaiting",
    "factory.plan_cost:_USUAL.funded_days": "backend/Funding:defaultFundedDays",
    "factory.plan_cost:_USUAL_HOSTING.freezing_threshold": "backend/Hosting:freezing_threshold",
    "factory.plan_cost:_USUAL_HOSTING.wasm_memory_limit": "backend/Hosting:wasm_memory_limit",
    "factory.funding:ANY_NETWORK": "backend/Funding:anyNetwork",
    "factory.funding:MAX_DAYS": "backend/Funding:mostDays",
    "factory.funding:EMPTY_CANISTER_BYTES": "backend/Funding:emptyCanisterBytes",
    "factory.funding:MESSAGE_CYCLES": "backend/Funding:messageCycles",
    "factory.upgrade_record:VARIABLE": "capsule/Maintenance:variable",
    "cli.deploy_plan:_OPERATING_MINIMUM": "backend/Reserve:operating_minimum",
    "owner.adding:LONGEST_NAME": "capsule/Limits:nameChars",
    "owner.move_back:_INLINE_CHUNK": "capsule/Limits:inlineChunkSize",
    "owner.restore:LARGEST_IMPORT": "capsule/Limits:contentBytes",
}
"""Where Python says what the canister says."""

MOST_OF_A_SETTING = {
    "items_per_message": "capsule/Limits:itemsPerBatch",
    "entries_per_page": "capsule/Limits:largestPage",
    "max_message_bytes": "capsule/Limits:chunkBytes",
}
"""What a setting of the orchestrator may be at most."""

AT_MOST = {
    "factory.errors:MAX_RECORDED_CHARACTERS": "capsule/Limits:messageChars",
    "contract.upload:CHUNK_BYTES": "capsule/Limits:chunkBytes",
    "factory.stages:DEFAULT_LIMITS.max_chunk_bytes": "capsule/Limits:chunkBytes",
    "owner.memories:_PAGE": "capsule/Limits:largestPage",
    "cli.backend:PAGE_ITEMS": "capsule/Limits:largestPage",
}
"""Where the canister takes what Python sends."""


def in_python(place: str) -> object:
    module, _, name = place.partition(":")
    found: object = import_module(f"canister_factory.{module}")
    return reduce(getattr, name.split("."), found)


def in_motoko(place: str) -> object:
    module, _, name = place.partition(":")
    text = (CANISTERS / f"{module}.mo").read_text()
    found = re.findall(rf'^ +(?:(?:public )?let )?{name}(?: : \w+)? = (?:"([^"]*)"|([\d_]+));', text, re.MULTILINE)
    assert len(found) == 1, f"{module}.mo has {len(found)} definitions of {name}"
    words, digits = found[0]
    return int(digits) if digits else words


@pytest.mark.parametrize("place", EQUAL)
def test_python_says_what_the_canister_says(place: str) -> None:
    assert in_python(place) == in_motoko(EQUAL[place])


@pytest.mark.parametrize("place", AT_MOST)
def test_the_canister_takes_what_python_sends(place: str) -> None:
    sent, taken = in_python(place), in_motoko(AT_MOST[place])
    assert isinstance(sent, int)
    assert isinstance(taken, int)
    assert 0 < sent <= taken


@pytest.mark.parametrize("setting", MOST_OF_A_SETTING)
def test_a_setting_may_be_as_much_as_the_canister_takes(setting: str) -> None:
    most = in_motoko(MOST_OF_A_SETTING[setting])
    assert isinstance(most, int)
    assert getattr(FactoryConfig.model_validate({setting: most}), setting) == most
    with pytest.raises(ValidationError, match=setting):
        FactoryConfig.model_validate({setting: most + 1})
