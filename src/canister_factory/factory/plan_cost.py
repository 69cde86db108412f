"""What a creation takes of the reserve, and what its canister burns afterwards, in cycles.

Owns dividing that into what a person asks about. Does not own: the arithmetic, which is the backend's.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.contract.admin_models import ReserveSettings
from canister_factory.contract.creation_models import DetailedCreationStatus
from canister_factory.factory.plan_facts import Facts, creation_is_over

_CREATION = 500_000_000_000
_IMPORT, _IMPORT_BYTE = 30_000_000_000, 2_500
_IDLE_SECOND, _GIB_SECOND = 10_000, 317_500
_EMPTY_BYTES = 24_000_000
_YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Cost:
    """Cycles. `creation`, `importing` and `life` add up to `needed`; `first` is attached to the new canister, `rest`
    follows at its completion. `spent`: by this creation so far; `left`: what it still takes of the reserve.
    """

    creation: int
    importing: int
    life: int
    first: int
    rest: int
    per_year: int
    spent: int
    left: int
    is_told: bool
    """By the backend's own settings; else by the usual ones."""

    @property
    def needed(self) -> int:
        """All that a new canister takes of the reserve."""
        return self.first + self.rest


def cost_of(facts: Facts) -> Cost:
    """Of the creation that `facts` are about."""
    reserve = facts.office.reserve.settings if facts.office is not None else _USUAL
    size = facts.content.size
    needed = reserve.creation_base_cycles + reserve.creation_cycles_per_byte * size
    rest = min(reserve.completion_cycles, needed)
    importing = _IMPORT + _IMPORT_BYTE * size
    return Cost(
        creation=_CREATION,
        importing=importing,
        life=needed - _CREATION - importing,
        first=needed - rest,
        rest=rest,
        per_year=_YEAR_S * (_IDLE_SECOND + _GIB_SECOND * (size * 11 // 10 + _EMPTY_BYTES) // 2**30),
        spent=facts.creation.cycles_consumed if facts.creation is not None else 0,
        left=_left(facts.creation, needed, rest),
        is_told=facts.office is not None,
    )


def _left(creation: DetailedCreationStatus | None, needed: int, rest: int) -> int:
    """What is still taken of the reserve: the whole for a canister that there isn't yet, else the second part."""
    if creation_is_over(creation):
        return 0
    return needed if creation is None or creation.canister_id is None else rest


_USUAL = ReserveSettings(
    threshold=0,
    operating_minimum=0,
    creation_base_cycles=2 * 10**12,
    creation_cycles_per_byte=6_000,
    completion_cycles=800 * 10**9,
    cycles_per_day=0,
)
