"""The failure of a subnet whose memory is no longer what its journal says."""

from __future__ import annotations

from canister_factory.base_error import CanisterFactoryError


class SubnetBrokenError(CanisterFactoryError):
    """A round was left half executed, or couldn't be written; a restart goes on from the last durable round."""

    def __init__(self) -> None:
        super().__init__("a round broke off (see the log): restart the replica to go on")
