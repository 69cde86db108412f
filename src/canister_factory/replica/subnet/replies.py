"""How many bytes of answers to users are kept, and which go first.

Owns that bound. Does not own how long statuses are kept (`upkeep`).

Source: interface specification, "Request: Read state": a replica may forget an answer before the status of its request,
which is "done" from then on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import RequestState, RequestStatus
from canister_factory.replica.subnet.state import SubnetState

MAX_REPLY_BYTES: Final = 128 << 20
_LEFT_BY_PRUNING: Final = MAX_REPLY_BYTES * 9 // 10  # so that not every answer makes somebody look for another


def _size(status: RequestStatus | None) -> int:
    response = None if status is None else status.response
    return 0 if response is None else len(response.data) + len(response.message)


class Replies:
    """The answers in a state, as far as their size goes. Derived from the state; told of each change by a listener."""

    def __init__(self, state: SubnetState) -> None:
        self._state = state
        self._sizes = {request_id: size for request_id, status in state.statuses.items() if (size := _size(status))}
        self.size_bytes = sum(self._sizes.values())

    def __repr__(self) -> str:
        return f"<Replies answers={len(self._sizes)} size_bytes={self.size_bytes}>"

    def listening(self, listeners: Listeners) -> Listeners:
        """Listeners that are told what these are told, after this."""

        def request_status(request_id: bytes, status: RequestStatus | None) -> None:
            size = _size(status)
            self.size_bytes += size - self._sizes.pop(request_id, 0)
            if size:
                self._sizes[request_id] = size
            listeners.request_status(request_id, status)

        return replace(listeners, request_status=request_status)

    def prune(self, listeners: Listeners) -> bool:
        """Forgets the answers to the requests that came first, where there are too many bytes; whether it did."""
        if self.size_bytes <= MAX_REPLY_BYTES:
            return False
        statuses = self._state.statuses
        for request_id, status in statuses.items():  # in order of arrival; the keys stay
            if request_id in self._sizes:
                done = statuses[request_id] = RequestStatus(RequestState.DONE, status.origin)
                listeners.request_status(request_id, done)
                if self.size_bytes <= _LEFT_BY_PRUNING:
                    break
        return True
