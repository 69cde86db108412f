"""The cycles minting canister, as far as it says where canisters are created. There is no ICP here to mint from."""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters.interface import SystemCanister

CYCLES_MINTING = Principal.from_str("rkp4c-7iaaa-aaaaa-aaaca-cai").bytes


def _default_subnets(subnet: Subnet, request: Request) -> list[Principal]:
    """The subnets on which anybody's canisters are created: the only one."""
    return [Principal(subnet.id)]


MINTING = SystemCanister(CYCLES_MINTING, "cycles_minting.did", {"get_default_subnets": _default_subnets})
