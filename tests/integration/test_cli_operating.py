"""The commands of those who run a factory: `worker`, `verify`, `retry`, `cleanup`, `doctor`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

import canister_factory.cli.progress as progress
from canister_factory.candid.principal import Principal
from canister_factory.cli.progress import EventLines
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationStatus,
)
from canister_factory.contract.person_models import PersonRef
from canister_factory.factory.events import Event, StageDone
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.cli_world import Cli, Ran

# --- worker, verify, retry, cleanup ---------------------------------------------------------------------------------


def test_a_worker_creates_what_was_asked_for_and_it_verifies(requested: Cli) -> None:
    events = requested.ok("operator", "worker", "--once").lines
    owner = str(requested.id("owner"))
    assert {event["owner"] for event in events} == {owner}
    assert events[0]["event"] == "Claimed"
    assert events[-1]["event"] == "Completed"
    assert events[-1]["controllers_after"] == [owner]
    as_owner = requested.ok("owner", "verify", owner).json
    assert as_owner["ok"] is True
    assert as_owner["canister_id"] == events[-1]["canister_id"]
    verdicts = {check["name"]: check["verdict"] for check in as_owner["checks"]}
    assert verdicts == {
        "creation": "ok",
        "registry entry": "skip",
        "controllers": "ok",
        "module": "ok",
        "what it says": "ok",
        "manifest": "ok",
        "since then": "ok",
        "history": "ok",
        "settings": "ok",
        "paid until": "ok",
    }
    assert re.search(
        r"\(certified\), installed \d{4}-\d\d-\d\d .* UTC, approved release", json.dumps(as_owner["checks"])
    )
    as_admin = requested.ok("admin", "verify", owner).json
    del verdicts["since then"]
    assert {check["name"]: check["verdict"] for check in as_admin["checks"]} == {
        **verdicts,
        "registry entry": "ok",
        "manifest": "skip",
        "history": "skip",
        "settings": "skip",
        "paid until": "skip",
    }
    (spent,) = requested.ok("admin", "reserve", "consumption").lines
    assert spent["canister_id"] == as_owner["canister_id"]


def test_verify_shows_what_the_owner_has_made_of_the_import_since(requested: Cli) -> None:
    canister = requested.ok("operator", "worker", "--once").lines[-1]["canister_id"]
    before = checks(requested.ok("owner", "verify", requested.id("owner")))

    async def connect(agent: Agent, backend: BackendClient) -> None:
        await PersonalClient(agent, Principal.from_str(canister)).add_connection(PersonRef(Opaque="Jan"))

    requested.directly("owner", connect)
    after = checks(requested.ok("owner", "verify", requested.id("owner")))
    assert before["since then"] == "nothing has changed"
    assert after["manifest"] == before["manifest"]
    assert re.search(r"^changed by those who may write it, now \w+.* \(certified\): 0 memories", after["since then"])


def checks(verified: Ran) -> dict[str, str]:
    """What each check of a `verify` found."""
    return {check["name"]: check["found"] for check in verified.json["checks"]}


def test_verify_finds_another_controller_and_a_revoked_module(requested: Cli) -> None:
    canister = requested.ok("operator", "worker", "--once").lines[-1]["canister_id"]

    async def share(agent: Agent, backend: BackendClient) -> None:
        people = [requested.id("owner"), requested.id("stranger")]
        await ManagementCanister(agent).update_settings(canister, CanisterSettings(controllers=people))

    requested.directly("owner", share)
    requested.ok("admin", "admin", "releases", "revoke", personal_wasm().module_hash.hex())
    found = requested.run("owner", "verify", requested.id("owner"))
    assert found.code == 1
    failed = {check["name"] for check in found.json["checks"] if check["verdict"] == "fail"}
    assert failed == {"controllers", "module"}
    assert str(requested.id("stranger")) in found.out


def test_verify_says_when_there_is_nothing_to_verify(deployed: Cli) -> None:
    assert "not asked for a personal canister" in deployed.run("owner", "verify", deployed.id("owner")).error


def test_a_worker_that_is_no_operator_is_refused(requested: Cli) -> None:
    assert "not an admin or an operator" in requested.run("stranger", "worker", "--once").error


def test_a_worker_stops_at_a_signal_and_gives_its_leases_back(requested: Cli) -> None:
    command = requested.arguments("operator", "worker", "--idle", "0.1")
    process = subprocess.Popen(
        [sys.executable, "-m", "canister_factory", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert first["event"] == "Claimed"
    assert "stopping: giving leases back" in err
    # Whether it came to an end before the signal or not: a worker of another name need not wait, and finishes it.
    requested.ok("operator", "worker", "--once")
    assert requested.ok("owner", "status").json["status"] == "Completed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_gives_its_lease_back_and_the_creation_stays_open(
    requested: Cli, monkeypatch: pytest.MonkeyPatch, signals_in_hand: None, number: signal.Signals
) -> None:
    class Stopping(EventLines):
        """Somebody stops this process in the middle of the creation."""

        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if isinstance(event, StageDone) and event.stage == CreationStatus.Exporting:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(progress, "EventLines", Stopping)
    stopped = requested.run("operator", "run", requested.id("owner"))
    assert stopped.code == 128 + number
    assert "; the creation stays open. The same command, or a worker, continues it" in stopped.error
    assert requested.ok("owner", "status").json["status"] not in ("Completed", "Failed")
    monkeypatch.undo()
    # A worker of another name need not wait for the lease to end.
    assert requested.ok("operator", "run", requested.id("owner"), "--worker", "another").json["status"] == "Completed"


def test_to_run_a_creation_that_is_complete_is_a_success(requested: Cli) -> None:
    owner = requested.id("owner")
    first = requested.ok("operator", "run", owner, "--worker", "one").json
    again = requested.ok("operator", "run", owner, "--worker", "two").json
    assert again["completed_before"] is True
    assert {name: again[name] for name in ("owner", "canister_id", "status", "cycles_consumed")} == {
        name: first[name] for name in ("owner", "canister_id", "status", "cycles_consumed")
    }
    nobody = requested.run("operator", "run", requested.id("stranger"))
    assert nobody.code == 1
    assert "has not asked for a personal canister" in nobody.error


def test_to_run_a_creation_that_another_worker_has_says_so(requested: Cli) -> None:
    async def claim(agent: Agent, backend: BackendClient) -> None:
        await backend.claim_creation(ClaimRequest(owner=requested.id("owner"), worker="another"))

    requested.directly("operator", claim)
    busy = requested.run("operator", "run", requested.id("owner"))
    assert busy.code == 1
    assert "Worker another of" in busy.error


def test_the_owner_retries_a_failed_creation_with_the_same_canister(requested: Cli) -> None:
    assert "nothing to retry: the creation is NotStarted" in requested.run("owner", "retry").error
    canister = requested.leave_failed()
    again = requested.ok("owner", "retry")
    assert again.json["canister_id"] == str(canister)
    assert again.json["attempts"] == 2
    assert "the disk was full" in again.err
    assert requested.ok("operator", "worker", "--once").lines[-1]["canister_id"] == str(canister)
    assert "Completed" in requested.run("owner", "retry").error
    assert "use 'request'" in requested.run("stranger", "retry").error


def test_cleanup_deletes_the_canister_and_lets_the_owner_begin_anew(requested: Cli) -> None:
    owner = requested.id("owner")
    with_admin = ("--admin-identity", requested.pem("admin"))
    assert "Only a failed creation" in requested.run("operator", "cleanup", owner, *with_admin, "--yes").error
    canister = requested.leave_failed()
    unasked = requested.run("operator", "cleanup", owner, *with_admin)
    assert unasked.code == 2
    assert "--yes" in unasked.error
    not_admin = requested.run("operator", "cleanup", owner, "--yes")
    assert "Unauthorized" in not_admin.error
    assert f"needs the role admin on the backend {requested.backend_id}" in not_admin.error
    before = requested.ok("admin", "reserve", "status").json
    done = requested.ok("operator", "cleanup", owner, *with_admin, "--yes").json
    returned = done.pop("cycles_returned")
    after = requested.ok("admin", "reserve", "status").json
    assert int(before["total_consumed"]) - int(after["total_consumed"]) == returned
    assert returned > 300_000_000_000, "of the first part, what its creation has left"
    cleaned = {"canister_id": str(canister), "deleted": True, "lost_canisters": [], "cleared": True}
    assert done == {"owner": str(owner), **cleaned}

    async def look(agent: Agent, backend: BackendClient) -> None:
        await agent.canister_info(canister)

    with pytest.raises(CanisterNotFoundError):
        requested.directly("operator", look)
    anew = requested.ok("owner", "request").json
    assert (anew["status"], anew["canister_id"]) == ("NotStarted", None)


def test_cleanup_goes_on_when_the_canister_is_gone_already(requested: Cli) -> None:
    canister = requested.leave_failed()

    async def delete(agent: Agent, backend: BackendClient) -> None:
        management = ManagementCanister(agent)
        await management.stop_canister(canister)
        await management.delete_canister(canister)

    requested.directly("operator", delete)
    with_admin = ("--admin-identity", requested.pem("admin"))
    done = requested.ok("operator", "cleanup", requested.id("owner"), *with_admin, "--yes").json
    assert (done["deleted"], done["cleared"]) == (False, True)


def test_cleanup_deletes_lost_canisters_and_leaves_the_one_that_is_in_use_alone(requested: Cli) -> None:
    lost = []
    for taken in (False, True):
        canister = requested.leave_failed()
        requested.ok("owner", "retry")
        keepers = [requested.id("owner"), requested.id("stranger"), *([] if taken else [requested.id("operator")])]

        async def share(agent: Agent, backend: BackendClient, canister: Any = canister, keepers: Any = keepers) -> None:
            await ManagementCanister(agent).update_settings(canister, CanisterSettings(controllers=keepers))

        requested.directly("owner", share)
        failed = requested.run("operator", "worker", "--once")
        assert "is no operator" in failed.out + failed.err
        lost.append(str(canister))
        status = requested.ok("owner", "status").json
        assert (status["canister_id"], status["lost_canisters"]) == (None, lost)
        unasked = requested.run("admin", "admin", "clear", requested.id("owner"))
        assert f"which is Failed? Canister {', '.join(lost)} remains" in unasked.error
        requested.ok("owner", "retry")
    done = requested.ok("operator", "worker", "--once").lines[-1]
    admin = ("--admin-identity", requested.pem("admin"), "--yes")
    cleaned = requested.ok("operator", "cleanup", requested.id("owner"), *admin)
    assert cleaned.json["cycles_returned"] > 300_000_000_000
    assert {name: value for name, value in cleaned.json.items() if name != "cycles_returned"} == {
        "owner": str(requested.id("owner")),
        "canister_id": None,
        "deleted": False,
        "lost_canisters": lost[:1],
        "cleared": False,
    }
    assert f"{lost[1]} is controlled by" in cleaned.err
    again = requested.ok("operator", "cleanup", requested.id("owner"), *admin)
    assert f"canister {lost[0]} was deleted before" in again.err
    assert requested.ok("owner", "status").json["canister_id"] == done["canister_id"]
    assert requested.ok("owner", "verify", requested.id("owner")).json["ok"]


def test_clearing_forgets_a_creation_that_has_ended(requested: Cli) -> None:
    owner = requested.id("owner")
    assert requested.run("admin", "admin", "clear", owner, "--yes").code == 1
    requested.leave_failed()
    assert "--yes" in requested.run("admin", "admin", "clear", owner).error
    requested.ok("admin", "admin", "clear", owner, "--yes")
    assert requested.ok("admin", "list").lines == []
    assert len(requested.ok("admin", "admin", "registry").lines) == 1


# --- doctor ---------------------------------------------------------------------------------------------------------


def verdicts(ran: Ran) -> dict[str, tuple[str, str]]:
    return {check["name"]: (check["verdict"], check["found"]) for check in ran.json["checks"]}


def test_the_doctor_finds_a_backend_in_good_health(deployed: Cli) -> None:
    found = verdicts(deployed.ok("admin", "doctor"))
    assert {name: verdict for name, (verdict, _) in found.items() if verdict != "ok"} == {}
    assert found["roles"][1] == "controller, admin"
    assert verdicts(deployed.ok("operator", "doctor"))["roles"][1] == "operator"
    assert verdicts(deployed.ok("stranger", "doctor"))["reserve"][0] == "skip"


def test_the_doctor_finds_what_keeps_creations_from_running(deployed: Cli) -> None:
    deployed.ok("admin", "admin", "releases", "revoke", personal_wasm().module_hash.hex())
    deployed.ok("admin", "admin", "disable")
    deployed.ok("admin", "reserve", "settings", "--threshold", "90T")
    sick = deployed.run("admin", "doctor")
    assert sick.code == 1
    found = verdicts(sick)
    assert {name: verdict for name, (verdict, _) in found.items() if verdict != "ok"} == {
        "release": "fail",
        "creation": "warn",
        "reserve": "fail",
    }


def test_the_doctor_tells_a_canister_that_is_no_backend(requested: Cli) -> None:
    canister = requested.ok("operator", "worker", "--once").lines[-1]["canister_id"]
    requested.backend_id = Principal.from_str(canister)
    sick = requested.run("admin", "doctor")
    assert sick.code == 1
    verdict, found = verdicts(sick)["backend"]
    assert (verdict, found) == ("fail", f"{canister} is a personal canister, not a backend")
    requested.backend_id = Principal(bytes(7) + b"\xff\x01\x01")
    assert verdicts(requested.run("admin", "doctor"))["backend"][0] == "fail"


def test_what_an_operator_does_not_control_is_left_and_admin_clear_is_named(requested: Cli) -> None:
    """The key that the canister was created with is lost: nobody but the owner could delete it."""
    canister = requested.leave_failed()
    lost = requested.id("operator")
    requested.become({**requested.identities, "operator": Identity.generate()})
    requested.ok("admin", "admin", "operators", "add", requested.id("operator"))
    owner = requested.id("owner")
    left = requested.run("operator", "cleanup", owner, "--admin-identity", requested.pem("admin"), "--yes")
    assert str(lost) in left.error
    assert "Nothing was deleted" in left.error
    assert f"'admin clear {owner}'" in left.error
    requested.ok("admin", "admin", "clear", owner, "--yes")
    requested.ok("owner", "request")
    done = requested.ok("operator", "worker", "--once").lines[-1]
    assert done["event"] == "Completed"
    assert done["canister_id"] != str(canister)


def test_cleanup_of_a_completed_creation_says_whose_its_canister_is(requested: Cli) -> None:
    requested.ok("operator", "worker", "--once")
    owner = requested.id("owner")
    refused = requested.run("operator", "cleanup", owner, "--admin-identity", requested.pem("admin"), "--yes")
    assert "its canister is its owner's" in refused.error
