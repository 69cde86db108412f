"""What a creation takes of the reserve, and what its canister burns afterwards, in cycles.

Owns dividing that into what a person asks about. Does not own: the arithmetic (`funding`), and the settings that it
goes by, which the backend tells to admins and operators only.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.contract.admin_models import ReserveSettings
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus, PersonalCanisterSettings
from canister_factory.factory import funding
from canister_factory.factory.deployment import FREEZING_THRESHOLD_S
from canister_factory.factory.plan_facts import Facts, creation_is_over

_YEAR_DAYS = 365
_USUAL = ReserveSettings(
    threshold=0, operating_minimum=0, funded_days=365, prices=funding.DEAREST_PRICES, cycles_per_day=0
)
"""What a canister is funded by where no admin has set anything else (`Funding` of the backend); its other limits are
none that an owner is told."""
_USUAL_HOSTING = PersonalCanisterSettings(freezing_threshold=FREEZING_THRESHOLD_S, wasm_memory_limit=3 * 2**30)


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
    funded_days: int
    """How long the canister takes updates, before its freezing threshold."""
    paid_until_ns: int | None
    """Until when it is paid for: since its completion as the backend has it, else if it were completed now."""
    is_told: bool
    """By the backend's own settings; else by the usual ones."""

    @property
    def needed(self) -> int:
        """All that a new canister takes of the reserve."""
        return self.first + self.rest


def cost_of(facts: Facts) -> Cost:
    """Of the creation that `facts` are about."""
    office, creation, size = facts.office, facts.creation, facts.content.size
    settings = office.reserve.settings if office is not None else _USUAL
    hosting = office.hosting if office is not None else _USUAL_HOSTING
    need, prices = funding.need(settings, hosting, size), settings.prices
    importing = prices.import_base + prices.import_byte * size
    life = need.total - prices.creation - importing
    threshold = hosting.freezing_threshold
    paid_until_ns = funding.paid_until_ns(life, need.burned_per_day, threshold, facts.now_ns)
    return Cost(
        creation=prices.creation,
        importing=importing,
        life=life,
        first=need.first,
        rest=need.rest,
        per_year=_YEAR_DAYS * need.burned_per_day,
        spent=creation.cycles_consumed if creation is not None else 0,
        left=_left(creation, need),
        funded_days=settings.funded_days,
        paid_until_ns=creation.paid_until if creation is not None and creation_is_over(creation) else paid_until_ns,
        is_told=office is not None,
    )


def _left(creation: DetailedCreationStatus | None, need: funding.Need) -> int:
    """What is still taken of the reserve: the whole for a canister that there isn't yet, else the second part."""
    if creation_is_over(creation):
        return 0
    if creation is None or creation.canister_id is None or creation.status == CreationStatus.Undone:
        return need.total
    return need.rest
