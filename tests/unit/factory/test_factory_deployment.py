"""Bringing a backend to a network: nothing that is there is harmed."""

from __future__ import annotations

import pytest

from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import backend_wasm
from canister_factory.factory.deployment import install_backend, is_backend, upgrade_backend
from canister_factory.factory.errors import InstallError
from support.one_canister import ID, STRANGER, OneCanister, own_canister


async def test_a_backend_is_installed_into_an_empty_canister_of_ones_own_only() -> None:
    init = BackendInit(operators=[])
    with pytest.raises(InstallError, match="not controlled by"):
        await install_backend(OneCanister(STRANGER), ID, init)  # type: ignore[arg-type]
    with pytest.raises(InstallError, match="would destroy its data"):
        await install_backend(own_canister(module=b"m" * 32), ID, init)
    network = own_canister(module=backend_wasm().module_hash)
    assert await install_backend(network, ID, init) is False
    assert network.calls == []
    empty = own_canister()
    assert await install_backend(empty, ID, init) is True
    assert empty.calls == ["install_code"]


async def test_only_an_older_backend_is_upgraded() -> None:
    other = own_canister(module=b"m" * 32, interface=b"service : { greet : () -> () }")
    assert not await is_backend(other, ID)
    with pytest.raises(InstallError, match="not a backend by its interface"):
        await upgrade_backend(other, ID)
    with pytest.raises(InstallError, match="no module yet"):
        await upgrade_backend(own_canister(), ID)
    assert other.calls == []
    older = own_canister(module=b"m" * 32, interface=b"service : { add_operator : () -> () }")
    with pytest.raises(InstallError, match="somebody else may have changed it"):
        await upgrade_backend(older, ID)
    assert older.calls == ["install_code"]
    assert not (await upgrade_backend(own_canister(module=backend_wasm().module_hash), ID)).changed
