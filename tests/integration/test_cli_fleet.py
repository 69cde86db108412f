"""`fleet`: all personal canisters, the first whose cycles end first; balances where their owners show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from canister_factory.contract.clients import BackendClient
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience, CanisterSettings
from canister_factory.owner.life import dates
from support.cli_world import Cli

ENDS_SOON = 4


@pytest.fixture
def completed(requested: Cli) -> Cli:
    """The owner has a personal canister."""
    requested.ok("operator", "worker", "--once")
    return requested


def days_until(date: str) -> float:
    return (datetime.fromisoformat(date) - datetime.now(UTC)).total_seconds() / 86_400


def test_a_canister_is_listed_with_its_age_and_its_date(completed: Cli) -> None:
    (line,) = completed.ok("operator", "fleet").lines
    status = completed.ok("owner", "status").json
    assert line["canister_id"] == status["canister_id"]
    assert line["owner"] == str(completed.id("owner"))
    assert line["age_days"] == 0
    assert line["paid_until"] == status["paid_until"]
    assert line["days_left"] == int(days_until(line["paid_until"]))
    assert (line["cycles"], line["seen_at"]) == (None, None)


def test_those_that_end_within_so_many_days_are_an_exit_code(completed: Cli) -> None:
    (line,) = completed.ok("admin", "fleet").lines
    later = completed.run("admin", "fleet", "--days", line["days_left"])
    assert (later.code, later.lines) == (0, [])
    soon = completed.run("admin", "fleet", "--days", line["days_left"] + 1)
    assert (soon.code, soon.lines) == (ENDS_SOON, [line])


def test_the_first_that_ends_first_comes_first_and_a_limit_cuts_the_others(completed: Cli) -> None:
    second = Identity.generate()
    completed.become({**completed.identities, "owner": second})
    completed.give_capsule()
    completed.ok("owner", "request")

    async def lower(agent: Agent, backend: BackendClient) -> None:
        settings = (await backend.get_reserve_status()).settings
        await backend.set_reserve_settings(settings.model_copy(update={"funded_days": 30}))

    completed.directly("admin", lower)
    completed.ok("operator", "worker", "--once")
    lines = completed.ok("operator", "fleet").lines
    assert lines[0]["owner"] == str(second.sender())
    assert lines[0]["days_left"] < lines[1]["days_left"]
    assert completed.ok("operator", "fleet", "--limit", "1").lines == lines[:1]


def test_a_balance_is_shown_to_whom_the_owner_shows_it(completed: Cli) -> None:
    async def show(agent: Agent, backend: BackendClient) -> Any:
        canister = (await backend.get_detailed_creation_status()).canister_id  # type: ignore[union-attr]
        assert canister is not None
        viewers = CanisterSettings(status_visibility=Audience(allowed_viewers=[completed.id("operator")]))
        management = ManagementCanister(agent)
        await management.update_settings(canister, viewers)
        return await management.canister_status(canister)

    (hidden,) = completed.ok("operator", "fleet", "--balances").lines
    status = completed.directly("owner", show)
    (shown,) = completed.ok("operator", "fleet", "--balances").lines
    (others,) = completed.ok("admin", "fleet", "--balances").lines
    assert hidden["cycles"] is others["cycles"] is None
    assert 0 < int(shown["cycles"]) <= status.cycles
    stops, _, _ = dates(status, int(datetime.now(UTC).timestamp()) * 10**9)
    assert stops is not None
    by_balance = datetime.fromtimestamp(stops / 10**9, UTC)
    assert abs(days_until(shown["paid_until"]) - days_until(by_balance.isoformat())) < 1


def test_who_consented_at_the_request_shows_the_balance_to_all_of_the_staff_with_its_age(deployed: Cli) -> None:
    deployed.give_capsule()
    deployed.ok("owner", "request", "--show-status-to-backend")
    deployed.ok("operator", "worker", "--once")
    (unseen,) = deployed.ok("operator", "fleet").lines
    assert (unseen["cycles"], unseen["seen_at"]) == (None, None)
    (shown,) = deployed.ok("operator", "fleet", "--balances").lines
    status = deployed.ok("owner", "owner", "status", "--days", "0").json
    assert int(status["cycles"]) <= int(shown["cycles"]) < int(status["cycles"]) + 10**11
    assert shown["seen_at"] > deployed.ok("owner", "status").json["completed_at"]
    assert abs(days_until(shown["paid_until"]) - days_until(status["stops"])) < 1
    for role in ("operator", "admin"):
        assert deployed.ok(role, "fleet").lines == [shown], "what the backend saw last"


def test_a_deleted_canister_is_not_listed_once_the_backend_knows(completed: Cli) -> None:
    (line,) = completed.ok("operator", "fleet").lines
    canister = line["canister_id"]
    completed.ok("owner", "owner", "delete", "--burn-cycles", "--without-backup", "--yes")
    assert completed.ok("operator", "fleet", "--balances").lines == []
    assert completed.run("operator", "fleet", "--days", "100000").code == 0
    assert "1 that were deleted, or whose cycles were used up, aren't listed" in completed.said("operator", "fleet")
    entry = completed.ok("admin", "admin", "registry", canister).json
    assert entry["found_deleted_at"] is not None
    assert entry["paid_until"] is None
    assert completed.ok("owner", "status").json["paid_until"] is None


def test_only_the_staff_sees_the_fleet(completed: Cli) -> None:
    assert "not an admin or an operator" in completed.run("owner", "fleet").error


def test_a_backend_without_canisters_says_so(deployed: Cli) -> None:
    listed = deployed.ok("admin", "fleet")
    assert listed.lines == []
