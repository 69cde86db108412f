"""What a new backend's creations take of its reserve, in cycles; and a network that tells canisters no statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canister_factory.contract.admin_models import ReserveSettings
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.funding import DEAREST_PRICES, Need, need
from canister_factory.replica.runtime.execution import CanisterError, RejectCode

if TYPE_CHECKING:
    from support.backend_world import World

TRILLION = 10**12
RESERVE = ReserveSettings(
    threshold=5 * TRILLION,
    operating_minimum=2 * TRILLION,
    funded_days=365,
    prices=DEAREST_PRICES,
    cycles_per_day=200 * TRILLION,
)
"""A new backend's settings."""
HOSTING = PersonalCanisterSettings(freezing_threshold=90 * 86_400, wasm_memory_limit=3 * 2**30)


def needed(content_size: int, reserve: ReserveSettings = RESERVE) -> Need:
    """What a creation of so many bytes takes; that the backend reckons the same is a test's to say."""
    return need(reserve, HOSTING, content_size)


FIRST_PART, COMPLETION = needed(0).first, needed(0).rest
"""What an empty capsule's canister gets at its creation, and at its completion where the table alone decides."""
CREATION_BASE = FIRST_PART + COMPLETION
CREATION_FEE = DEAREST_PRICES.creation


def hide_statuses(world: World) -> None:
    """From now on canisters are told no other's status, as on a network without `status_visibility`."""

    def refuse(request: Any, argument: Any) -> Any:
        raise CanisterError(RejectCode.CANISTER_ERROR, "Only controllers", "IC0512")

    world.subnet._management._methods["canister_status"] = refuse
