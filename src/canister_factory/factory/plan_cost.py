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
    """Cycles. `creation`, `importing` and `life` add up to `at_most`; `first` is attached to the new canister, `rest`
    follows at its completion. `spent`: by this creation so far; `left`: what it still takes of the reserve at most.
    """

    creation: int
    importing: int
    life: int
    first: int
    rest: int
    expected: int
    """What a new canister takes in all when the rest is corrected by what the network says that it burns."""
    per_year: int
    """What it is expected to burn."""
    spent: int
    left: int
    expected_left: int
    funded_days: int
    """How long the canister takes updates, before its freezing threshold."""
    paid_until_ns: int | None
    """Until when it is paid for: since its completion as the backend has it, else if it were completed now."""
    is_told: bool
    """By the backend's own settings; else by the usual ones."""
    prices: str
    """Whose prices all goes by: the label of the table."""

    @property
    def at_most(self) -> int:
        """What the reserve has to hold for a new canister."""
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
    burned = funding.idle(prices, funding.likely_canister_bytes(size, facts.content.items), funding.DAY_S)
    wanted = prices.creation + importing + funding.life(settings.funded_days, threshold, burned)
    expected = min(max(wanted, need.first), need.total)
    paid_until_ns = funding.paid_until_ns(life, need.burned_per_day, threshold, facts.now_ns)
    return Cost(
        creation=prices.creation,
        importing=importing,
        life=life,
        first=need.first,
        rest=need.rest,
        expected=expected,
        per_year=_YEAR_DAYS * burned,
        spent=0 if creation is None or facts.is_undone else creation.cycles_consumed,
        left=_left(creation, need.total, need.rest),
        expected_left=_left(creation, expected, expected - need.first),
        funded_days=settings.funded_days,
        paid_until_ns=creation.paid_until if creation is not None and creation_is_over(creation) else paid_until_ns,
        is_told=office is not None,
        prices=prices.network,
    )


def _left(creation: DetailedCreationStatus | None, whole: int, rest: int) -> int:
    """What is still taken of the reserve: the whole for a canister that there isn't yet, else the second part."""
    if creation_is_over(creation):
        return 0
    if creation is None or creation.canister_id is None or creation.status == CreationStatus.Undone:
        return whole
    return rest
