"""What a creation takes: the backend and the Python side reckon the same, and by the prices of one network only."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from canister_factory.contract.admin_models import PriceTable
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.funding import DEAREST_PRICES, MAX_DAYS, need
from support.backend_world import ADMIN, OPERATOR, OWNER, SECOND_NS, TRILLION, RejectedError, World
from support.reserve_figures import RESERVE

DAY = 86_400
ODD = PriceTable(
    network="network-0123456789abcdef",
    creation=700_000_000_001,
    installation=23_076_923_076,
    import_base=1_000_000_007,
    import_byte=193,
    idle_second=0,
    gib_second=9_769,
)


def change(world: World, **changes: Any) -> Case:
    settings = world.reserve()["settings"] | changes
    answer: Case = world.call("set_reserve_settings", settings, sender=ADMIN)
    return answer


@pytest.mark.parametrize("content", [0, 1, 123_457, 1_800_003])
@pytest.mark.parametrize(
    ("prices", "days", "threshold_s"),
    [
        (DEAREST_PRICES, 365, 90 * DAY),
        (DEAREST_PRICES, 0, 0),
        (DEAREST_PRICES, 10_000, 30 * DAY + 1),
        (ODD, 365, 90 * DAY),
        (ODD, 1, 3 * DAY),
    ],
)
def test_both_sides_reckon_the_same(content: int, prices: PriceTable, days: int, threshold_s: int) -> None:
    world = World()
    settings = RESERVE.model_copy(update={"prices": prices, "funded_days": days})
    world.ok("set_reserve_settings", settings.model_dump(), sender=ADMIN)
    hosting = PersonalCanisterSettings(freezing_threshold=threshold_s, wasm_memory_limit=2**30)
    world.ok("set_personal_canister_settings", hosting.model_dump(), sender=ADMIN)
    world.capsule()
    if content:
        assert world.add_memory(content).tag == "Ok"
    world.request()
    parts = need(settings, hosting, content)
    assert world.reserve()["in_flight"] == parts.total
    assert world.ok("provision_canister", world.claim(), sender=OPERATOR)["cycles"] == parts.first
    assert world.reserve()["in_flight"] == parts.rest


def test_what_a_year_is_paid_for_is_named_when_the_creation_is_completed() -> None:
    world = World()
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    assert world.status()["paid_until"] is None
    completed = world.ok("complete_creation", lease, sender=OPERATOR)
    days = (completed["paid_until"] - world.now_ns) / (DAY * SECOND_NS)
    assert 365 <= days < 366
    [entry] = world.ok("list_registry", {}, sender=ADMIN)["items"]
    assert entry["paid_until"] == completed["paid_until"] == world.status()["paid_until"]


def test_funded_days_and_freezing_threshold_are_a_hundred_years_at_most() -> None:
    world = World(cycles=1_000 * TRILLION)
    assert change(world, funded_days=MAX_DAYS - 90).tag == "Ok"
    refused = change(world, funded_days=MAX_DAYS - 89)
    assert (refused.tag, refused.value["kind"]) == ("Err", Case("InvalidRequest"))
    assert f"together they may be {MAX_DAYS} days" in refused.value["message"]
    longer = {"freezing_threshold": 91 * DAY, "wasm_memory_limit": 2**30}
    assert "funded_days" in world.err("set_personal_canister_settings", longer, sender=ADMIN)["message"]
    assert world.reserve()["settings"]["funded_days"] == MAX_DAYS - 90


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"network": ""}, "prices.network"),
        ({"network": "Ic"}, "prices.network"),
        ({"network": "x" * 65}, "prices.network"),
        ({"creation": 0}, "prices.creation"),
        ({"gib_second": 0}, "prices.gib_second"),
    ],
)
def test_prices_that_no_network_has_are_refused(wrong: dict[str, Any], named: str) -> None:
    world = World()
    prices = DEAREST_PRICES.model_dump() | wrong
    refused = change(world, prices=prices)
    assert (refused.tag, named in refused.value["message"]) == ("Err", True)
    assert world.reserve()["settings"]["prices"] == DEAREST_PRICES.model_dump()
    with pytest.raises(RejectedError, match=f"reserve: {named}"):
        World(reserve=RESERVE.model_dump() | {"prices": prices})


def test_prices_of_another_network_are_refused() -> None:
    world = World()
    prices = ODD.model_dump()
    assert change(world, prices=prices).tag == "Ok"
    refused = change(world, prices=prices | {"network": "ic"})
    assert (refused.tag, refused.value["kind"]) == ("Err", Case("InvalidRequest"))
    assert "of the network ic, and this backend goes by those of network-0123456789abcdef" in refused.value["message"]
    assert change(world, prices=DEAREST_PRICES.model_dump()).tag == "Ok"
    assert change(world, prices=prices | {"network": "ic"}).tag == "Ok"
