"""Bringing a backend to a network: nothing that is there is harmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.binding import candid_type, from_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import AlertLevel, BackendInit, ReserveSettings, ReserveStatus
from canister_factory.contract.artifacts import backend_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    Admission,
    CreationErrorKind,
    CreationLimits,
    PersonalCanisterSettings,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.quota_models import Quotas, Usage
from canister_factory.factory.deployment import (
    apply_init,
    backend_upgrading,
    fill_reserve,
    install_backend,
    is_backend,
    upgrade_backend,
)
from canister_factory.factory.errors import InstallError, PriceTableError
from canister_factory.factory.funding import DEAREST_PRICES
from canister_factory.ic.management_types import ProvisionalTopUp
from support.backend_script import BACKEND, OWNER, BackendScript, refusal
from support.one_canister import ID, STRANGER, OneCanister, own_canister

DIST = Path(__file__).resolve().parents[3] / "canisters" / "dist"


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
    assert repr(await backend_upgrading(older, ID)).startswith(f"Upgrading({ID} to WasmModule(backend")
    assert older.calls == []


async def test_a_backend_that_keeps_contents_in_its_heap_is_refused_by_name() -> None:
    heap = b"type Chunk__968063078 = {bytes : Blob; sha256 : Blob};"
    facts = {"module": b"m" * 32, "interface": b"service : { add_operator : () -> () }"}
    before = own_canister(**facts, stable_types=heap)
    with pytest.raises(InstallError, match=rf"the backend {ID} is of a build before 0\.1\.0 .* contents in its heap"):
        await upgrade_backend(before, ID)
    assert before.calls == []
    present = own_canister(**facts, stable_types=(DIST / "backend.most").read_bytes())
    assert repr(await backend_upgrading(present, ID)).startswith(f"Upgrading({ID} ")


SETTINGS = ReserveSettings(
    threshold=5,
    operating_minimum=2,
    funded_days=1,
    prices=DEAREST_PRICES,
    cycles_per_day=1,
)


class Backend(BackendScript):
    """A backend that was installed before, with an operator; keeps what changes it."""

    def __init__(self, available: int = 0) -> None:
        self.available = available
        self.changes: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    async def update(self, canister_id: Any, method: str, arg: bytes, **where: Any) -> bytes:
        if method == "provisional_top_up_canister":
            (paid,) = decode(arg, [candid_type(ProvisionalTopUp)])
            paid = from_candid(ProvisionalTopUp, paid)
            self.changes.append((method, paid.canister_id, paid.amount))
            return encode([], [])
        return await super().update(canister_id, method, arg)

    query = update

    async def list_operators(self) -> list[Principal]:
        return [OWNER]

    async def list_admins(self) -> list[Principal]:
        return []

    async def add_operator(self, who: Principal) -> None:
        self.changes.append(("add_operator", who))

    async def add_admin(self, who: Principal) -> None:
        self.changes.append(("add_admin", who))

    async def set_personal_canister_creation_enabled(self, enabled: bool) -> None:
        self.changes.append(("enabled", enabled))

    async def set_reserve_settings(self, settings: ReserveSettings) -> None:
        self.changes.append(("reserve", settings))

    async def set_creation_limits(self, limits: CreationLimits) -> None:
        self.changes.append(("limits", limits))

    async def set_quotas(self, quotas: Quotas) -> None:
        self.changes.append(("quotas", quotas))

    async def set_admission(self, admission: Admission) -> None:
        self.changes.append(("admission", admission))

    async def set_personal_canister_settings(self, settings: PersonalCanisterSettings) -> None:
        self.changes.append(("canisters", settings))

    async def get_reserve_status(self) -> ReserveStatus:
        if self.error:
            raise self.error
        return ReserveStatus(
            balance=0,
            available=self.available,
            in_flight=0,
            frozen=0,
            alert_level=AlertLevel.Normal,
            settings=SETTINGS,
            total_consumed=0,
            spent_in_day=0,
            total_topped_up=0,
            recommended_top_up=0,
        )


async def test_a_backend_gets_what_an_init_gives_and_it_lacks() -> None:
    network, limits = Backend(), CreationLimits(max_in_progress=1, max_per_hour=2)
    usage = Usage(content_bytes=1, record_bytes=2, memories=3, galleries=4, capsules=5, uploads=6, nonces=7)
    quotas = Quotas(person=usage, total=usage, heap_bytes=8)
    canisters = PersonalCanisterSettings(freezing_threshold=9, wasm_memory_limit=10)
    init = BackendInit(
        operators=[OWNER, ID],
        admins=[STRANGER],
        creation_enabled=False,
        reserve=SETTINGS,
        limits=limits,
        quotas=quotas,
        personal_canister_settings=canisters,
        admission=Admission.Listed,
    )
    await apply_init(BackendClient(network, BACKEND), init)
    assert network.changes == [
        ("add_operator", ID),
        ("add_admin", STRANGER),
        ("enabled", False),
        ("reserve", SETTINGS),
        ("limits", limits),
        ("quotas", quotas),
        ("canisters", canisters),
        ("admission", Admission.Listed),
    ]


async def test_prices_of_another_network_are_refused_before_anything_is_done() -> None:
    prices = DEAREST_PRICES.model_copy(update={"network": "ic"})
    init = BackendInit(operators=[ID], reserve=SETTINGS.model_copy(update={"prices": prices}))
    empty = own_canister()
    with pytest.raises(PriceTableError, match="those of the network 'ic'"):
        await install_backend(empty, ID, init)
    assert empty.calls == []


async def test_what_an_init_leaves_out_stays_as_it_is() -> None:
    network = Backend()
    await apply_init(BackendClient(network, BACKEND), BackendInit(operators=[OWNER]))
    assert network.changes == []


@pytest.mark.parametrize(("available", "added"), [(0, 10), (7, 3), (10, 0), (11, 0)])
async def test_a_reserve_gets_what_it_lacks(available: int, added: int) -> None:
    network: Any = Backend(available)
    assert await fill_reserve(network, BACKEND, 10) == added
    assert network.changes == [("provisional_top_up_canister", BACKEND, added)] * (added > 0)


async def test_nothing_is_added_by_those_who_may_not_see_the_reserve() -> None:
    network: Any = Backend()
    network.error = refusal(CreationErrorKind.Unauthorized)
    with pytest.raises(CreationRefused):
        await fill_reserve(network, BACKEND, 10)
    assert network.changes == []
