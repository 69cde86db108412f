"""What one message changed, until it is kept: so that a defect of this program takes nothing but the message with it.

Owns the way back of one message: numbers of the state, canisters' fields, entries of its mappings, the queue's end, the
Wasm memory, and what listeners are told. Does not own when a message is taken back (`calls`), or anchors (`anchor`).

Ordinary failures (a trap, a refusal) never get here: what they undo is undone by whoever notices them. An entry here
costs a reference to the former value, so that an ordinary message pays almost nothing. Three rules make it sound:

- Fields of `CanisterState` hold values that are replaced, never changed in place, but `contexts` and `pending_calls`.
- Those two, and the mappings of `SubnetState`, are changed through `put` and `pop` while a message executes.
- Who changes a canister took it from `SubnetState.canister` or named it to `touch` before.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.listeners import NOBODY, Listeners
from canister_factory.replica.subnet.mailboxes import Mailboxes
from canister_factory.replica.subnet.messages import CallContext, SystemTask
from canister_factory.replica.subnet.request_status import RequestStatus
from canister_factory.replica.subnet.statuses import Statuses

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Final = object()
_MAPPINGS: Final = ("contexts", "pending_calls")
_CANISTER_FIELDS: Final = tuple(field.name for field in fields(CanisterState) if field.name not in _MAPPINGS)
_canister_values: Final = attrgetter(*_CANISTER_FIELDS)
_EXECUTION_FIELDS: Final = (
    *("balance", "status", "version", "certified_data", "global_timer_ns", "logs", "log_count", "stop_waiters"),
    *("low_memory_hook", "consumed"),
)
_execution_values: Final = attrgetter(*_EXECUTION_FIELDS)
_CONTEXT_FIELDS: Final = ("cycles", "outstanding", "responded", "deleted", "instructions")
_context_values: Final = attrgetter(*_CONTEXT_FIELDS)
STATE_NUMBERS: Final = (
    *("last_id", "random_draws", "canisters_created", "cycles_minted", "cycles_consumed", "instructions"),
    *("ledger_blocks", "failures", "last_failure"),
)
"""Fields of `SubnetState` that messages change by assigning to them."""
_state_values: Final = attrgetter(*STATE_NUMBERS)


class Numbered(Protocol):
    """A state: it has a queue, and the fields that `STATE_NUMBERS` names."""

    queue: Mailboxes


class Transaction:
    """The changes of the message that is being executed; closed between messages, and then everything is final."""

    __slots__ = (
        *("_afterwards", "_changed", "_executing", "_numbers", "_open", "_statuses", "_tell_canister"),
        *("_tell_status", "_touched", "_undo"),
    )

    def __init__(self) -> None:
        self._open = False
        self._numbers: tuple[Any, ...] = ()
        self._touched: list[tuple[CanisterState, tuple[str, ...], tuple[Any, ...]]] = []
        self._statuses: list[tuple[Statuses, bytes, RequestStatus, RequestStatus | None]] = []  # and the former one
        self._changed: list[bytes] = []  # canisters to tell of
        self._tell_status: Callable[[bytes, RequestStatus | None], None] = NOBODY.request_status
        self._tell_canister: Callable[[bytes], None] = NOBODY.canister_changed
        self._undo: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._afterwards: list[Callable[[], object]] = []
        self._executing: Instance | None = None

    def __repr__(self) -> str:
        return f"<Transaction open={self._open} canisters={len(self._touched)}>"

    @property
    def is_open(self) -> bool:
        """Whether `roll_back` can help: a commit that broke off is taken back by nothing."""
        return self._open

    # --- the course of a message -------------------------------------------------------------------------------------

    def begin(self, state: Numbered) -> None:
        """Starts. They don't nest."""
        assert not self._open, "a transaction is open"
        self._numbers = _state_values(state)
        state.queue.mark()
        self._open = True

    def commit(self) -> None:
        """Keeps all changes and tells the listeners. If this raises, memory isn't what it should be."""
        self._open = False
        executing, self._executing = self._executing, None
        if executing is not None:
            executing.conclude(keep=True)
        for _, request_id, status, _ in self._statuses:
            self._tell_status(request_id, status)
        if self._undo or self._changed or self._afterwards:
            for canister_id in self._changed:
                self._tell_canister(canister_id)
            for action in self._afterwards:
                action()
            self._forget()
        else:
            self._touched.clear()
            self._statuses.clear()

    def roll_back(self, state: Numbered) -> None:
        """Makes the state what it was at `begin`. If this raises, it isn't."""
        assert self._open, "there is nothing to take back"
        executing, self._executing = self._executing, None
        if executing is not None:
            executing.conclude(keep=False)
        for undo, arguments in reversed(self._undo):
            undo(*arguments)
        for canister, names, values in reversed(self._touched):
            _assign(canister, names, values)
        for statuses, request_id, _, former in reversed(self._statuses):
            _put_back(statuses, request_id, _NOTHING if former is None else former)
        state.queue.take_back()
        _assign(state, STATE_NUMBERS, self._numbers)
        self._open = False
        self._forget()

    def _forget(self) -> None:
        for noted in (self._touched, self._statuses, self._undo, self._changed, self._afterwards):
            noted.clear()

    # --- what happens meanwhile; at once where no message is executing -----------------------------------------------

    def touch(self, canister: CanisterState) -> None:
        """A canister's fields are about to change."""
        if self._open:
            self._touched.append((canister, _CANISTER_FIELDS, _canister_values(canister)))

    def touch_for_execution(self, canister: CanisterState) -> None:
        """Those of its fields that executing its code changes are; an ordinary message touches no others."""
        if self._open:
            self._touched.append((canister, _EXECUTION_FIELDS, _execution_values(canister)))

    def touch_context(self, context: CallContext) -> None:
        """The fields of a call context that the message didn't open are about to change."""
        if self._open:
            self._undo.append((_assign, (context, _CONTEXT_FIELDS, _context_values(context))))

    def put(self, mapping: MutableMapping[K, V], key: K, value: V) -> None:
        """Sets an entry."""
        if self._open:
            self._undo.append((_put_back, (mapping, key, mapping.get(key, _NOTHING))))
        mapping[key] = value

    def pop(self, mapping: MutableMapping[K, V], key: K, *, in_order: bool = False) -> V | None:
        """Removes an entry, if it is there. `in_order`: a way back restores its place too, at the price of all keys."""
        if self._open and key in mapping:
            self._undo.append((_put_back, (mapping, key, mapping[key], list(mapping) if in_order else None)))
        return mapping.pop(key, None)

    def put_first(self, queue: Mailboxes, task: SystemTask) -> None:
        """Puts a task before the messages that wait for its canister already."""
        if self._open:
            self._undo.append((queue.take_back_first, (task.canister_id,)))
        queue.put_first(task)

    def set_status(self, statuses: Statuses, request_id: bytes, status: RequestStatus) -> None:
        """Sets the status of a request, of which the listeners are told."""
        former = statuses.get(request_id)
        statuses[request_id] = status
        if self._open:
            self._statuses.append((statuses, request_id, status, former))
        else:
            self._tell_status(request_id, status)

    def executes(self, instance: Instance) -> None:
        """An instance is about to execute this message, and will wait to be told whether to keep what it did."""
        assert self._open, "no message is being executed"
        self._executing = instance

    def afterwards(self, action: Callable[[], object]) -> None:
        """Does what can't be taken back, such as closing an instance, once the message is kept."""
        if self._open:
            self._afterwards.append(action)
        else:
            action()

    def otherwise(self, action: Callable[[], object]) -> None:
        """Does this only if the message is taken back."""
        if self._open:
            self._undo.append((action, ()))

    def delayed(self, listeners: Listeners) -> Listeners:
        """Listeners that tell these what a message changed once it is kept; nothing of one that is taken back.

        From here on `set_status` tells `listeners`, too.
        """
        self._tell_status, self._tell_canister = listeners.request_status, listeners.canister_changed

        def canister_changed(canister_id: bytes) -> None:
            if self._open:
                self._changed.append(canister_id)
            else:
                self._tell_canister(canister_id)

        return replace(listeners, canister_changed=canister_changed)


def _assign(owner: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    for name, value in zip(names, values, strict=True):
        setattr(owner, name, value)


def _put_back(mapping: MutableMapping[Any, Any], key: Any, former: Any, order: list[Any] | None = None) -> None:
    if former is _NOTHING:
        del mapping[key]
        return
    mapping[key] = former
    if order is not None:
        entries = dict(mapping)
        mapping.clear()
        mapping.update((key, entries[key]) for key in order)
