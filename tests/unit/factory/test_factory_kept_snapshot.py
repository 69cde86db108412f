"""The snapshot that an upgrade left goes when its time is over, and never by what was seen before another run began."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.factory.kept_snapshot import delete, delete_expired
from canister_factory.factory.upgrade_record import SNAPSHOT, UNTIL, VARIABLE, Kept
from canister_factory.factory.upgrade_turn import TURN_NS, UNRECORDED_NS
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from support.one_canister import ID
from support.upgraded_canister import BEGIN_NS, OLD, UpgradedCanister

UNTIL_NS = BEGIN_NS + 10**9


def kept() -> UpgradedCanister:
    canister = UpgradedCanister()
    canister.snapshots = {b"s": (BEGIN_NS, OLD)}
    canister.variables = {"LANGUAGE": "eo", SNAPSHOT: Kept(b"s", UNTIL_NS).text}
    return canister


async def expired(canister: Any, now_ns: int) -> bool:
    return await delete_expired(canister, ID, canister.status(), now_ns)


async def test_a_snapshot_goes_when_its_time_is_over() -> None:
    canister = kept()
    assert not await expired(canister, UNTIL_NS - 1)
    assert await expired(canister, UNTIL_NS)
    assert (canister.variables, canister.snapshots) == ({"LANGUAGE": "eo"}, {})
    assert not await expired(canister, UNTIL_NS)


async def test_nobody_tidies_while_a_run_may_be_doing_it() -> None:
    canister = kept()
    canister.variables[UNTIL] = str(BEGIN_NS + TURN_NS)
    assert not await expired(canister, BEGIN_NS + TURN_NS - 1)
    assert await expired(canister, BEGIN_NS + TURN_NS)
    assert canister.variables == {"LANGUAGE": "eo"}


async def test_what_it_writes_is_not_executed_later_than_a_run_waits_that_has_begun_since() -> None:
    canister = kept()
    assert await expired(canister, UNTIL_NS)
    (_, no_limit, _), (method, latest_ns, _) = canister.sent
    assert (method, no_limit) == ("update_settings", None)
    assert latest_ns is not None
    assert latest_ns <= canister.now_ns + UNRECORDED_NS


@pytest.mark.parametrize("look", [1, 2])
async def test_the_record_of_a_run_that_begins_meanwhile_stays(look: int) -> None:
    canister, looks = kept(), list[None]()
    begun = {VARIABLE: "on", UNTIL: str(BEGIN_NS + TURN_NS)}
    answer = canister.status

    def status() -> Any:
        looks.append(None)
        if len(looks) == look:
            canister.variables = dict(begun)
        return answer()

    stale = answer()
    canister.status = status  # type: ignore[method-assign]
    await delete_expired(canister, ID, stale, UNTIL_NS)  # type: ignore[arg-type]
    assert canister.variables == begun
    assert len(canister.snapshots) == (1 if look == 1 else 0)


async def test_one_that_is_gone_is_deleted_and_another_refusal_is_told() -> None:
    canister = UpgradedCanister()
    management = ManagementCanister(canister)  # type: ignore[arg-type]
    await delete(management, ID, b"s")
    canister.refused = {"delete_canister_snapshot": RejectedError(5, "not yours", "IC0512", certified=True)}
    with pytest.raises(RejectedError, match="not yours"):
        await delete(management, ID, b"s")
