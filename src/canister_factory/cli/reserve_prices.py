"""The prices that `reserve settings` sets: found out from the network, the dearest known, or a file's.

Owns reading and showing them. Does not own: how they follow from what is burned (`factory.calibration`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from canister_factory.candid.principal import Principal
from canister_factory.cli import quantities
from canister_factory.cli.backend_check import CheckedBackend
from canister_factory.cli.errors import InputError
from canister_factory.contract.admin_models import PriceTable, ReserveSettings
from canister_factory.contract.creation_models import OwnerPageRequest
from canister_factory.factory.calibration import MAX_READINGS, Reading, calibrated, read_burns
from canister_factory.factory.funding import ANY_NETWORK, DEAREST_PRICES
from canister_factory.ic.foreign_text import quoted

LARGEST_FILE = 100_000
"""Bytes of a file with prices, at most."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices to set, and what they follow from, where that was read."""

    table: PriceTable
    readings: Sequence[Reading] = ()


async def chosen_prices(backend: CheckedBackend, from_network: bool, dearest: bool, file: Path | None) -> Prices | None:
    """What the options ask for; `None` without one of them.

    Raises:
        InputError: the file has no prices.
        PriceTableError: the network doesn't tell any.
        CreationRefused: the caller may not see which canisters there are.
        IcError: the network failed.
    """
    if from_network:
        readings = await read_burns(backend.ic, await _canisters(backend))
        return Prices(calibrated(readings, backend.ic.root_key), readings)
    if dearest:
        return Prices(DEAREST_PRICES)
    return None if file is None else Prices(_read(file))


async def set_settings(backend: CheckedBackend, before: ReserveSettings, after: ReserveSettings) -> None:
    """Sets them, also where the prices were those of another network, which the backend changes in two steps only.

    Raises:
        CreationRefused: the backend takes no such settings.
        IcError: the network failed.
    """
    labels = {before.prices.network, after.prices.network, ANY_NETWORK}
    if len(labels) == 3:
        await backend.set_reserve_settings(before.model_copy(update={"prices": DEAREST_PRICES}))
    await backend.set_reserve_settings(after)


def price_rows(prices: PriceTable) -> list[tuple[str, object]]:
    """A table of prices for a person."""
    return [
        ("prices of", "any network, the dearest known" if prices == DEAREST_PRICES else quoted(prices.network)),
        ("  a canister", quantities.cycles(prices.creation)),
        ("  installing, at most", quantities.cycles(prices.installation)),
        ("  installing, usually", quantities.cycles(prices.import_base)),
        ("  a byte on its way", quantities.cycles(prices.import_byte)),
        ("  being there, a day", quantities.cycles(prices.idle_second * 86_400)),
        ("  a GiB, a day", quantities.cycles(prices.gib_second * 86_400)),
    ]


def reading_fields(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """What prices were computed from, as JSON has it."""
    return [
        {
            "canister_id": reading.canister_id,
            "memory_size": reading.size,
            "idle_cycles_burned_per_day": str(reading.burned_per_day),
        }
        for reading in readings
    ]


async def _canisters(backend: CheckedBackend) -> list[Principal]:
    """The backend, and personal canisters that were completed here, as many as are looked at."""
    found, after = [backend.canister_id], None
    while len(found) < 10 * MAX_READINGS:
        page = await backend.list_registry(OwnerPageRequest(after=after, limit=MAX_READINGS))
        found += [entry.canister_id for entry in page.items if entry.is_living]
        after = page.next
        if after is None:
            break
    return found


def _read(file: Path) -> PriceTable:
    try:
        with file.open("rb") as stream:
            content = json.loads(stream.read(LARGEST_FILE))
    except OSError as error:
        raise InputError(f"can't read {file}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{file} is not JSON") from None
    found = content.get("prices", content) if isinstance(content, dict) else content
    try:
        return PriceTable.model_validate_json(json.dumps(found))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "what is in it"
        raise InputError(f"{file} has no prices: {where}: {first['msg'].lower()}") from None
