"""The replicated state of a subnet: everything that a checkpoint must bring back.

Owns the data, the allocation of ids and the books of cycles. How it changes is decided in `subnet`, `calls` and
`management`; all of them are deterministic functions of this state and of the inputs that `subnet` receives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from canister_factory.replica.runtime.execution import MAX_CYCLES, CanisterError, RejectCode
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.cycles import DEFAULT_PRICES
from canister_factory.replica.subnet.mailboxes import Mailboxes
from canister_factory.replica.subnet.messages import Begun
from canister_factory.replica.subnet.node_metrics import NodeSample
from canister_factory.replica.subnet.outcalls import Outcall
from canister_factory.replica.subnet.statuses import Statuses
from canister_factory.replica.subnet.transaction import Transaction

CANISTER_ID_SUFFIX = b"\x01\x01"
FIRST_CANISTER_ID = (0xFFFF_FFFF_FFE0_0000).to_bytes(8, "big") + CANISTER_ID_SUFFIX
LAST_CANISTER_ID = (0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big") + CANISTER_ID_SUFFIX
CyclesUse = Literal[
    "canister_creation",
    "memory",
    "compute_allocation",
    "instructions",
    "ingress_induction",
    "request_and_response_transmission",
    "http_outcalls",
    "burned_cycles",
    "uninstall",
]
"""What cycles were consumed for, as `canister_metrics` names it."""
CYCLES_USES: Final[tuple[CyclesUse, ...]] = get_args(CyclesUse)


@dataclass(slots=True)
class SubnetState:
    """The state machine's state. `seed` is the source of all randomness; the two cycle totals close the books."""

    seed: bytes = field(repr=False)
    first_canister_id: bytes = FIRST_CANISTER_ID
    last_canister_id: bytes = LAST_CANISTER_ID
    time_ns: int = 0
    canisters: dict[bytes, CanisterState] = field(default_factory=dict)
    canisters_created: int = 0
    queue: Mailboxes = field(default_factory=Mailboxes)
    begun: dict[bytes, Begun] = field(default_factory=dict)  # by canister id: the messages that haven't ended
    statuses: Statuses = field(default_factory=Statuses, repr=False, metadata={"runtime": True})  # kept apart
    last_id: int = 0
    random_draws: int = 0
    cycles_minted: int = 0
    cycles_consumed: int = 0
    storage_charged_ns: int = 0
    instructions: int = 0
    messages_executed: int = 0
    ledger_balances: dict[bytes, int] = field(default_factory=dict)  # accounts that differ from the test balance
    ledger_blocks: int = 0
    ledger_withdrawals: dict[bytes, int] = field(default_factory=dict)  # those that a repetition is known by: the block
    subnet_admins: tuple[bytes, ...] = ()
    node_metrics: list[NodeSample] = field(default_factory=list)
    outcalls: dict[int, Outcall] = field(default_factory=dict)
    prices: str = DEFAULT_PRICES.name  # the table that all of it was charged by
    failures: int = 0  # messages that an internal error ended
    last_failure: int = 0  # the number of the last of them, as `messages_executed` counts
    transaction: Transaction = field(default_factory=Transaction, repr=False, metadata={"runtime": True})

    def next_id(self) -> int:
        """A number for a call or a call context, unique for the life of the subnet."""
        self.last_id += 1
        return self.last_id

    def next_canister_id(self) -> bytes:
        """The next unused canister id; ids are never used again.

        Raises:
            CanisterError: IC0101, when the range is used up.
        """
        first = int.from_bytes(self.first_canister_id[:8], "big")
        last = int.from_bytes(self.last_canister_id[:8], "big")
        number = first + self.canisters_created
        if number > last:
            raise CanisterError(
                RejectCode.SYS_FATAL,
                f"Could not create canister. All {last - first + 1} canister ids of this subnet are used.",
                "IC0101",
            )
        self.canisters_created += 1
        return number.to_bytes(8, "big") + CANISTER_ID_SUFFIX

    def is_allocated_here(self, canister_id: bytes) -> bool:
        """Whether the id lies in the range from which this subnet gives ids."""
        return self.first_canister_id <= canister_id <= self.last_canister_id

    def canister(self, canister_id: bytes) -> CanisterState:
        """The canister of that id, all of which the message that is being executed may change.

        Raises:
            CanisterError: IC0301, when there is none.
        """
        canister = self.existing(canister_id)
        self.transaction.touch(canister)
        return canister

    def existing(self, canister_id: bytes) -> CanisterState:
        """The canister of that id, to be looked at.

        Raises:
            CanisterError: IC0301, when there is none.
        """
        canister = self.canisters.get(canister_id)
        if canister is None:
            raise CanisterError(RejectCode.DESTINATION_INVALID, f"Canister {text_of(canister_id)} not found", "IC0301")
        return canister

    def draw_randomness(self) -> bytes:
        """32 bytes, unpredictable without the seed, the same again when a checkpoint is replayed."""
        self.random_draws += 1
        return hashlib.sha256(self.seed + self.random_draws.to_bytes(8, "big")).digest()

    def mint(self, canister: CanisterState, cycles: int) -> None:
        """Brings new cycles into circulation, as many as the balance can hold."""
        cycles = min(cycles, MAX_CYCLES - canister.balance)
        canister.balance += cycles
        self.cycles_minted += cycles

    def credit(self, canister: CanisterState, cycles: int) -> None:
        """Adds cycles that were in flight to a balance; what that can't hold is consumed."""
        kept = min(cycles, MAX_CYCLES - canister.balance)
        canister.balance += kept
        self.cycles_consumed += cycles - kept

    def consume(self, canister: CanisterState, cycles: int, use: CyclesUse) -> None:
        """Takes a charge out of the balance and out of circulation; never more than there is."""
        cycles = min(cycles, canister.balance)
        canister.balance -= cycles
        self.note_consumed(canister, cycles, use)

    def note_consumed(self, canister: CanisterState, cycles: int, use: CyclesUse) -> None:
        """Counts cycles that were taken out of a canister's balance before."""
        self.cycles_consumed += cycles
        canister.consumed = {**canister.consumed, use: canister.consumed.get(use, 0) + cycles}
