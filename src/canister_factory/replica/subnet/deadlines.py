"""When calls with best-effort responses are given up, in the order of time, and until when a user's call may begin.

Owns the order. Derived from the pending calls, so that no checkpoint stores it. Does not own the calls (`calls`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.messages import FromIngress, PendingCall, Request
from canister_factory.replica.subnet.state import SubnetState


def require_unexpired(request: Request, now_ns: int) -> None:
    """Refuses a user's message that waited for its execution beyond its `ingress_expiry`.

    Raises:
        CanisterError: IC0202, it did.
    """
    if isinstance(request.origin, FromIngress) and request.origin.expiry_ns < now_ns:
        raise CanisterError(
            RejectCode.SYS_TRANSIENT, f"The call of {request.method} expired while it waited to be executed.", "IC0202"
        )


class Deadlines:
    """The deadlines of a state's pending calls."""

    def __init__(self, state: SubnetState) -> None:
        self._state = state
        self._heap: list[tuple[int, bytes, int]] = []  # time, canister, call
        self.rebuild()

    def __repr__(self) -> str:
        return f"<Deadlines calls={len(self._heap)} next_ns={self.next_ns}>"

    def rebuild(self) -> None:
        """Starts over from the state, which was replaced."""
        self._heap = [
            (pending.deadline_ns, canister.id, pending.id)
            for canister in self._state.canisters.values()
            for pending in canister.pending_calls.values()
            if pending.deadline_ns
        ]
        heapq.heapify(self._heap)

    def add(self, canister: CanisterState, pending: PendingCall) -> None:
        """Notes a call; one without a deadline waits for its response however long that takes."""
        if pending.deadline_ns:
            heapq.heappush(self._heap, (pending.deadline_ns, canister.id, pending.id))

    @property
    def next_ns(self) -> int | None:
        """The earliest deadline, nanoseconds since 1970, perhaps of a call that was answered already."""
        return self._heap[0][0] if self._heap else None

    def take_expired(self, now_ns: int) -> Iterator[tuple[bytes, int]]:
        """(canister id, call id) of the calls that are still open at their deadline."""
        while self._heap and self._heap[0][0] <= now_ns:
            _, canister_id, call_id = heapq.heappop(self._heap)
            canister = self._state.canisters.get(canister_id)
            if canister is not None and call_id in canister.pending_calls:
                yield canister_id, call_id
