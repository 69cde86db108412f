"""Which canisters get another operator, and which are left as they are."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import CreateError
from canister_factory.factory.operators import set_operator
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.ic.errors import RejectedError
from support.one_canister import ID, OWNER, STRANGER, own_canister

NEW = Principal(b"new".ljust(28, b"\x00") + b"\x02")


async def changes(*controllers: Principal) -> bool:
    """Whether a canister with these controllers, and ourselves, gets the new operator."""
    network = own_canister(*controllers)
    changed = await set_operator(PersonalCanister(network, ID, OWNER, Retry(FactoryConfig())), NEW)
    assert network.calls == (["update_settings"] if changed else [])
    return changed


async def test_another_operator_beside_the_owner_is_replaced() -> None:
    assert await changes(OWNER)


@pytest.mark.parametrize("others", [(), (STRANGER,), (OWNER, STRANGER), (OWNER, NEW)])
async def test_a_canister_that_others_control_is_left_as_it_is(others: tuple[Principal, ...]) -> None:
    with pytest.raises(CreateError, match="is controlled by"):
        await changes(*others)


@pytest.mark.parametrize("controllers", [(OWNER,), (OWNER, NEW)], ids=["handed over", "done before"])
async def test_there_is_nothing_to_change_where_it_was_handed_over_or_done_before(
    controllers: tuple[Principal, ...],
) -> None:
    network = own_canister()
    network.controllers = controllers
    assert not await set_operator(PersonalCanister(network, ID, OWNER, Retry(FactoryConfig())), NEW)
    assert network.calls == []


async def test_a_refused_change_is_told() -> None:
    network = own_canister(OWNER)
    network.refusal = RejectedError(5, "no", certified=True)
    with pytest.raises(RejectedError, match="no"):
        await set_operator(PersonalCanister(network, ID, OWNER, Retry(FactoryConfig())), NEW)
