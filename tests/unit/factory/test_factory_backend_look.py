"""What a worker is told by its backend, and what it reckons from it."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import ConsumptionReport
from canister_factory.contract.artifacts import API_VERSION
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationPage,
    CreationStatus,
    OwnerPageRequest,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.backend_look import BackendLook, look_at_backend
from support.backend_looks import T, consumption
from support.backend_script import BACKEND, OWNER, BackendScript, refusal

DAY_NS = 86_400 * 10**9


class Scripted(BackendScript):
    """A backend with forty creations of each status."""

    def __init__(self, version: str = API_VERSION, operators: tuple[Principal, ...] = (OWNER,)) -> None:
        self.version = version
        self.operators = operators
        self.asked: list[str] = []

    async def get_api_version(self) -> str:
        self.asked.append("version")
        return self.version

    async def get_consumption_report(self, window_ns: int | None) -> ConsumptionReport:
        self.asked.append("consumption")
        assert window_ns == 7 * DAY_NS
        return consumption(available=8 * T, consumed=14 * T)

    async def list_operators(self) -> list[Principal]:
        self.asked.append("operators")
        return list(self.operators)

    async def get_creation_states_by_status(self, status: CreationStatus, page: OwnerPageRequest) -> CreationPage:
        self.asked.append(str(status))
        assert page.limit == 1
        return CreationPage(items=[], next=OWNER, total=40)


async def looked(script: BackendScript) -> BackendLook:
    agent: Any = script
    return await look_at_backend(BackendClient(agent, BACKEND), OWNER)


async def test_a_look_has_the_role_the_creations_and_the_reserve() -> None:
    look = await looked(Scripted())
    assert look.is_operator
    assert look.is_compatible
    assert look.creations == dict.fromkeys(CreationStatus, 40)
    assert look.reserve is not None
    assert look.reserve.available == 8 * T
    assert look.reserve_days == 4.0  # 8 T at 2 T a day


async def test_an_admin_who_is_no_operator_is_known_as_such() -> None:
    assert not (await looked(Scripted(operators=(BACKEND,)))).is_operator


async def test_of_another_api_nothing_but_its_version_is_asked() -> None:
    script = Scripted(version="9.0.0")
    look = await looked(script)
    assert (look.is_compatible, look.reserve, look.reserve_days) == (False, None, None)
    assert script.asked == ["version"]


async def test_a_reserve_that_nothing_takes_from_has_no_last_day() -> None:
    assert BackendLook(API_VERSION, consumption=consumption(consumed=0)).reserve_days is None


async def test_a_refusal_is_raised_as_it_is() -> None:
    class Refusing(Scripted):
        async def list_operators(self) -> list[Principal]:
            raise refusal(CreationErrorKind.Unauthorized, "not an admin or an operator")

    with pytest.raises(CreationRefused, match="not an admin or an operator"):
        await looked(Refusing())
