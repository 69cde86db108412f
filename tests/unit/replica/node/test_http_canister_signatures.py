"""Requests of users for whom a passkey or a canister signs, as Internet Identity does: alone, by delegations, with what
the canister says of them (`sender_info`).
"""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.ic.envelope import DELEGATION_DOMAIN
from canister_factory.ic.request_id import hash_of_map
from support.canister_signing import CanisterSigned, canister_signature
from support.http_api_network import call
from support.passkey import Passkey
from support.replica_http_support import MINUTE, NOW, OTHER, Caller, Network, decoded, url

INFO = b"attributes of the sender"


def session(root: CanisterSigned) -> Caller:
    key = Caller()
    delegation = {"pubkey": key.public_key, "expiration": NOW + 60 * MINUTE}
    signature = canister_signature(root.key, DELEGATION_DOMAIN + hash_of_map(delegation))
    return Caller(key.secret, [{"delegation": delegation, "signature": signature}], root.public_key)


async def test_a_canister_signs_requests() -> None:
    async with Network() as network:
        await call(network, CanisterSigned(), arg=b"signed by a canister")
        assert network.subnet.text == b"signed by a canister"


async def test_a_passkey_signs_requests() -> None:
    async with Network() as network:
        await call(network, Passkey(), arg=b"signed by a passkey")
        assert network.subnet.text == b"signed by a passkey"


async def test_a_canister_signs_the_delegation_to_a_session_key() -> None:
    root = CanisterSigned()
    async with Network() as network:
        await call(network, session(root), arg=b"from a session")
        (status,) = network.subnet.request_statuses.values()
        assert status.origin.sender == root.principal


async def test_a_signature_for_something_else_is_refused() -> None:
    class Forger(CanisterSigned):
        def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
            return super().sign(b"something else")

    async with Network() as network:
        answer = await network.post(url(4, "call"), Forger(), request_type="call", method_name="append")
        assert answer[0] == 400
        assert b"canister signature" in answer[2]


@pytest.mark.parametrize("caller", [CanisterSigned(), session(CanisterSigned())], ids=["signed", "delegated"])
async def test_what_the_signing_canister_says_of_the_sender_is_handed_on(caller: Any) -> None:
    async with Network() as network:
        info = CanisterSigned().sender_info(INFO)
        await call(network, caller, sender_info=info, method_name="info")
        assert network.subnet.text == INFO + info["signer"]
        query = {"request_type": "query", "method_name": "info", "sender_info": info}
        answer = decoded(await network.post(url(3, "query"), caller, **query))
        assert answer["reply"]["arg"] == INFO + info["signer"]


@pytest.mark.parametrize("changes", [{"info": b"forged"}, {"signer": OTHER}, {"sig": b"none"}])
async def test_forged_information_is_refused(changes: dict[str, bytes]) -> None:
    caller = CanisterSigned()
    async with Network() as network:
        content = {"request_type": "call", "method_name": "append"}
        info = {**caller.sender_info(INFO), **changes}
        assert (await network.post(url(4, "call"), caller, sender_info=info, **content))[0] == 400
        assert network.subnet.request_statuses == {}
