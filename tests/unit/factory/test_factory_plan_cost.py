"""What a creation takes: by the backend's settings where they are told, and what is left of it half-way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.funding import DAY_S, need
from canister_factory.factory.plan_cost import cost_of
from canister_factory.factory.plan_facts import Content
from support.planned import CANISTER, NOW_NS, T, creation, facts, office, reserve

S = CreationStatus


def test_the_parts_add_up_to_what_funding_says() -> None:
    given = facts()
    cost, told = cost_of(given), office()
    need_ = need(told.reserve.settings, told.hosting, given.content.size)
    assert (cost.first, cost.rest, cost.needed) == (need_.first, need_.rest, need_.total)
    assert cost.creation + cost.importing + cost.life == cost.needed == cost.left
    assert cost.per_year == 365 * need_.burned_per_day
    assert cost.is_told


def test_an_owner_is_told_of_the_usual_settings() -> None:
    own = cost_of(facts(office=None))
    assert not own.is_told
    assert replace(own, is_told=True) == cost_of(facts())


def test_more_content_and_more_days_cost_more() -> None:
    assert cost_of(facts(content=Content(10**9, 10, is_exact=True))).needed > 2 * cost_of(facts()).needed
    longer = cost_of(facts(office=office(reserve=reserve(settings={"funded_days": 730}))))
    assert longer.needed - cost_of(facts()).needed == pytest.approx(longer.per_year, rel=1e-6)
    assert longer.paid_until_ns == pytest.approx(NOW_NS + 730 * DAY_S * 10**9, abs=DAY_S * 10**9)


def test_what_is_paid_is_not_left() -> None:
    half = cost_of(facts(creation=creation(S.Importing, canister_id=CANISTER, cycles_consumed=T)))
    assert (half.spent, half.left) == (T, half.rest)
    over = cost_of(facts(creation=creation(S.Completed, canister_id=CANISTER, cycles_consumed=T, paid_until=5)))
    assert (over.spent, over.left, over.paid_until_ns) == (T, 0, 5)
