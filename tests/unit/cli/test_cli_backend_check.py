"""What is said of a canister that can't be looked at: refusals that an embedded replica doesn't give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.backend_check import NotABackendError, require_backend, why_no_backend
from canister_factory.cli.failures import words_of
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import CertificateScopeError, ProtocolError

ID = Principal(bytes(7) + b"\x05\x01\x01")


class Network:
    """Refuses to show interfaces with `refusal`, and certifies that there is a module."""

    def __init__(self, refusal: Exception) -> None:
        self.network = SimpleNamespace(url="http://127.0.0.1:1")
        self._refusal = refusal

    async def metadata(self, canister_id: Principal, name: str) -> bytes:
        raise self._refusal

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        return CanisterInfo((), b"\x01" * 32)


def agent(refusal: Exception) -> Any:
    return Network(refusal)


async def test_a_canister_that_keeps_its_interface_private_is_no_backend() -> None:
    why = await why_no_backend(agent(ProtocolError("HTTP 403", status=403)), ID)
    assert why == f"{ID} is not a backend, by its certified interface"


async def test_an_id_of_another_subnet_is_told_as_no_canister_of_this_network() -> None:
    with pytest.raises(NotABackendError, match=f"there is no canister {ID} on http://127.0.0.1:1"):
        await require_backend(agent(CertificateScopeError("not within the subnet's ranges")), ID)


async def test_a_request_that_the_network_refuses_asks_whether_it_is_the_id() -> None:
    """A refusal has no code that tells a wrong id from a wrong clock, so neither is claimed."""
    with pytest.raises(ProtocolError) as caught:
        await require_backend(agent(ProtocolError("HTTP 400: canister_not_found", status=400)), ID)
    assert words_of(caught.value) == (
        f"HTTP 400: canister_not_found. Is {ID} the id of a canister on http://127.0.0.1:1? If not, give the id of a "
        "backend ('canister-factory deploy' creates one)"
    )
