"""Wherever an id is wanted, a principal and its text form do the same; text that is none is refused with the reason."""

from __future__ import annotations

from typing import Any

import ic.principal
import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError, PrincipalError
from canister_factory.candid.principal import Principal, as_principal
from canister_factory.candid.types import NULL, PRINCIPAL, Record, Service
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.deployment import (
    deploy_backend,
    fill_reserve,
    fund,
    install_backend,
    upgrade_backend,
)
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.requests import CallRequest, QueryRequest
from support.ic_test_support import CANISTER, FakeNetwork

TEXT = str(CANISTER)
MISTYPED = "a" + TEXT[1:]


@pytest.mark.parametrize("value", [CANISTER, TEXT, TEXT.upper(), ic.principal.Principal(CANISTER.bytes)])
def test_all_forms_of_an_id_are_the_same_principal(value: Any) -> None:
    assert type(as_principal(value)) is Principal
    assert as_principal(value) == CANISTER


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (MISTYPED, f"'{MISTYPED}' is not a principal: its checksum is wrong, a character was mistyped"),
        ("", "'' is not a principal: too short to hold a checksum"),
        (5, "expected a principal or its text form, got int"),
        (None, "expected a principal or its text form, got NoneType"),
    ],
)
def test_what_is_no_id_is_refused_with_the_reason(value: Any, words: str) -> None:
    with pytest.raises(PrincipalError) as caught:
        as_principal(value)
    assert str(caught.value) == words


@pytest.mark.parametrize("expected", [PRINCIPAL, Service({})])
def test_the_codec_takes_the_text_of_a_principal(expected: Any) -> None:
    assert encode([expected], [TEXT]) == encode([expected], [CANISTER])


def test_wrong_text_inside_an_argument_is_refused_with_its_place() -> None:
    with pytest.raises(EncodeError) as caught:
        encode([Record({"owner": PRINCIPAL, "none": NULL})], [{"owner": MISTYPED}])
    assert str(caught.value).startswith(f"argument 0.owner: '{MISTYPED}' is not a principal: its checksum is wrong")


async def test_the_agent_takes_text_and_refuses_wrong_text_before_it_sends(agent: Agent, net: FakeNetwork) -> None:
    assert await agent.update(TEXT, "add", b"1") == b"reply to 1"
    assert await agent.query(TEXT, "add", b"1") == b"reply to 1"
    sent = len(net.requests)
    for refused in (
        agent.update(MISTYPED, "add", b""),
        agent.query(MISTYPED, "add", b""),
        agent.read_state(MISTYPED, [[b"time"]]),
        agent.canister_info(MISTYPED),
        agent.metadata(MISTYPED, "candid:service"),
        ManagementCanister(agent).start_canister(MISTYPED),
        Orchestrator(agent, CANISTER).run(MISTYPED),
        deploy_backend(agent, [MISTYPED]),
        install_backend(agent, MISTYPED),
        upgrade_backend(agent, MISTYPED),
        fund(agent, MISTYPED, 1),
        fill_reserve(agent, MISTYPED, 1),
    ):
        with pytest.raises(PrincipalError, match="its checksum is wrong"):
            await refused
    assert len(net.requests) == sent


async def test_clients_take_text_as_their_canister_and_as_an_argument(agent: Agent, net: FakeNetwork) -> None:
    sent: list[bytes] = []

    def canister(request: CallRequest | QueryRequest) -> bytes:
        sent.append(request.arg)
        service = BackendClient.interface().service
        assert service is not None
        (result,) = service.method("get_personal_canister_id").results
        return encode([result], [None])

    net.canister = canister
    backend = BackendClient(agent, TEXT)
    assert backend.canister_id == CANISTER
    await backend.get_personal_canister_id(TEXT)
    await backend.get_personal_canister_id(CANISTER)
    assert sent == [encode([PRINCIPAL], [CANISTER])] * 2
    with pytest.raises(PrincipalError, match="its checksum is wrong"):
        BackendClient(agent, MISTYPED)
    with pytest.raises(EncodeError, match="its checksum is wrong"):
        await backend.get_personal_canister_id(MISTYPED)


def test_the_orchestrator_takes_the_backends_id_as_text(agent: Agent) -> None:
    assert Orchestrator(agent, TEXT).backend.canister_id == CANISTER
    with pytest.raises(PrincipalError, match="its checksum is wrong"):
        Orchestrator(agent, MISTYPED)
