"""A subnet's whole state as values, and what a listener knows of it."""

from __future__ import annotations

from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.request_status import RequestStatus
from canister_factory.replica.subnet.subnet import Subnet


def everything(subnet: Subnet) -> object:
    """The whole state as values: the plain part as a checkpoint has it, modules and memories."""
    memories = {
        canister.id: (
            canister.module and canister.module.hash,
            canister.instance and canister.instance.export_state(),
            canister.stable.export_state(),
        )
        for canister in subnet.canisters.values()
    }
    return encode_state(subnet.state), list(subnet.state.statuses.contents.values()), memories


def _appearance(canister: CanisterState) -> object:
    return canister.settings.controllers, canister.module, canister.certified_data


class Follower:
    """Knows a subnet from its listeners alone, as the certified state does."""

    def __init__(self) -> None:
        self.listeners = Listeners(self._status, self._canister)
        self._subnet: Subnet | None = None
        self.statuses: dict[bytes, RequestStatus] = {}
        self.canisters: dict[bytes, object] = {}

    def follow(self, subnet: Subnet) -> None:
        self._subnet = subnet
        self.statuses = dict(subnet.state.statuses)
        self.canisters = {known.id: _appearance(known) for known in subnet.canisters.values()}

    def _status(self, request_id: bytes, status: RequestStatus | None) -> None:
        if status is None:
            self.statuses.pop(request_id, None)
        else:
            self.statuses[request_id] = status

    def _canister(self, canister_id: bytes) -> None:
        if self._subnet is None:
            return
        found = self._subnet.canisters.get(canister_id)
        self.canisters.pop(canister_id, None)
        if found is not None:
            self.canisters[canister_id] = _appearance(found)

    def agrees(self) -> bool:
        assert self._subnet is not None
        canisters = {known.id: _appearance(known) for known in self._subnet.canisters.values()}
        return self.canisters == canisters and self.statuses == self._subnet.state.statuses
