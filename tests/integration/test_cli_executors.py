"""Events and executors by the commands, as owner and executor, before and after the move."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from canister_factory.cli import main
from support.cli_world import Cli

DAY_NS = 86_400 * 10**9


def waits(cli: Cli, *args: object) -> dict[str, int]:
    """Days by kind."""
    shown = cli.ok("owner", "events", "wait", *args).json["waits"]
    return {wait["kind"]: int(wait["wait_ns"]) // DAY_NS for wait in shown}


def listed(cli: Cli, role: str, *options: object) -> list[tuple[Any, str]]:
    """Event and recorder of what is on record."""
    return [(line["event"], line["recorded_by"]) for line in cli.ok(role, "events", "list", *options).lines]


def table(cli: Cli, *args: object) -> str:
    """What a person sees, as the owner."""
    typed = [one for one in cli.arguments("owner", *args) if one != "--json"]
    return CliRunner().invoke(main, typed).stdout


def test_an_owner_names_an_executor_who_records_and_vetoes(deployed: Cli) -> None:
    deployed.give_capsule()
    executor = deployed.id("stranger")
    assert deployed.ok("owner", "executors").json["executors"] == []
    named = deployed.ok("owner", "executors", "add", executor).json
    assert [one["person"] for one in named["executors"]] == [str(executor)]
    capsule = ("--capsule", named["capsule_id"])

    assert waits(deployed)["AfterDeath"] == 30
    assert waits(deployed, "AfterDeath", "90d")["AfterDeath"] == 90
    assert waits(deployed, "AfterDeath", "--default")["AfterDeath"] == 30
    assert "between one day" in deployed.run("owner", "events", "wait", "AfterDeath", "1h").error

    recorded = deployed.ok("stranger", "events", "record", "AfterDeath", *capsule).json
    assert (recorded["event"], recorded["opens_at"][-1]) == ("AfterDeath", "Z")
    assert (
        listed(deployed, "owner") == listed(deployed, "stranger", *capsule) == [({"AfterDeath": None}, str(executor))]
    )

    assert deployed.ok("owner", "events", "revoke", "AfterDeath").json == {"event": "AfterDeath", "revoked": True}
    assert listed(deployed, "owner") == []
    assert "AfterDeath" in deployed.run("owner", "events", "revoke", "AfterDeath").error

    deployed.ok("stranger", "events", "record", "Birthday:18", *capsule)
    assert deployed.ok("owner", "executors", "remove", executor).json["executors"] == []
    assert listed(deployed, "owner") == []
    assert "there is no capsule" in deployed.run("stranger", "events", "record", "AfterDeath", *capsule).error


def test_the_commands_find_the_capsule_where_it_moved_to(requested: Cli) -> None:
    executor = requested.id("stranger")
    named = requested.ok("owner", "executors", "add", executor).json
    capsule = ("--capsule", named["capsule_id"])
    assert named["canister_id"] == str(requested.backend_id)
    requested.ok("stranger", "events", "record", "AfterDeath", *capsule)
    canister = requested.ok("operator", "run", requested.id("owner")).json["canister_id"]

    assert requested.ok("owner", "executors").json["canister_id"] == canister
    by_owner = ("--owner", requested.id("owner"))
    assert "that you can find" in requested.run("stranger", "events", "list").error
    waiting = [({"AfterDeath": None}, str(executor))]
    assert listed(requested, "stranger", *by_owner, *capsule) == waiting
    there = requested.ok("stranger", "events", "list", *by_owner, *capsule, "--canister", canister, backend=False)
    assert there.lines[0]["event"] == waiting[0][0]
    requested.ok("stranger", "events", "record", "Wedding", *by_owner)
    stale = requested.run("stranger", "events", "record", "Graduation", *capsule, "--canister", requested.backend_id)
    assert f"moved to its owner's personal canister {canister}" in stale.error
    requested.ok("owner", "events", "revoke", "AfterDeath", "--canister", canister, backend=False)
    assert listed(requested, "owner") == [({"Wedding": None}, str(executor))]


def test_people_read_tables(deployed: Cli) -> None:
    deployed.give_capsule()
    deployed.ok("owner", "executors", "add", deployed.id("stranger"))
    deployed.ok("owner", "events", "record", "Custom:first snow")
    shown = table(deployed, "events", "list")
    assert "Custom:first snow" in shown
    assert "at once" in shown
    assert "executor" in table(deployed, "executors")
    assert "30 days" in table(deployed, "events", "wait")
