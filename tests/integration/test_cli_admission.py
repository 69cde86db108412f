"""`admin admission` and `admin requests`: who gets a personal canister, by the commands."""

from __future__ import annotations

from support.cli_world import Cli


def test_admission_is_open_on_a_test_network_and_what_deploy_is_told(deployed: Cli) -> None:
    assert deployed.ok("operator", "admin", "admission").json == {"admission": "Open", "listed": 0}
    again = ("deploy", "--canister", deployed.backend_id)
    assert deployed.ok("admin", *again, backend=False).json["admission"] == "Open"
    assert deployed.ok("admin", *again, "--admission", "listed", backend=False).json["admission"] == "Listed"
    assert deployed.ok("admin", *again, backend=False).json["admission"] == "Listed"
    assert deployed.ok("admin", "admin", "status").json["admission"] == "Listed"
    assert deployed.run("admin", "admin", "admission", "set", "nobody").code == 2


def test_an_owner_on_the_list_is_served_and_another_is_not(deployed: Cli) -> None:
    deployed.give_capsule()
    owner = deployed.id("owner")
    assert deployed.ok("admin", "admin", "admission", "set", "Listed").json == {"admission": "Listed", "listed": 0}
    refused = deployed.run("owner", "request")
    assert refused.code == 1
    assert "NotAdmitted" in refused.error
    assert deployed.ok("admin", "admin", "admission", "add", owner).json == {"owner": str(owner), "listed": True}
    assert deployed.ok("operator", "admin", "admission", "list").json == {"owners": [str(owner)]}
    assert deployed.ok("owner", "request").json["status"] == "NotStarted"
    assert deployed.ok("admin", "admin", "admission", "remove", owner).json == {"owner": str(owner), "listed": False}
    assert deployed.ok("operator", "admin", "admission", "list").json == {"owners": []}


def test_an_admin_approves_one_request_and_declines_another(deployed: Cli) -> None:
    deployed.give_capsule()
    owner = deployed.id("owner")
    deployed.ok("admin", "admin", "admission", "set", "Approval")
    asked = deployed.ok("owner", "request").json
    assert (asked["status"], asked["message"]) == ("NotStarted", "Requested; waits for approval by an admin.")
    [waiting] = deployed.ok("operator", "admin", "requests").lines
    assert waiting["owner"] == str(owner)
    declined = deployed.ok("admin", "admin", "requests", "decline", owner, "--reason", "who are you?").json
    assert declined == {"owner": str(owner), "approved": False, "status": "Failed"}
    assert "who are you?" in deployed.ok("owner", "status").json["progress_message"]
    deployed.ok("owner", "retry")
    approved = deployed.ok("admin", "admin", "requests", "approve", owner).json
    assert approved == {"owner": str(owner), "approved": True, "status": "NotStarted"}
    assert deployed.ok("operator", "admin", "requests", "list").out == ""
    deployed.ok("operator", "worker", "--once")
    assert deployed.ok("owner", "status").json["status"] == "Completed"
    refused = deployed.run("admin", "admin", "requests", "approve", owner)
    assert refused.code == 1
    assert "no request that waits for approval" in refused.error


def test_the_budget_of_a_day_is_set_and_shown(deployed: Cli) -> None:
    changed = deployed.ok("admin", "reserve", "settings", "--per-day", "1T").json
    assert changed["cycles_per_day"] == str(10**12)
    assert deployed.ok("operator", "reserve", "status").json["spent_in_day"] == "0"
    deployed.give_capsule()
    refused = deployed.run("owner", "request")
    assert refused.code == 1
    assert "BudgetSpent" in refused.error
    assert "an admin must raise it" in refused.error


def test_a_worker_ends_well_while_everything_is_stopped(deployed: Cli) -> None:
    deployed.give_capsule()
    deployed.ok("owner", "request")
    deployed.ok("admin", "admin", "disable")
    ran = deployed.ok("operator", "worker", "--once")
    assert "0 completed, 0 failed" in ran.err
    stopped = deployed.run("operator", "run", deployed.id("owner"))
    assert stopped.code == 1
    assert "goes on when an admin enables it again" in stopped.error
    deployed.ok("admin", "admin", "enable")
    assert "1 completed, 0 failed" in deployed.ok("operator", "worker", "--once").err
