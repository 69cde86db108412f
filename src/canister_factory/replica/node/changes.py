"""What changed in the subnet and isn't certified, or told to whoever waits for it, yet.

Owns collecting. Made before the subnet that reports to it, and before the certified view and the rounds that empty it.
"""

from __future__ import annotations

from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.request_status import RequestStatus

__all__ = ["Changes"]


class Changes:
    """A collection of changes.

    Attributes:
        requests: the newest status of each request whose status changed; None: it was pruned.
        canisters: those of which controllers, module or certified data changed, or that were created or deleted.
        finished: requests that were replied or rejected, in order.
    """

    def __init__(self) -> None:
        self.requests: dict[bytes, RequestStatus | None] = {}
        self.canisters: set[bytes] = set()
        self.finished: list[bytes] = []
        self.listeners = Listeners(self.request_changed, self.canisters.add)
        """For the subnet."""

    def __repr__(self) -> str:
        return f"<Changes requests={len(self.requests)} canisters={len(self.canisters)} finished={len(self.finished)}>"

    def __bool__(self) -> bool:
        """Whether there is something that a new certified state would show."""
        return bool(self.requests or self.canisters)

    def request_changed(self, request_id: bytes, status: RequestStatus | None) -> None:
        """A request's status is now this one; None: it was pruned."""
        self.requests[request_id] = status
        if status is not None and status.is_final:
            self.finished.append(request_id)

    def take_finished(self) -> list[bytes]:
        """The requests that finished since the last time this was called."""
        finished, self.finished = self.finished, []
        return finished
