"""Calibration: prices that follow from what canisters burn."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import PriceTable
from canister_factory.factory.calibration import Reading, calibrated
from canister_factory.factory.errors import PriceTableError
from canister_factory.factory.funding import DAY_S, DEAREST_PRICES, idle, network_label

KEY = b"k" * 133
PUBLISHED = DEAREST_PRICES.model_copy(update={"idle_second": 0, "gib_second": 127_000})


def reading(prices: PriceTable, size: int, number: int = 0) -> Reading:
    return Reading(Principal(bytes([number, 1])), size, idle(prices, size, DAY_S))


def dearer(factor: float) -> PriceTable:
    return DEAREST_PRICES.model_copy(
        update={name: round(value * factor) for name, value in DEAREST_PRICES if isinstance(value, int)}
    )


@pytest.mark.parametrize("prices", [DEAREST_PRICES, PUBLISHED], ids=["configured", "documented"])
@pytest.mark.parametrize("sizes", [(40_000_000,), (40_000_000, 60_000_000), (9_000_000, 30_000_000, 3_000_000_000)])
def test_a_known_table_is_found_by_one_canister_or_more(prices: PriceTable, sizes: tuple[int, ...]) -> None:
    readings = [reading(prices, size, number) for number, size in enumerate(sizes)]
    assert calibrated(readings, KEY) == prices.model_copy(update={"network": network_label(KEY)})


def test_on_a_subnet_of_more_nodes_all_is_dearer() -> None:
    prices = dearer(34 / 13)
    found = calibrated([reading(prices, 30_000_000), reading(prices, 3_000_000_000, 1)], KEY)
    for name, value in prices:
        if isinstance(value, int):
            assert abs(getattr(found, name) - value) <= 1e-3 * value + 1, name


@pytest.mark.parametrize("size", [1_000_000, 40_000_000, 2_000_000_000])
@pytest.mark.parametrize("factor", [0.5, 34 / 13])
@pytest.mark.parametrize("shape", [DEAREST_PRICES, PUBLISHED], ids=["configured", "documented"])
def test_by_one_canister_no_other_is_reckoned_too_cheap(size: int, factor: float, shape: PriceTable) -> None:
    real = shape.model_copy(
        update={"idle_second": round(shape.idle_second * factor), "gib_second": round(shape.gib_second * factor)}
    )
    found = calibrated([reading(real, size)], KEY)
    for other in (1_000_000, 40_000_000, 2_000_000_000):
        assert idle(found, other, DAY_S) >= 0.999 * idle(real, other, DAY_S)


def test_what_tells_no_prices_is_refused() -> None:
    with pytest.raises(PriceTableError, match="no canister whose status you may see"):
        calibrated([], KEY)
    with pytest.raises(PriceTableError, match="memory costs nothing here"):
        calibrated([Reading(Principal(b"a"), 30_000_000, 0)], KEY)
    odd = Reading(Principal(b"\x01"), 50_000_000, 7)
    with pytest.raises(PriceTableError, match=f"no prices fit what was read: canister {odd.canister_id}"):
        calibrated([reading(DEAREST_PRICES, 30_000_000), odd, reading(DEAREST_PRICES, 90_000_000, 2)], KEY)
