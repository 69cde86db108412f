"""What a personal canister costs: to be created, to be filled, and to live until the day that it's funded for.

Owns this arithmetic, the same as the backend's `Funding.mo` (a test compares both), and whose prices a table has. Does
not own: paying, and the settings themselves, which the backend keeps. Amounts are cycles, sizes bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from canister_factory.contract.admin_models import PriceTable, ReserveSettings
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.factory.errors import PriceTableError
from canister_factory.ic.network import MAINNET_ROOT_KEY

GIB = 1 << 30
DAY_S = 86_400
ANY_NETWORK = "any"
"""The label of prices that fit any network."""
DEAREST_PRICES = PriceTable(
    network=ANY_NETWORK,
    creation=500_000_000_000,
    installation=300_000_000_000,
    import_base=30_000_000_000,
    import_byte=2_500,
    idle_second=10_000,
    gib_second=317_500,
)
"""The dearest known, of 13 nodes: what a backend goes by unless told otherwise."""
MAX_DAYS = 36_525
"""A hundred years, of freezing threshold and funded days together."""
EMPTY_CANISTER_BYTES = 24_000_000
"""Of a canister without contents: its memory and its module."""
MESSAGE_CYCLES = 82_200_000_000
"""What must be there besides the freezing threshold for an update that draws randomness, as a new memory needs: the
network sets aside the price of 40 billion instructions for the message, and as much with 2 MiB of reply for what comes
back; what isn't used is given back. 32-bit canister, subnet of 13 nodes."""
_LAST_NS = 2**63 - 1
_STABLE_BYTES = 1 << 20
_STABLE_BLOCK_BYTES = 8 << 20
_BENCH_BYTES = 2 << 20
_BYTES_PER_ITEM = 256
_HEAP_AND_MODULE_BYTES = 3_000_000
_HEAP_PER_BYTE = 3
_MOST_IN_A_MESSAGE = 1_500_000


@dataclass(frozen=True, slots=True)
class Need:
    """What a creation takes of the reserve.

    `first` is attached when the canister is created: it lets the canister be installed, filled and not frozen then.
    `rest` follows at the completion, and lets it live for the funded days. `burned_per_day`: what it then burns idle.
    """

    first: int
    rest: int
    burned_per_day: int

    @property
    def total(self) -> int:
        """Both parts."""
        return self.first + self.rest


def need(reserve: ReserveSettings, canisters: PersonalCanisterSettings, content_size: int) -> Need:
    """What a creation of a capsule with so many bytes of contents takes."""
    prices = reserve.prices
    size = canister_bytes(content_size)
    made = prices.creation + prices.import_byte * content_size
    first = made + prices.installation + idle(prices, size, canisters.freezing_threshold)
    burned = idle(prices, size, DAY_S)
    needed = made + prices.import_base + life(reserve.funded_days, canisters.freezing_threshold, burned)
    return Need(first, max(needed, first) - first, burned)


def canister_bytes(content_size: int) -> int:
    """The size of a canister with such contents: a tenth more for what is around them, and what an empty one has."""
    return content_size * 11 // 10 + EMPTY_CANISTER_BYTES


def likely_canister_bytes(content_size: int, items: int) -> int:
    """The size that such a canister was measured to have after its import; `canister_bytes` is what it never exceeds.

    Stable memory grows by blocks of 8 MiB, with 2 MiB behind the contents. The heap keeps the room of the largest
    messages, three times their contents.
    """
    blocks = -(-(content_size + items * _BYTES_PER_ITEM + _BENCH_BYTES) // _STABLE_BLOCK_BYTES)
    heap = _HEAP_AND_MODULE_BYTES + _HEAP_PER_BYTE * min(content_size, _MOST_IN_A_MESSAGE)
    return _STABLE_BYTES + blocks * _STABLE_BLOCK_BYTES + heap


def idle(prices: PriceTable, size: int, seconds: int) -> int:
    """What a canister of `size` bytes in all burns idle in so many seconds."""
    return seconds * (prices.idle_second * GIB + prices.gib_second * size) // GIB


def life(funded_days: int, freezing_threshold_s: int, burned_per_day: int) -> int:
    """The balance with which a canister that burns so much takes updates for all the funded days."""
    return burned_per_day * (funded_days * DAY_S + freezing_threshold_s) // DAY_S + MESSAGE_CYCLES


def paid_until_ns(balance: int, burned_per_day: int, freezing_threshold_s: int, now_ns: int) -> int | None:
    """Until when a canister with this balance takes updates, in nanoseconds since 1970; `None`: it burns nothing.

    Source: developer documentation, "Cycles management", freezing threshold.
    """
    if burned_per_day == 0:
        return None
    kept = burned_per_day * freezing_threshold_s // DAY_S + MESSAGE_CYCLES
    return min(now_ns + max(0, balance - kept) * DAY_S // burned_per_day * 10**9, _LAST_NS)


def network_label(root_key: bytes) -> str:
    """What a table with this network's prices is called: `ic`, or a name made of the network's root key (DER)."""
    if root_key == MAINNET_ROOT_KEY:
        return "ic"
    return f"network-{hashlib.sha256(root_key).hexdigest()[:16]}"


def check_prices(prices: PriceTable, root_key: bytes) -> None:
    """Refuses the prices of another network.

    Raises:
        PriceTableError: the table has another network's label.
    """
    here = network_label(root_key)
    if prices.network not in (ANY_NETWORK, here):
        raise PriceTableError(
            f"the prices are those of the network {prices.network!r}, and this is {here!r}: set prices that fit it "
            "with 'canister-factory reserve settings --from-network', or the dearest known with --dearest-prices"
        )
