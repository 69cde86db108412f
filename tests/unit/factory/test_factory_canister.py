"""How an operator handles a canister: what is believed of it, and that nothing harms one that isn't as expected."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.reserve_models import BackendInit
from canister_factory.factory.canister import PersonalCanister
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import install_backend, is_backend, upgrade_backend
from canister_factory.factory.errors import CreateError, HandoffError, InstallError
from canister_factory.factory.retry import Retry
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.facts import CanisterInfo
from canister_factory.ic.identity import Identity

ID, BACKEND = Principal(bytes(8) + b"\x01\x01"), Principal(bytes(7) + b"\x01\x01\x01")
OWNER, STRANGER = Identity.generate().sender(), Identity.generate().sender()


class Network:
    """An agent on a network with one canister; keeps the calls of the management canister, and may refuse them."""

    def __init__(self, *controllers: Principal, module: bytes | None = None, interface: bytes = b"") -> None:
        self.identity = Identity.generate()
        self.me = self.identity.sender()
        self.controllers = controllers
        self.module = module
        self.interface = interface
        self.calls: list[str] = []
        self.refusal: RejectedError | None = None

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        return CanisterInfo(tuple(self.controllers), self.module)

    async def metadata(self, canister_id: Principal, name: str) -> bytes | None:
        return self.interface or None

    async def update(self, canister_id: Any, method: str, arg: bytes, **where: Any) -> bytes:
        self.calls.append(method)
        if self.refusal is not None:
            raise self.refusal
        return encode([], [])


def personal(network: Any) -> PersonalCanister:
    return PersonalCanister(network, ID, OWNER, Retry(FactoryConfig()))


def network(*others: Principal, **facts: Any) -> Any:
    """One whose canister is controlled by the caller and by others."""
    made = Network(**facts)
    made.controllers = (made.me, *others)
    return made


async def test_handed_over_is_what_the_owner_alone_controls_and_never_ones_own() -> None:
    there = network(OWNER)
    canister = personal(there)
    assert not canister.is_handed_over(await canister.info())
    there.controllers = (OWNER,)
    assert canister.is_handed_over(await canister.info())
    mine = PersonalCanister(there, ID, there.me, Retry(FactoryConfig()))
    there.controllers = (there.me,)
    assert not mine.is_handed_over(await mine.info())


@pytest.mark.parametrize("others", [(), (STRANGER,), (OWNER, STRANGER)])
async def test_nothing_is_done_to_a_canister_with_unexpected_controllers(others: tuple[Principal, ...]) -> None:
    there = network(*others)
    canister = personal(there)
    for act in (
        lambda: canister.install(personal_wasm(), PersonalInit(owner=OWNER, backend=BACKEND), []),
        canister.start_over,
        canister.clean_up,
    ):
        with pytest.raises(CreateError, match="must be exactly operator and owner"):
            await act()
    with pytest.raises(CreateError, match="must be exactly operator and owner"):
        await canister.hand_over(b"m" * 32)
    assert there.calls == []


async def test_a_module_that_is_not_approved_is_not_installed() -> None:
    there = network(OWNER)
    with pytest.raises(InstallError, match="not an approved release"):
        await personal(there).install(personal_wasm(), PersonalInit(owner=OWNER, backend=BACKEND), [])
    assert there.calls == []


async def test_a_handoff_that_changed_nothing_is_no_success() -> None:
    there = network(OWNER, module=b"m" * 32)
    with pytest.raises(HandoffError, match="after the handoff"):
        await personal(there).hand_over(b"m" * 32)
    assert there.calls == ["update_settings"]
    there.refusal = RejectedError(5, "no", certified=True)
    with pytest.raises(HandoffError, match="could not be set") as caught:
        await personal(there).hand_over(b"m" * 32)
    assert caught.value.retry_helps


async def test_a_backend_is_installed_into_an_empty_canister_of_ones_own_only() -> None:
    init = BackendInit(operators=[])
    with pytest.raises(InstallError, match="not controlled by"):
        await install_backend(Network(STRANGER), ID, init)  # type: ignore[arg-type]
    with pytest.raises(InstallError, match="would destroy its data"):
        await install_backend(network(module=b"m" * 32), ID, init)
    there = network(module=backend_wasm().module_hash)
    assert await install_backend(there, ID, init) is False
    assert there.calls == []
    empty = network()
    assert await install_backend(empty, ID, init) is True
    assert empty.calls == ["install_code"]


async def test_only_an_older_backend_is_upgraded() -> None:
    other = network(module=b"m" * 32, interface=b"service : { greet : () -> () }")
    assert not await is_backend(other, ID)
    with pytest.raises(InstallError, match="not a backend by its interface"):
        await upgrade_backend(other, ID)
    with pytest.raises(InstallError, match="no module yet"):
        await upgrade_backend(network(), ID)
    assert other.calls == []
    older = network(module=b"m" * 32, interface=b"service : { add_operator : () -> () }")
    with pytest.raises(InstallError, match="somebody else may have changed it"):
        await upgrade_backend(older, ID)
    assert older.calls == ["install_code"]
    assert not (await upgrade_backend(network(module=backend_wasm().module_hash), ID)).changed
