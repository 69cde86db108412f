"""How an operator handles a canister: what is believed of it, and that nothing harms one that isn't as expected."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import PersonalCanisterSettings
from canister_factory.contract.import_models import PersonalInit
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import CreateError, HandoffError, InstallError
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.ic.errors import RejectedError
from support.one_canister import ID, OWNER, STRANGER, own_canister

BACKEND = Principal(bytes(7) + b"\x01\x01\x01")
HOSTING = PersonalCanisterSettings(freezing_threshold=7_776_000, wasm_memory_limit=3 << 30)


def personal(agent: Any) -> PersonalCanister:
    return PersonalCanister(agent, ID, OWNER, Retry(FactoryConfig()))


async def test_handed_over_is_what_the_owner_alone_controls_and_never_ones_own() -> None:
    network = own_canister(OWNER)
    canister = personal(network)
    assert not canister.is_handed_over(await canister.info())
    network.controllers = (OWNER,)
    assert canister.is_handed_over(await canister.info())
    mine = PersonalCanister(network, ID, network.me, Retry(FactoryConfig()))
    network.controllers = (network.me,)
    assert not mine.is_handed_over(await mine.info())


@pytest.mark.parametrize("others", [(), (STRANGER,), (OWNER, STRANGER)])
async def test_nothing_is_done_to_a_canister_with_unexpected_controllers(others: tuple[Principal, ...]) -> None:
    network = own_canister(*others)
    canister = personal(network)
    init = PersonalInit(owner=OWNER, backend=BACKEND)
    info = await canister.info()
    for act in (
        lambda: canister.install(personal_wasm(), init, [], info),
        lambda: canister.start_over(personal_wasm(), init, []),
        lambda: canister.clean_up(BACKEND),
    ):
        with pytest.raises(CreateError, match="must be exactly operator and owner"):
            await act()
    with pytest.raises(CreateError, match="must be exactly operator and owner"):
        await canister.hand_over(await canister.info(), HOSTING, None)
    assert network.calls == []


async def test_a_module_that_is_not_approved_is_not_installed() -> None:
    network = own_canister(OWNER)
    init = PersonalInit(owner=OWNER, backend=BACKEND)
    with pytest.raises(InstallError, match="not an approved release"):
        await personal(network).install(personal_wasm(), init, [], await personal(network).info())
    with pytest.raises(InstallError, match="not an approved release"):
        await personal(network).start_over(personal_wasm(), init, [])
    assert network.calls == []


async def test_a_handoff_that_changed_nothing_is_no_success() -> None:
    network = own_canister(OWNER, module=b"m" * 32)
    canister = personal(network)
    await canister.hand_over(await canister.info(), HOSTING, None)
    with pytest.raises(HandoffError, match="after the handoff"):
        await canister.handed_over()
    assert network.calls == ["update_settings"]
    network.refusal = RejectedError(5, "no", certified=True)
    network.refusal.note_call("update_settings", Principal.management_canister(), b"id")
    with pytest.raises(HandoffError, match="could not be set") as caught:
        await canister.hand_over(await canister.info(), HOSTING, None)
    assert caught.value.retry_helps
    assert (caught.value.method, caught.value.canister_id, caught.value.request_id) == ("update_settings", ID, b"id")


async def test_a_network_that_refuses_a_viewer_is_asked_without_one() -> None:
    network = own_canister(OWNER, module=b"m" * 32)

    async def refusing_the_first(canister_id: Any, method: str, arg: bytes, **where: Any) -> bytes:
        network.calls.append(method)
        if len(network.calls) == 1:
            raise RejectedError(5, "no such setting", certified=True)
        network.controllers = (OWNER,)
        return encode([], [])

    network.update = refusing_the_first
    canister = personal(network)
    await canister.hand_over(await canister.info(), HOSTING, None, BACKEND)
    assert ((await canister.handed_over()).controllers, network.calls) == ((OWNER,), ["update_settings"] * 2)


async def test_a_canister_whose_module_was_uninstalled_is_not_handed_over() -> None:
    network = own_canister(OWNER)
    canister = personal(network)
    with pytest.raises(HandoffError, match="has no module any more") as caught:
        await canister.hand_over(await canister.info(), HOSTING, None)
    assert caught.value.retry_helps
    assert network.calls == []
