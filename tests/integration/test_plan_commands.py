"""`plan`, and `--plan` of `request` and `run`, against a backend: they tell what comes, and change nothing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import ClaimRequest, CreationStatus, OwnerPageRequest
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.trace import heard_by
from canister_factory.ic.traffic import Traffic
from support.cli_world import Cli, Ran
from support.creation_world import inline, note

SIZES = {"5 kB": [5_000], "1 MB": [100_000] * 10, "6 MB": [1_500_000] * 4, "30 MB": [1_500_000] * 20}

NEAR = 0.05
"""How far what a run takes may be from what its plan expects."""


def store(cli: Cli, sizes: list[int]) -> None:
    """Memories of the owner's, so many bytes each."""

    async def work(_agent: Agent, backend: BackendClient) -> None:
        for index, size in enumerate(sizes):
            await backend.add_memory_to_capsule(inline(bytes([index]) * size), note(f"memory {index}"))

    cli.directly("owner", work)


def kinds(ran: Ran) -> list[tuple[str, str]]:
    """What a plan says would be refused."""
    assert ran.code == (1 if ran.json["refusals"] else 0)
    return [(refusal["command"], refusal["kind"]) for refusal in ran.json["refusals"]]


def refusal(ran: Ran) -> str:
    """What the backend has refused a command with; of a failed creation its kind."""
    assert ran.code == 1, ran.out
    error = ran.lines[-1]["error"]
    return str(error["context"].get("refused", error["context"])["kind"])


def done(ran: Ran) -> dict[str, str]:
    """The state of each step."""
    return {step["name"]: step["state"] for step in ran.json["steps"]}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_the_cycles_of_a_plan_are_those_of_the_run(deployed: Cli, sizes: list[int]) -> None:
    deployed.give_capsule()
    store(deployed, sizes)
    owner = deployed.id("owner")
    before = [
        deployed.ok("admin", "plan", owner).json["cycles"],
        deployed.ok("owner", "request", "--plan").json["cycles"],
    ]
    deployed.ok("owner", "request")
    planned = deployed.ok("operator", "run", owner, "--plan").json
    before.append(planned["cycles"])
    made = deployed.ok("operator", "run", owner).json
    spent = made["cycles_consumed"]
    assert [each["expected"] for each in before] == pytest.approx([spent] * 3, rel=NEAR)
    assert planned["cycles"]["expected_left"] == planned["cycles"]["expected"]
    assert {each["at_most"] for each in before} == {planned["cycles"]["left"]}
    assert planned["cycles"]["left"] >= spent

    async def burned(agent: Agent, _backend: BackendClient) -> int:
        canister_id = Principal.from_str(made["canister_id"])
        return (await ManagementCanister(agent).canister_status(canister_id)).idle_cycles_burned_per_day

    assert planned["cycles"]["per_year"] == pytest.approx(365 * deployed.directly("owner", burned), rel=NEAR)
    told, paid = (datetime.fromisoformat(each["paid_until"][:19]) for each in (planned, made))
    assert abs((told - paid).days) <= 1
    after = deployed.ok("admin", "plan", owner).json
    assert (after["cycles"]["left"], after["cycles"]["spent"], after["updates"]) == (0, spent, 0)
    assert after["paid_until"] == made["paid_until"]


async def told(_agent: Agent, backend: BackendClient) -> dict[str, Any]:
    """All that a backend tells its admins, but for what running it costs."""
    reserve = (await backend.get_reserve_status()).model_dump(exclude={"balance", "available", "total_topped_up"})
    newest = NumberedPageRequest()
    return {
        "reserve": reserve,
        "creations": await backend.list_all_creation_states(OwnerPageRequest()),
        "open": await backend.list_open_requests(OwnerPageRequest()),
        "registry": await backend.list_registry(OwnerPageRequest()),
        "consumption": await backend.list_consumption(newest),
        "notifications": await backend.list_notifications(newest),
        "errors": await backend.list_errors(newest),
        "audit": await backend.list_audit_log(newest),
        "attempts": await backend.get_error_rate(),
        "stats": await backend.get_personal_canister_creation_stats(),
        "quotas": (await backend.get_quotas()).model_dump(exclude={"heap_bytes_used"}),
        "releases": await backend.list_releases(),
    }


def test_a_plan_changes_nothing_and_sends_no_update(deployed: Cli) -> None:
    deployed.give_capsule()
    store(deployed, [5_000])
    owner = deployed.id("owner")
    for role, asked in (("owner", False), ("admin", True)):
        if asked:
            deployed.ok("owner", "request", "--name", "Mine")
            deployed.leave_failed()
        commands: list[tuple[str, list[object]]] = [
            (role, ["plan", owner]),
            ("owner", ["request", "--plan"]),
            ("operator", ["run", owner, "--plan"]),
            ("admin", ["deploy", "--plan", "--canister", deployed.backend_id, "--reserve", "90T"]),
            ("admin", ["deploy", "--plan"]),
        ]
        before = deployed.directly("admin", told)
        traffic = Traffic()
        with heard_by(traffic):
            for who, arguments in commands:
                deployed.run(who, *arguments)
        assert {name.split()[0] for name in traffic.tallies} == {"query", "read_state", "status"}
        assert deployed.directly("admin", told) == before


def test_what_an_owner_may_not_know_is_said_to_be_unknown(deployed: Cli) -> None:
    deployed.give_capsule()
    own = deployed.ok("owner", "plan", deployed.id("owner")).json
    assert own["reserve"] is None
    assert any("whether the reserve covers it" in sentence for sentence in own["unknown"])
    full = deployed.ok("admin", "plan", deployed.id("owner")).json
    assert full["reserve"]["available"] > 0
    assert full["unknown"] == []
    assert refusal(deployed.run("stranger", "plan", deployed.id("owner"))) == "Unauthorized"


def test_a_half_done_creation_is_planned_from_where_it_stands(requested: Cli) -> None:
    owner = requested.id("owner")
    canister = requested.leave_failed()
    failed = requested.run("admin", "plan", owner)
    assert kinds(failed) == []
    assert done(failed) == {
        "Request": "to do",
        "Exporting": "to do",
        "Creating": "skipped",
        "Installing": "to do",
        "Importing": "to do",
        "Verifying": "to do",
        "Completed": "to do",
    }
    assert failed.json["now"]["canister_id"] == str(canister)
    cycles = failed.json["cycles"]
    assert (cycles["spent"], cycles["left"]) == (cycles["first"], cycles["rest"])
    requested.ok("owner", "retry")
    spent = requested.ok("operator", "run", owner).json["cycles_consumed"]
    assert cycles["spent"] + cycles["expected_left"] == pytest.approx(spent, rel=NEAR)
    assert done(requested.run("admin", "plan", owner)) == {"Completed": "done"}


def test_money_goes_by_the_price_that_is_given(deployed: Cli) -> None:
    deployed.give_capsule()
    made = deployed.ok("admin", "plan", deployed.id("owner"), "--cycles-price", "2.5 chf").json
    assert (made["money"]["unit"], made["money"]["per_trillion"]) == ("CHF", 2.5)
    for name in ("at_most", "expected"):
        assert made["money"][name] == pytest.approx(made["cycles"][name] * 2.5 / 10**12, abs=1e-4)
    new = deployed.ok("admin", "deploy", "--plan", "--cycles-price", "1XDR", backend=False).json
    assert new["money"]["needed"] == pytest.approx(new["cycles"]["needed"] / 10**12, abs=1e-4)


def test_what_a_request_would_be_refused_is_what_it_is_refused(deployed: Cli) -> None:
    owner = deployed.id("owner")

    def refused(*arguments: str) -> str:
        """The kind of the refusal of a request, which the plan tells before."""
        planned = kinds(deployed.run("admin", "plan", owner))
        real = refusal(deployed.run("owner", "request", *arguments))
        assert planned[0] == ("request", real)
        return str(real)

    assert refused() == "InvalidRequest"  # there is no capsule
    deployed.give_capsule()
    assert kinds(deployed.run("owner", "request", "--plan", "--name", "no/slashes")) == [("request", "InvalidRequest")]
    deployed.ok("admin", "admin", "disable")
    assert refused() == "Disabled"
    deployed.ok("admin", "admin", "enable")
    deployed.ok("admin", "admin", "admission", "set", "Listed")
    assert refused() == "NotAdmitted"
    deployed.ok("admin", "admin", "admission", "add", owner)
    assert kinds(deployed.run("admin", "plan", owner)) == []
    deployed.ok("admin", "reserve", "settings", "--operating-minimum", "30T")
    assert refused() == "ReserveInsufficient"
    deployed.ok("admin", "reserve", "settings", "--operating-minimum", "2T", "--per-day", "1T")
    assert refused() == "BudgetSpent"


def test_a_request_that_waits_is_planned_with_its_approval(deployed: Cli) -> None:
    owner = deployed.id("owner")
    deployed.give_capsule()
    deployed.ok("admin", "admin", "admission", "set", "Approval")
    assert done(deployed.run("admin", "plan", owner))["Approval"] == "to do"
    deployed.ok("owner", "request")
    assert done(deployed.run("owner", "plan", owner))["Approval"] == "to do"
    assert kinds(deployed.run("operator", "run", owner, "--plan")) == [("run", "NotAdmitted")]
    assert kinds(deployed.run("admin", "plan", owner)) == []
    deployed.ok("admin", "reserve", "settings", "--operating-minimum", "30T")
    assert kinds(deployed.run("admin", "plan", owner)) == [("admin requests approve", "ReserveInsufficient")]
    assert refusal(deployed.run("admin", "admin", "requests", "approve", owner)) == "ReserveInsufficient"


def test_what_a_run_would_be_refused_is_what_it_is_refused(deployed: Cli) -> None:
    owner = deployed.id("owner")

    def refused(role: str = "operator") -> str:
        planned = kinds(deployed.run(role, "run", owner, "--plan"))
        real = refusal(deployed.run(role, "run", owner))
        assert planned[0] == ("run", real)
        return str(real)

    deployed.give_capsule()
    assert refused() == "InvalidRequest"  # nobody has asked
    deployed.ok("owner", "request")
    assert kinds(deployed.run("admin", "run", owner, "--plan")) == [("run", "Unauthorized")]
    deployed.ok("admin", "admin", "disable")
    assert refused() == "Disabled"
    deployed.ok("admin", "admin", "enable")

    async def claim(_agent: Agent, backend: BackendClient) -> None:
        await backend.claim_creation(ClaimRequest(owner=owner, worker="another"))

    deployed.directly("operator", claim)
    assert refused() == "Busy"
    assert kinds(deployed.run("operator", "run", owner, "--plan", "--worker", "another")) == []


def test_a_run_of_a_module_that_is_not_approved_or_of_another_operator_is_planned_as_refused(requested: Cli) -> None:
    owner = requested.id("owner")
    requested.ok("admin", "admin", "releases", "revoke", personal_wasm().module_hash.hex())
    assert kinds(requested.run("admin", "plan", owner)) == [("run", "InstallFailed")]
    assert refusal(requested.run("operator", "run", owner)) == "InstallFailed"
    requested.ok("admin", "admin", "releases", "register")
    requested.ok("owner", "retry")

    async def provision(_agent: Agent, backend: BackendClient) -> None:
        claimed = await backend.claim_creation(ClaimRequest(owner=owner, worker="x", duration_ns=1))
        assert claimed.creation.status == CreationStatus.Exporting

    requested.directly("operator", provision)
    assert kinds(requested.run("operator", "run", owner, "--plan")) == []
    requested.leave_failed()
    requested.ok("owner", "retry")
    requested.ok("admin", "admin", "operators", "add", requested.id("admin"))
    assert kinds(requested.run("admin", "run", owner, "--plan")) == [("run", "Busy")]
    assert refusal(requested.run("admin", "run", owner)) == "Busy"
    requested.ok("admin", "admin", "operators", "remove", requested.id("operator"))
    assert kinds(requested.run("admin", "plan", owner)) == [("run", "Busy")]


def test_what_deploy_puts_where_is_planned(cli: Cli) -> None:
    planned = cli.ok("admin", "deploy", "--plan", "--operator", cli.id("operator"), backend=False).json
    assert {step["state"] for step in planned["steps"]} == {"to do"}
    made = cli.ok("admin", "deploy", "--operator", cli.id("operator"), backend=False).json
    cli.backend_id = made["backend_id"]

    async def balance(_agent: Agent, backend: BackendClient) -> int:
        return (await backend.get_reserve_status()).balance

    assert planned["cycles"]["needed"] == pytest.approx(cli.directly("admin", balance), rel=0.05)
    again = cli.ok("admin", "deploy", "--plan", "--canister", cli.backend_id, "--reserve", "10T", backend=False).json
    assert {step["state"] for step in again["steps"]} == {"done"}
    assert again["cycles"] == {"canister": 0, "reserve": 0, "needed": 0}
    more = ("deploy", "--canister", cli.backend_id, "--reserve", "40T", "--disabled", "--freezing-threshold", "60d")
    changes = cli.ok("admin", *more, "--plan", backend=False).json
    to_do = {step["name"] for step in changes["steps"] if step["state"] == "to do"}
    assert to_do == {"Settings", "Creations", "Reserve"}
    before = cli.directly("admin", balance)
    cli.ok("admin", *more, backend=False)
    assert changes["cycles"]["reserve"] == pytest.approx(cli.directly("admin", balance) - before, rel=0.05)


def test_what_deploy_would_be_refused_is_planned(deployed: Cli) -> None:
    for arguments in (("deploy", "--canister", deployed.backend_id),):
        planned = deployed.run("stranger", *arguments, "--plan", backend=False)
        assert kinds(planned) == [("deploy", "InstallFailed")]
        real = deployed.run("stranger", *arguments, backend=False)
        assert planned.json["refusals"][0]["message"] in real.error


def test_a_plan_refuses_what_it_can_not_use(requested: Cli) -> None:
    owner = requested.id("owner")
    for arguments, words in (
        (("plan", owner, "--cycles-price", "free"), "is not the price of a trillion cycles"),
        (("plan", owner, "--cycles-price", "0USD"), "is not the price of a trillion cycles"),
        (("run", owner, "--cycles-price", "1USD"), "--cycles-price goes with --plan"),
        (("request", "--cycles-price", "1USD"), "--cycles-price goes with --plan"),
        (("deploy", "--cycles-price", "1USD"), "--cycles-price goes with --plan"),
        (("deploy", "--plan", "--cycles", "1B"), "is too little to install the backend"),
        (("plan", "nobody"), "principal"),
    ):
        refused = requested.run("admin", *arguments, backend=arguments[0] != "deploy")
        assert refused.code == 2, arguments
        assert words in json.loads(refused.out)["error"]["message"]
