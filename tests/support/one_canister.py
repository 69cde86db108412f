"""A network with one canister: what it certifies of it, and the calls of the management canister."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity

ID = Principal(bytes(8) + b"\x01\x01")
OWNER, STRANGER = Identity.generate().sender(), Identity.generate().sender()


class OneCanister:
    """An agent on a network with one canister; keeps the calls of the management canister, and may refuse them."""

    root_key = b"k" * 133

    def __init__(
        self, *controllers: Principal, module: bytes | None = None, interface: bytes = b"", stable_types: bytes = b""
    ) -> None:
        self.identity = Identity.generate()
        self.me = self.identity.sender()
        self.controllers = controllers
        self.module = module
        self.sections = {"candid:service": interface, "motoko:stable-types": stable_types}
        self.calls: list[str] = []
        self.refusal: RejectedError | None = None

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        return CanisterInfo(tuple(self.controllers), self.module)

    async def metadata(self, canister_id: Principal, name: str) -> bytes | None:
        return self.sections[name] or None

    async def update(self, canister_id: Any, method: str, arg: bytes, **where: Any) -> bytes:
        self.calls.append(method)
        if self.refusal is not None:
            raise self.refusal
        return encode([], [])


def own_canister(*others: Principal, **facts: Any) -> Any:
    """One whose canister is controlled by the caller and by others."""
    network = OneCanister(**facts)
    network.controllers = (network.me, *others)
    return network
