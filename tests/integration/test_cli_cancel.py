"""`cancel` and `admin abort`: who ends a creation, what stays, and the way on where nothing can be ended."""

from __future__ import annotations

import pytest

from canister_factory.contract.clients import BackendClient
from canister_factory.factory.events import Event, Verified
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.ic.agent import Agent
from support.cli_world import Cli


class Killed(BaseException):
    """The orchestrator's process ended."""


def leave_sealed(cli: Cli) -> None:
    """A creation whose canister may be handed over at any moment."""

    def kill(event: Event) -> None:
        if isinstance(event, Verified):
            raise Killed

    async def verify(agent: Agent, backend: BackendClient) -> None:
        with pytest.raises(Killed):
            await Orchestrator(agent, backend.canister_id, emit=kill).run(cli.id("owner"))

    cli.directly("operator", verify)


def test_an_owner_cancels_before_a_canister_is_made_and_goes_on_later(requested: Cli) -> None:
    owner = str(requested.id("owner"))
    unasked = requested.run("owner", "cancel")
    assert unasked.code == 2
    assert "which is NotStarted?" in unasked.error
    assert "--yes" in unasked.error
    assert requested.ok("owner", "status").json["status"] == "NotStarted"
    cancelled = requested.ok("owner", "cancel", "--yes").json
    assert cancelled == {"owner": owner, "canister_id": None, "status": "Failed", "cancelled": True}
    shown = requested.ok("owner", "status").json
    assert (shown["error"]["kind"], shown["error"]["retry_helps"]) == ("Cancelled", True)
    assert requested.ok("operator", "worker", "--once").lines == []
    # What the message says to do works.
    requested.ok("owner", "retry")
    assert requested.ok("operator", "worker", "--once").lines[-1]["status"] == "Completed"


def test_what_has_ended_or_never_began_is_not_cancelled(requested: Cli) -> None:
    owner = requested.id("owner")
    assert "use 'request'" in requested.run("stranger", "cancel", "--yes").error
    assert "nothing to abort" in requested.run("admin", "admin", "abort", requested.id("stranger"), "--yes").error
    requested.leave_failed()
    assert "is Failed already; 'retry' continues it" in requested.run("owner", "cancel", "--yes").error
    assert f"'cleanup {owner}'" in requested.run("admin", "admin", "abort", owner, "--yes").error
    requested.ok("owner", "retry")
    canister = requested.ok("operator", "worker", "--once").lines[-1]["canister_id"]
    for role, command in (("owner", ("cancel",)), ("admin", ("admin", "abort", str(owner)))):
        refused = requested.run(role, *command, "--yes")
        assert refused.code == 1
        assert f"is Completed, and only the owner controls the canister {canister}" in refused.error


def test_an_admin_aborts_and_the_owner_is_told_why(requested: Cli) -> None:
    owner = requested.id("owner")
    canister = requested.leave_failed()
    requested.ok("owner", "retry")
    assert "which is NotStarted?" in requested.run("admin", "admin", "abort", owner).error
    aborted = requested.ok("admin", "admin", "abort", owner, "--reason", "the subnet is full", "--yes").json
    assert aborted == {"owner": str(owner), "canister_id": str(canister), "status": "Failed", "aborted": True}
    told = requested.ok("owner", "status").json["error"]
    assert (told["kind"], told["message"]) == ("Cancelled", "An admin aborted the creation: the subnet is full")
    (act, *_) = requested.ok("admin", "admin", "audit").lines
    assert act["method"] == "abort_creation"
    requested.ok("owner", "retry")
    assert requested.ok("operator", "worker", "--once").lines[-1]["canister_id"] == str(canister)


def test_nobody_ends_a_creation_that_is_being_handed_over(requested: Cli) -> None:
    owner = requested.id("owner")
    leave_sealed(requested)
    cancelled = requested.run("owner", "cancel", "--yes")
    assert cancelled.code == 1
    assert "being handed over" in cancelled.error
    assert "'status' shows how it ended" in cancelled.error
    assert "repeat 'cancel'" in cancelled.error
    aborted = requested.run("admin", "admin", "abort", owner, "--yes")
    assert aborted.code == 1
    assert f"'status {owner}' shows how it ended" in aborted.error
    done = requested.ok("operator", "run", owner).json
    assert (done["status"], done["controllers_after"]) == ("Completed", [str(owner)])
