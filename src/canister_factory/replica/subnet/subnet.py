"""The subnet: a deterministic state machine over ingress messages and time.

Owns the order of things: what happens in a round, and which message is next. Does not own what is due without a message
(`upkeep`), what a message does (`calls`, `management`), certification, or where the state is kept (`durability`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import MAX_CYCLES, CanisterError, RejectCode, Response, Steps, finish
from canister_factory.replica.subnet import ingress
from canister_factory.replica.subnet.anchor import Anchor, Anchors
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.calls import Calls, Handler
from canister_factory.replica.subnet.canister import MANAGEMENT_CANISTER, CanisterState
from canister_factory.replica.subnet.cycles import Prices, chosen_prices
from canister_factory.replica.subnet.durability import CheckpointError, Durability
from canister_factory.replica.subnet.http_outcalls import HttpOutcalls
from canister_factory.replica.subnet.information import Information
from canister_factory.replica.subnet.listeners import NOBODY, Listeners
from canister_factory.replica.subnet.management import Management
from canister_factory.replica.subnet.management_interface import NOT_AT_ONCE
from canister_factory.replica.subnet.messages import (
    FromIngress,
    FromSystem,
    IngressMessage,
    OutcallAnswer,
    Request,
    caller_info,
)
from canister_factory.replica.subnet.node_metrics import count_block
from canister_factory.replica.subnet.outcalls import Outcall
from canister_factory.replica.subnet.processing import Processing
from canister_factory.replica.subnet.queries import DataCertificate, Queries
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.schedule import Pace, Round, Schedule
from canister_factory.replica.subnet.state import FIRST_CANISTER_ID, LAST_CANISTER_ID, SubnetState
from canister_factory.replica.subnet.upkeep import Upkeep

MESSAGES_PER_ROUND = 1_000


@dataclass(frozen=True, slots=True)
class Builtin:
    """A canister written in Python.

    Attributes:
        update: a deterministic function of the subnet's state and the call. It may lower `request.cycles`, which
            consumes them, use `Subnet.manage`, and raise CanisterError to reject.
        query: answers query calls, changes nothing, and may raise CanisterError; None: it has no query methods.
    """

    update: Callable[[Subnet, Request], Response]
    query: Callable[[Subnet, Request], Response] | None = None


class Subnet:
    """Takes ingress messages, executes rounds, answers queries.

    Args:
        engine: compiles modules.
        clock_ns: nanoseconds since 1970; time inside the subnet never goes back, whatever the clock says.
        subnet_id: the subnet's principal.
        node_id: the principal of its only node.
        subnet_admins: may list canisters, and start, stop, uninstall and delete them; a restored state keeps its own.
        root_key: the network's public key, which canisters may ask for.
        canister_id_range: first and last id that may be given to a canister.
        prices: a table of `cycles`, or its name; a kept state has its own, which is the default, else the dearest is.
        node_count: prices are proportional to it; 13 is the ordinary application subnet.
        listeners: told of changes, also of those that are executed again from the journal.
        builtins: canisters that are part of the replica, by id; the same ones for the life of a state directory.
        checkpoint: where the state is kept; None: in memory only.
        pace: how much is executed in a round. Without a clock in it, rounds are long.

    Raises:
        CheckpointError, PricesError: the kept state can't be restored, or has other prices.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock_ns: Callable[[], int],
        subnet_id: bytes = b"",
        node_id: bytes = b"",
        subnet_admins: tuple[bytes, ...] = (),
        root_key: bytes = b"",
        canister_id_range: tuple[bytes, bytes] = (FIRST_CANISTER_ID, LAST_CANISTER_ID),
        prices: str | Prices | None = None,
        node_count: int = 13,
        listeners: Listeners = NOBODY,
        builtins: Mapping[bytes, Builtin] | None = None,
        checkpoint: Durability | None = None,
        pace: Pace = Pace(),  # noqa: B008 - immutable
    ) -> None:
        self.id, self._clock_ns = subnet_id, clock_ns
        restored = checkpoint.load() if checkpoint is not None else None
        self._prices = chosen_prices(prices, restored.prices if restored else None).for_nodes(node_count)
        seed, prices = secrets.token_bytes(32), self._prices.name
        self.state = restored or SubnetState(seed, *canister_id_range, subnet_admins=subnet_admins, prices=prices)
        told = listeners if checkpoint is None else checkpoint.listening(listeners)
        listeners = self._listeners = self.state.transaction.delayed(told)
        self._calls = Calls(self.state, self._prices, self._listeners, subnet_id, root_key)
        self._outcalls = HttpOutcalls(self.state, self._calls, self._prices)
        self._calls.finish_outcall = self._outcalls.finish
        known = Information(self.state, self._prices, subnet_id, node_id)
        self._management = Management(self.state, self._calls, engine, self._prices, listeners, known, self._outcalls)
        self._calls.builtins[MANAGEMENT_CANISTER] = self._management.handle
        self._upkeep = Upkeep(self.state, self._calls, self._prices, listeners)
        self._queries = Queries(self.state, self._calls, self._prices)
        self._queries.builtins[MANAGEMENT_CANISTER] = self._management.query
        for canister_id, builtin in (builtins or {}).items():
            self._calls.builtins[canister_id] = self._handler(builtin)
            if builtin.query is not None:
                self._queries.builtins[canister_id] = partial(builtin.query, self)
        self._pace = pace
        self._processing = Processing(self.state, self._calls)
        self._schedule = Schedule(self.state, self._processing)
        self._checkpoint = checkpoint
        self._anchors = Anchors(self.state, self._calls, self._listeners, durable=checkpoint is not None)
        self._broken = False
        if checkpoint is not None:
            checkpoint.replay(self)

    def __repr__(self) -> str:
        canisters, queued = len(self.state.canisters), len(self.state.queue)
        return f"<Subnet canisters={canisters} queued={queued} time_ns={self.state.time_ns}>"

    # --- what others may see -----------------------------------------------------------------------------------------

    @property
    def canisters(self) -> Mapping[bytes, CanisterState]:
        return self.state.canisters

    @property
    def request_statuses(self) -> Mapping[bytes, RequestStatus]:
        """Statuses of known ingress messages; they are forgotten five minutes after their expiry."""
        return self.state.statuses

    @property
    def request_contents(self) -> Mapping[bytes, bytes]:
        return self.state.statuses.contents

    def request_status(self, request_id: bytes) -> RequestStatus | None:
        return self.state.statuses.get(request_id)

    @property
    def outcalls(self) -> Mapping[int, Outcall]:
        """HTTP outcalls that wait for their answer."""
        return self.state.outcalls

    @property
    def canister_id_range(self) -> tuple[bytes, bytes]:
        return self.state.first_canister_id, self.state.last_canister_id

    @property
    def consumed_cycles(self) -> int:
        """Cycles that went out of circulation; as an amount of cycles, never more than 2^128 - 1."""
        return min(self.state.cycles_consumed, MAX_CYCLES)

    @property
    def executed_messages(self) -> int:
        return self.state.messages_executed

    # --- canisters that are part of the replica ----------------------------------------------------------------------

    def manage(self, request: Request) -> Response:
        """Executes a call to the management canister at once, for a builtin, with the request's caller and cycles.

        Raises:
            CanisterError: it was rejected, or can't be answered at once, such as `stop_canister` and `install_code`.
        """
        if request.method in NOT_AT_ONCE:
            raise CanisterError(RejectCode.CANISTER_REJECT, f"{request.method} can't be called by a builtin", "IC0406")
        response = self._management.handle(request)
        assert response is not None
        return response

    def _handler(self, builtin: Builtin) -> Handler:
        def handle(request: Request) -> Response:
            attached = request.cycles
            try:
                return builtin.update(self, request)
            finally:
                self.state.cycles_consumed += attached - request.cycles

        return handle

    # --- ingress -----------------------------------------------------------------------------------------------------

    def check_ingress(self, message: IngressMessage) -> None:
        """Refuses a message that must not be executed: `checking`, without a pause."""
        finish(self.checking(message))

    def checking(self, message: IngressMessage) -> Steps[None]:
        """Refuses a message that must not be executed, in slices; changes nothing.

        Raises:
            CanisterError: why it is refused; to be answered as a non-replicated rejection.
        """
        return ingress.check(self.state, self._calls, self._queries, self._prices, message, self._now_ns())

    def submit(self, message: IngressMessage) -> None:
        """Queues a checked message. A known request id is ignored: a message is executed once.

        Raises:
            SubnetBrokenError: a former round broke off.
            CheckpointError: there is no room for it; nothing has changed.
        """
        if message.request_id not in self.state.statuses:
            self._submit(message.request())

    def submit_outcall_answer(self, answer: OutcallAnswer) -> None:
        """Queues the answer to an outcall; one that nobody waits for any more is ignored.

        Raises:
            SubnetBrokenError: a former round broke off.
            CheckpointError: there is no room for it; nothing has changed.
        """
        self._submit(answer)

    def _submit(self, noted: Request | OutcallAnswer) -> None:
        if self._broken:
            raise SubnetBrokenError
        if self._checkpoint is not None:
            self._checkpoint.note_submitted(noted)
        try:  # as `_undivided`, which costs more than the rest
            self.enqueue(noted)
        except BaseException:
            self._broken = True
            raise

    def enqueue(self, request: Request | OutcallAnswer) -> None:
        """Charges and queues an input: the deterministic part of `submit` and `submit_outcall_answer`."""
        self.state.queue.append(request)
        if isinstance(request, Request):
            assert isinstance(request.origin, FromIngress)
            if (payer := ingress.fee_payer(self.state, request)) is not None:
                self.state.consume(payer, self._prices.of_ingress(request.ingress_bytes), "ingress_induction")
            self._calls.set_status(request.origin, RequestState.RECEIVED)

    # --- rounds ------------------------------------------------------------------------------------------------------

    def execute_round(
        self, max_messages: int = MESSAGES_PER_ROUND, *, with_tasks: bool = True, pace: Pace | None = None
    ) -> bool:
        """Executes what is due and what is queued; True if there is more to do just now.

        What doesn't end in this round goes on in the next one.

        Args:
            max_messages: so many begin at most.
            with_tasks: whether timers and heartbeats that are due are executed, each once.
            pace: another one than usual.

        Raises:
            SubnetBrokenError: a former round broke off by an internal error, so the state can't be relied on.
            CheckpointError: there is no room to note a round; none was executed.
        """
        if self._checkpoint is not None and not self._broken:
            self._checkpoint.make_room()
        now_ns = self._now_ns()
        with self._undivided():
            changed = self._begin_round(now_ns, with_tasks)
            done = self._schedule.work(max_messages, pace or self._pace)
            if changed or done:
                count_block(self.state.node_metrics, now_ns)
                if self._checkpoint is not None:
                    self._checkpoint.note_round(Round(now_ns, with_tasks, done), self.state)
        return self._schedule.more

    @property
    def awaited(self) -> list[Future[Any]]:
        """What messages or the state's place wait for; a round can go on with it when it is there."""
        return [*self._schedule.awaited, *(() if self._checkpoint is None else self._checkpoint.awaited)]

    def repeat_round(self, executed: Round) -> None:
        """Executes a round again."""
        self._begin_round(executed.time_ns, executed.with_tasks)
        self._schedule.repeat(executed.done)
        count_block(self.state.node_metrics, executed.time_ns)

    def _begin_round(self, now_ns: int, with_tasks: bool) -> bool:
        """What is due without a message; whether that changed anything."""
        self.state.time_ns = now_ns
        expired = self._calls.expire(now_ns) | self._outcalls.expire(now_ns)
        return self._upkeep.run(with_tasks=with_tasks) or expired

    @contextmanager
    def _undivided(self) -> Iterator[None]:
        """What must happen wholly: if it breaks off, memory is no longer what the journal says, and work ends."""
        if self._broken:
            raise SubnetBrokenError
        try:
            yield
        except BaseException:
            self._broken = True
            raise

    def persist(self, meanwhile: Callable[[], None] | None = None, *, at_rest: bool = False) -> None:
        """Makes durable what was executed; to be called before any of it is answered. Does nothing without checkpoint.

        `meanwhile`, `at_rest`: as `Durability.commit`.

        Raises:
            CheckpointError: the disk refuses; it tells what may be answered. Where it is `passing`, this may be
                called again; otherwise nothing is executed any more.
        """
        if self._checkpoint is not None and not self._broken:
            try:
                self._checkpoint.commit(self.state, meanwhile, at_rest=at_rest)
            except CheckpointError as error:
                self._broken = not error.passing  # it isn't known what the disk has
                raise

    def close(self, *, in_full: bool = False) -> None:
        """Writes the state for a quick start and frees the canisters' memories. The subnet is unusable afterwards.

        Messages that haven't ended begin again at the next start. `in_full`: as `Durability.close`.
        """
        self._schedule.give_up()
        self._queries.give_up()
        if self._checkpoint is not None and not self._broken:
            self._checkpoint.close(self.state, in_full=in_full)
        for canister in self.state.canisters.values():
            if canister.instance is not None:
                canister.instance.close()

    def next_wakeup_ns(self) -> int | None:
        """When the next round has something to do though no message arrives; None: never."""
        due = [self._upkeep.next_wakeup_ns(), self._outcalls.next_deadline_ns()]
        return min((time_ns for time_ns in due if time_ns is not None), default=None)

    # --- anchors -----------------------------------------------------------------------------------------------------

    def anchor(self) -> Anchor:
        """Remembers the present state. Anchors nest. Messages that haven't ended begin again.

        Raises:
            AnchorError: the state is kept on disk.
            SubnetBrokenError: a round broke off before.
        """
        if self._broken:
            raise SubnetBrokenError
        self._schedule.give_up()  # memories can be anchored between transactions only
        return self._anchors.take()

    def revert(self, anchor: Anchor) -> None:
        """Makes the state what it was at the anchor, its time too, and ends the anchor and those inside of it.

        Raises:
            AnchorError: the anchor has ended.
            SubnetBrokenError: a round broke off before.
        """
        self._anchors.require_open(anchor)
        with self._undivided():
            self._schedule.give_up()
            self._queries.give_up()
            self._anchors.revert(anchor)

    def release(self, anchor: Anchor) -> None:
        """Ends the anchor, and those inside of it, without going back.

        Raises:
            AnchorError: the anchor has ended.
        """
        self._anchors.release(anchor)

    # --- queries -----------------------------------------------------------------------------------------------------

    def query(self, query: QueryRequest, data_certificate: DataCertificate = None) -> Response:
        """Answers a query call: `querying`, without a pause."""
        return finish(self.querying(query, data_certificate))

    def querying(self, query: QueryRequest, data_certificate: DataCertificate = None) -> Steps[Response]:
        """Answers a query call in slices, on the state that is there when it begins; changes nothing.

        Args:
            query: who asks which method of which canister.
            data_certificate: gives the certificate that a canister may see; None: it sees none.

        Raises:
            CanisterError: the query is rejected.
        """
        request = Request(
            FromSystem(), query.sender, query.canister_id, query.method_name, query.arg, caller_info=caller_info(query)
        )
        return self._queries.answer(request, self._now_ns(), data_certificate)

    def _now_ns(self) -> int:
        return max(self._clock_ns(), self.state.time_ns)
