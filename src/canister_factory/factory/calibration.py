"""Finds out what a network charges for storage, by what canisters there burn idle.

Owns the readings and what follows from them. Does not own: the table that they go into (`funding`), and setting it.

A network tells no prices, but what a canister burns: for being there, and for its memory. Two canisters of different
sizes tell both. One alone fits more than one table, so the dearer one is taken unless a known one fits exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import PriceTable
from canister_factory.factory.errors import PriceTableError
from canister_factory.factory.funding import DAY_S, DEAREST_PRICES, GIB, idle, network_label
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError
from canister_factory.ic.management import ManagementCanister

MAX_READINGS = 50
"""Canisters that are looked at, at most."""
_PUBLISHED = DEAREST_PRICES.model_copy(update={"idle_second": 0, "gib_second": 127_000})
"""The other table that is known: the documentation's of August 2026."""
_DISTINCT_BYTES = 1 << 20
"""By how much two canisters must differ for their burns to tell the price of a byte."""
_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """What one canister burns idle: its size in bytes (or its allocation, where that is more), and cycles a day."""

    canister_id: Principal
    size: int
    burned_per_day: int


async def read_burns(agent: Agent, canisters: Iterable[Principal]) -> list[Reading]:
    """What those of the canisters burn whose status the caller may see, the first `MAX_READINGS` of them.

    Canisters that reserve compute are left out: what that costs isn't told apart.

    Source: interface specification, "IC method canister_status", `idle_cycles_burned_per_day`.

    Raises:
        IcError: the network failed.
    """
    readings: list[Reading] = []
    for canister_id in canisters:
        if len(readings) == MAX_READINGS:
            break
        try:
            status = await ManagementCanister(agent).canister_status(canister_id)
        except (RejectedError, CanisterNotFoundError):
            continue
        if status.settings.compute_allocation == 0:
            size = max(status.memory_size, status.settings.memory_allocation)
            readings.append(Reading(canister_id, size, status.idle_cycles_burned_per_day))
    return readings


def calibrated(readings: Sequence[Reading], root_key: bytes) -> PriceTable:
    """The network's prices by what was read. Where storage is dearer than known, on a subnet of more nodes, so is the
    rest.

    Raises:
        PriceTableError: nothing was read, nothing is burned, or no prices fit all that was read.
    """
    if not readings:
        raise PriceTableError(
            "there is no canister whose status you may see, so nobody knows what is burned here: use the identity of a "
            "controller of the backend"
        )
    small, large = (choose(readings, key=lambda reading: reading.size) for choose in (min, max))
    are_distinct = large.size - small.size >= _DISTINCT_BYTES
    idle_second, gib_second = _by_two(small, large) if are_distinct else _by_one(large)
    if gib_second <= 0:
        raise PriceTableError("the network says that memory costs nothing here; the prices were left as they are")
    dearer = max(1.0, round(gib_second) / DEAREST_PRICES.gib_second)
    others = {
        name: round(getattr(DEAREST_PRICES, name) * dearer)
        for name in ("creation", "installation", "import_base", "import_byte")
    }
    prices = PriceTable(
        network=network_label(root_key), idle_second=round(idle_second), gib_second=round(gib_second), **others
    )
    for reading in readings if are_distinct else ():
        expected = idle(prices, reading.size, DAY_S)
        if abs(expected - reading.burned_per_day) > _TOLERANCE * reading.burned_per_day:
            raise PriceTableError(
                f"no prices fit what was read: canister {reading.canister_id} of {reading.size:,} bytes burns "
                f"{reading.burned_per_day:,} cycles a day, where {expected:,} were expected by the others; the prices "
                "were left as they are"
            )
    return prices


def _by_two(small: Reading, large: Reading) -> tuple[float, float]:
    """Cycles a second, for being there and for each GiB."""
    a_byte = (large.burned_per_day - small.burned_per_day) / (large.size - small.size) / DAY_S
    return max(0.0, small.burned_per_day / DAY_S - a_byte * small.size), a_byte * GIB


def _by_one(reading: Reading) -> tuple[float, float]:
    """The same. Each known table, made dearer or cheaper until it fits; and of these whatever is dearest."""
    fitted = []
    for table in (DEAREST_PRICES, _PUBLISHED):
        ratio = reading.burned_per_day / max(1, idle(table, reading.size, DAY_S))
        if abs(ratio - 1) < 1e-4:
            return table.idle_second, table.gib_second
        fitted.append((table.idle_second * ratio, table.gib_second * ratio))
    return max(being for being, _ in fitted), max(gib for _, gib in fitted)
