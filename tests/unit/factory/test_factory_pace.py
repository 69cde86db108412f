"""A plan's seconds: those that docs/performance.md has of the simulated mainnet, without simulating it."""

from __future__ import annotations

import pytest

from canister_factory.factory.pace import EMBEDDED, GATEWAY, MAINNET, Pace


@pytest.mark.parametrize(
    ("pace", "updates", "size", "measured"),
    [(MAINNET, 7, 600_000, 13.2), (MAINNET, 8, 60_000_000, 29.8), (MAINNET, 8, 500_000_000, 139.8)],
)
def test_a_plan_at_mainnets_speed_takes_what_the_simulated_mainnet_took(
    pace: Pace, updates: int, size: int, measured: float
) -> None:
    assert pace.seconds(updates, size, in_one_message=size <= 1_900_000) == pytest.approx(measured, rel=0.01)


def test_bytes_in_a_message_take_no_time_of_their_own_and_more_take_what_the_network_lets_through() -> None:
    assert MAINNET.seconds(7, 1_900_000, in_one_message=True) == MAINNET.seconds(7, 0, in_one_message=True)
    longer = MAINNET.seconds(8, 100_000_000, in_one_message=False) - MAINNET.seconds(8, 0, in_one_message=False)
    assert longer == pytest.approx(25)
    assert GATEWAY.seconds(8, 10**8, in_one_message=False) > MAINNET.seconds(8, 10**8, in_one_message=False)
    assert EMBEDDED.seconds(8, 10**8, in_one_message=False) < MAINNET.seconds(8, 10**8, in_one_message=False)


def test_nothing_to_do_takes_no_time() -> None:
    assert MAINNET.seconds(0, 0, in_one_message=True) == 0
