"""What a creation takes: by the backend's settings where they are told, and what is left of it half-way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.funding import DAY_S, canister_bytes, likely_canister_bytes, need
from canister_factory.factory.plan_cost import cost_of
from canister_factory.factory.plan_facts import Content
from support.planned import CANISTER, NOW_NS, T, creation, facts, office, reserve

S = CreationStatus


def test_the_parts_add_up_to_what_funding_says() -> None:
    given = facts()
    cost, told = cost_of(given), office()
    need_ = need(told.reserve.settings, told.hosting, given.content.size)
    assert (cost.first, cost.rest, cost.at_most) == (need_.first, need_.rest, need_.total)
    assert cost.creation + cost.importing + cost.life == cost.at_most == cost.left
    assert 0 < cost.per_year < 365 * need_.burned_per_day
    assert cost.first < cost.expected == cost.expected_left < cost.at_most
    assert cost.is_told


def test_an_owner_is_told_of_the_usual_settings() -> None:
    own = cost_of(facts(office=None))
    assert not own.is_told
    assert replace(own, is_told=True) == cost_of(facts())


def test_more_content_and_more_days_cost_more() -> None:
    assert cost_of(facts(content=Content(10**9, 10, is_exact=True))).at_most > 2 * cost_of(facts()).at_most
    longer = cost_of(facts(office=office(reserve=reserve(settings={"funded_days": 730}))))
    assert longer.expected - cost_of(facts()).expected == pytest.approx(longer.per_year, rel=1e-6)
    assert longer.paid_until_ns == pytest.approx(NOW_NS + 730 * DAY_S * 10**9, abs=DAY_S * 10**9)


def test_what_is_paid_is_not_left() -> None:
    half = cost_of(facts(creation=creation(S.Importing, canister_id=CANISTER, cycles_consumed=T)))
    assert (half.spent, half.left, half.expected_left) == (T, half.rest, half.expected - half.first)
    over = cost_of(facts(creation=creation(S.Completed, canister_id=CANISTER, cycles_consumed=T, paid_until=5)))
    assert (over.spent, over.left, over.expected_left, over.paid_until_ns) == (T, 0, 0, 5)


def test_what_the_canister_of_an_undone_creation_cost_is_nothing_that_another_one_spent() -> None:
    undone = cost_of(facts(creation=creation(S.Undone, canister_id=CANISTER, cycles_consumed=T)))
    assert (undone.spent, undone.left, undone.expected_left) == (0, undone.at_most, undone.expected)


def test_the_expectation_is_what_the_canister_gets_at_least_and_what_is_held_at_most() -> None:
    none = cost_of(facts(office=office(reserve=reserve(settings={"funded_days": 0}))))
    assert none.first == none.expected == none.at_most
    assert none.expected_left == none.left == none.first


@pytest.mark.parametrize("items", [1, 100])
@pytest.mark.parametrize("size", [0, 5_000, 8 << 20, 10**9])
def test_a_canister_is_expected_to_be_no_larger_than_it_is_funded_for(size: int, items: int) -> None:
    assert size < likely_canister_bytes(size, items) < canister_bytes(size)
