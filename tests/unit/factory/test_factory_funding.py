"""Funding: what a table of prices is for, and dates."""

from __future__ import annotations

import pytest

from canister_factory.factory.errors import PriceTableError
from canister_factory.factory.funding import (
    DEAREST_PRICES,
    MESSAGE_CYCLES,
    check_prices,
    life,
    network_label,
    paid_until_ns,
)
from canister_factory.ic.network import MAINNET_ROOT_KEY

DAY_NS = 86_400 * 10**9
OTHER_KEY = b"k" * 133


@pytest.mark.parametrize("days", [0, 1, 365, 36_000])
def test_what_is_paid_for_some_days_lasts_for_just_these(days: int) -> None:
    burned, threshold = 1_476_950_000, 90 * 86_400
    balance = life(days, threshold, burned)
    found = paid_until_ns(balance, burned, threshold, 7)
    assert found is not None
    assert 0 <= found - 7 - days * DAY_NS < 10**9
    assert paid_until_ns(balance + burned, burned, threshold, 7) == found + DAY_NS
    assert paid_until_ns(balance - MESSAGE_CYCLES, burned, threshold, 7) == max(
        7, found - -(-MESSAGE_CYCLES * 86_400 // burned) * 10**9
    )


def test_what_burns_nothing_lasts_for_ever_and_no_date_is_later_than_a_clock_can_tell() -> None:
    assert paid_until_ns(1, 0, 1, 1) is None
    assert paid_until_ns(10**40, 1, 1, 1) == 2**63 - 1


def test_a_table_is_for_the_network_whose_name_it_has() -> None:
    assert network_label(MAINNET_ROOT_KEY) == "ic"
    named = DEAREST_PRICES.model_copy(update={"network": network_label(OTHER_KEY)})
    check_prices(named, OTHER_KEY)
    check_prices(DEAREST_PRICES, OTHER_KEY)
    with pytest.raises(PriceTableError, match=r"the prices are those of the network 'network-.*, and this is 'ic'"):
        check_prices(named, MAINNET_ROOT_KEY)
