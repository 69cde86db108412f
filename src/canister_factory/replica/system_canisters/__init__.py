"""The canisters of the Internet Computer's other subnets that tools call: parts of this replica, written in Python.

Owns which there are. What they do is in their modules; each module's opening says how far it is emulated.
"""

from __future__ import annotations

from canister_factory.replica.subnet.subnet import Builtin
from canister_factory.replica.system_canisters.cycles_ledger import LEDGER
from canister_factory.replica.system_canisters.cycles_minting import MINTING

__all__ = ["builtins"]


def builtins() -> dict[bytes, Builtin]:
    """The system canisters by id, for `Subnet`."""
    return {canister.id: canister.builtin() for canister in (LEDGER, MINTING)}
