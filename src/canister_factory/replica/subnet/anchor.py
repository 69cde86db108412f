"""Going back: an anchor remembers the subnet's state, `revert` makes it that again, as if nothing had happened since.

Owns the copies of plain data, and the order of anchors. Memories keep what is overwritten by themselves
(`runtime.undo`), so an anchor costs a few microseconds for each canister, and then what is written.

Everything of `SubnetState` goes back, its time too: no canister that is left has seen a later one. A canister that was
deleted or got new code since is the former one again. The same ids, random numbers and request ids come again.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from typing import Any, Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.mailboxes import Mailboxes
from canister_factory.replica.subnet.messages import CallContext
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.statuses import Statuses

_CANISTER_FIELDS: Final = tuple(field.name for field in fields(CanisterState))
_STATE_FIELDS: Final = tuple(field.name for field in fields(SubnetState))
# Of the values in the containers of the state, these change in place; all others are replaced by new ones.
_CHANGING: Final = frozenset({CallContext})


class AnchorError(CanisterFactoryError):
    """The subnet can't be anchored, or not be reverted to this anchor; the message says why."""


@dataclass(frozen=True, slots=True)
class _CanisterAnchor:
    canister: CanisterState
    values: tuple[Any, ...]  # of _CANISTER_FIELDS
    instance: Instance | None
    stable: StableMemory


class Anchor:
    """A state to which a subnet can go back; from `Subnet.anchor`."""

    __slots__ = ("_canisters", "_values")

    def __init__(self, state: SubnetState) -> None:
        self._values = _values(state, _STATE_FIELDS)
        self._canisters = tuple(
            _CanisterAnchor(canister, _values(canister, _CANISTER_FIELDS), canister.instance, canister.stable)
            for canister in state.canisters.values()
        )
        for anchored in self._canisters:
            if anchored.instance is not None:
                anchored.instance.anchor()
            anchored.stable.anchor()

    def __repr__(self) -> str:
        return f"<Anchor canisters={len(self._canisters)} copied_bytes={self.copied_bytes}>"

    @property
    def copied_bytes(self) -> int:
        """What this anchor and those around it keep of memories: the blocks of 4 KiB that were written since."""
        return sum(
            anchored.stable.copied_bytes + (anchored.instance.copied_bytes if anchored.instance is not None else 0)
            for anchored in self._canisters
        )

    def revert(self, state: SubnetState) -> None:
        """Makes the state what it was. To be called once."""
        kept = {id(anchored.instance) for anchored in self._canisters}
        for canister in state.canisters.values():
            if canister.instance is not None and id(canister.instance) not in kept:
                canister.instance.close()
        _put(state, _STATE_FIELDS, self._values)
        for anchored in self._canisters:
            _put(anchored.canister, _CANISTER_FIELDS, anchored.values)
            if anchored.instance is not None:
                anchored.instance.revert()
            anchored.stable.revert()

    def release(self) -> None:
        """Leaves the state as it is. To be called once."""
        for anchored in self._canisters:
            if anchored.instance is not None:
                anchored.instance.release()
            anchored.stable.release()


class Anchors:
    """The open anchors of one subnet; each lies within those before it.

    Args:
        durable: the state is kept on disk, which nothing is taken back from: anchors are refused.
    """

    def __init__(self, state: SubnetState, calls: Calls, listeners: Listeners, *, durable: bool) -> None:
        self._state = state
        self._calls = calls
        self._listeners = listeners
        self._durable = durable
        self._open: list[Anchor] = []

    def __repr__(self) -> str:
        return f"<Anchors open={len(self._open)}>"

    def take(self) -> Anchor:
        """An anchor at the present state.

        Raises:
            AnchorError: the state is durable.
        """
        if self._durable:
            raise AnchorError(
                "a replica with a state directory can't be anchored, since what is on disk isn't taken back: start it "
                "without one"
            )
        anchor = Anchor(self._state)
        self._open.append(anchor)
        return anchor

    def revert(self, anchor: Anchor) -> None:
        """Goes back to an open anchor, which ends with those inside of it. Listeners are told of what is different."""
        state = self._state
        statuses = state.statuses
        seen = {canister_id: _appearance(canister) for canister_id, canister in state.canisters.items()}
        innermost = None
        while innermost is not anchor:
            innermost = self._open.pop()
            innermost.revert(state)
        self._calls.rebuild()
        for request_id in statuses.keys() - state.statuses.keys():
            self._listeners.request_status(request_id, None)
        for request_id, status in state.statuses.items():
            if statuses.get(request_id) != status:
                self._listeners.request_status(request_id, status)
        now = {canister_id: _appearance(canister) for canister_id, canister in state.canisters.items()}
        for canister_id in seen.keys() | now.keys():
            if seen.get(canister_id) != now.get(canister_id):
                self._listeners.canister_changed(canister_id)

    def release(self, anchor: Anchor) -> None:
        """Ends an anchor, and those inside of it, without going back.

        Raises:
            AnchorError: the anchor isn't open.
        """
        self.require_open(anchor)
        innermost = None
        while innermost is not anchor:
            innermost = self._open.pop()
            innermost.release()

    def require_open(self, anchor: Anchor) -> None:
        """Refuses an anchor that has ended.

        Raises:
            AnchorError: it was reverted or released, or one around it was.
        """
        if anchor not in self._open:
            raise AnchorError("this anchor has ended: it was reverted or released, or one around it was")


def _appearance(canister: CanisterState) -> tuple[object, ...]:
    """What the certified state shows of a canister."""
    return canister.settings.controllers, canister.module, canister.certified_data


def _values(owner: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([_copied(getattr(owner, name)) for name in names])


def _put(owner: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    for name, value in zip(names, values, strict=True):
        setattr(owner, name, value)


def _copied(value: Any) -> Any:
    """The value, or a copy of a container that its owner changes."""
    kind = type(value)
    if kind is Mailboxes or kind is Statuses:
        return value.copied()
    if kind is dict:
        if value and type(next(iter(value.values()))) in _CHANGING:
            return {key: copy(item) for key, item in value.items()}
        return value.copy()
    return value.copy() if kind is list else value
