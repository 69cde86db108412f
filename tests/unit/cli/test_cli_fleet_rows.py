"""How a row of the fleet looks: a canister of some years still has its line on a terminal of 80 columns."""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.cli.fleet import _columns
from canister_factory.cli.fleet_canister import FleetCanister
from support.planned import CANISTER

OWNER = Principal.from_str("rdrb6-omqjr-vb72d-hhdup-oowhh-zxpmu-iymdl-d4rgl-2mscb-umgqa-jae")

HOUR_NS = 3_600 * 10**9
YEAR_NS = 365 * 86_400 * 10**9


def test_a_canister_of_some_years_has_one_line_of_80_columns() -> None:
    one = FleetCanister(
        canister_id=CANISTER,
        owner=OWNER,
        created_at=56 * YEAR_NS,
        age_days=2_300,
        paid_until=63 * YEAR_NS,
        days_left=255,
        cycles=9_123_456_789_012,
        seen_at=57 * YEAR_NS,
    )
    row = {name: str(cell(one)) for name, cell in _columns(57 * YEAR_NS + 47 * HOUR_NS).items()}
    assert (row["age"], row["cycles"], row["seen"]) == ("6.3 y", "9.123 T", "47 h")
    later = [_columns(57 * YEAR_NS + hours * HOUR_NS)["seen"](one) for hours in (0, 1, 48, 24_000)]
    assert later == ["<1 h", "1 h", "2 d", "2.7 y"]
    widths = [max(len(name), len(cell)) for name, cell in row.items()]
    assert sum(widths) + 2 * (len(widths) - 1) <= 80
