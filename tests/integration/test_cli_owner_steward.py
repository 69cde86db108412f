"""An owner's commands about cycles, control, another key and the end, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.open_payments import OpenPayment, OpenPayments
from support.cli_world import Cli
from support.terminal_screen import on_terminal

HOME = "CANISTER_FACTORY_HOME"


@pytest.fixture
def owning(requested: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Cli, str]:
    """The owner has a canister; what this computer notes is in a home of the test's own."""
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    canister: str = requested.ok("operator", "run", requested.id("owner")).json["canister_id"]
    return requested, canister


def test_cycles_are_given_from_where_the_owner_says(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    before = cli.ok("owner", "owner", "status", "--days", "0").json
    assert before["settings"]["status_visibility"] == {"controllers": None}
    assert before["release"] == "personal, as this program has it"
    paid = cli.ok("owner", "owner", "top-up", "1T", "--yes").json
    assert (paid["canister_id"], paid["paid"], paid["payer"]) == (canister, str(10**12), "the cycles ledger")
    assert paid["stops"] > before["stops"]
    made = cli.ok("owner", "owner", "top-up", "500B", "--from", "made", "--yes").json
    assert (made["payer"], made["block"]) == ("the test network", None)
    assert int(made["cycles"]) - int(before["cycles"]) > 14 * 10**11
    asked = cli.run("owner", "owner", "top-up", "1T")
    assert asked.error.startswith("Pay 1.000 T (1,000,000,000,000) cycles from the cycles ledger to")
    assert cli.run("owner", "owner", "top-up", "0").code == 2
    foreign = cli.run("owner", "owner", "top-up", "1T", "--yes", "--canister", cli.backend_id)
    assert "is no personal canister, by its certified interface. Nothing was paid" in foreign.error
    elsewhere = cli.run("owner", "owner", "top-up", "1T", "--yes", "--from", canister)
    assert "doesn't answer you as a wallet" in elsewhere.error
    gift = cli.ok("stranger", "owner", "top-up", "1T", "--yes", "--any-canister", "--canister", canister)
    assert gift.json["cycles"] is None
    assert "doesn't see the canister's status" in gift.err


def test_an_open_payment_is_forgotten_when_the_owner_has_said_yes(owning: tuple[Cli, str]) -> None:
    cli, canister = owning

    async def begin(agent: Agent, backend: BackendClient) -> None:
        had = OpenPayment(
            payer="the test network", amount=10**12, created_at_ns=agent.clock(), had=None, payer_had=None
        )
        OpenPayments.of(agent, Principal.from_str(canister)).begin(had)

    cli.directly("owner", begin)
    pay = ("owner", "owner", "top-up", "1T", "--from", "made")
    asked = cli.run(*pay, "--forget")
    assert "beside the top-up of 1.000 T (1,000,000,000,000) cycles from the test network at 20" in asked.error
    assert "which may have been paid as well and is forgotten?" in asked.error
    assert "isn't known: the call was cut" in cli.run(*pay, "--yes").error, "nothing was forgotten by the question"
    assert cli.ok(*pay, "--forget", "--yes").json["paid"] == str(10**12)
    assert cli.ok(*pay, "--yes").json["paid"] == str(10**12), "it is forgotten"


def test_controllers_change_with_a_plain_warning(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    owner, friend = str(cli.id("owner")), str(cli.id("stranger"))
    assert cli.ok("stranger", "owner", "controllers", "list", "--canister", canister).json["controllers"] == [owner]
    added = cli.ok("owner", "owner", "controllers", "add", friend, "--yes")
    assert sorted(added.json["controllers"]) == sorted([owner, friend])
    assert "it can do everything then, also delete it" in added.err
    alone = cli.ok("owner", "owner", "controllers", "remove", friend, "--yes").json
    assert alone["controllers"] == [owner]
    last = cli.run("owner", "owner", "controllers", "remove", owner)
    assert "nobody will control it then, for ever" in last.error
    assert "repeat the command with --yes" in last.error
    refused = cli.run("stranger", "owner", "controllers", "remove", owner, "--yes", "--canister", canister)
    assert "don't control" in refused.error
    assert cli.ok("owner", "owner", "controllers", "list").json["controllers"] == [owner]
    anonymous = cli.run("owner", "owner", "controllers", "add", "2vxsx-fae", "--yes")
    assert anonymous.code == 2


def test_the_canister_goes_to_another_key_and_in_the_end_away(owning: tuple[Cli, str], tmp_path: Path) -> None:
    cli, canister = owning
    new, pem = Identity.generate(), tmp_path / "new.pem"
    new.write_pem(pem)
    key = str(new.sender())
    other = cli.run("owner", "owner", "move-to", cli.id("stranger"), "--new-identity", pem, "--yes")
    assert f"is the key of {key}" in other.error

    offered = cli.ok("owner", "owner", "move-to", key, "--yes")
    assert offered.json["accepted"] is False
    assert f"Make {key} a controller of {canister}, and offer it the capsule." in " ".join(offered.err.split())
    assert "Internet Identity gives you another principal on each web site" in offered.err
    assert cli.ok("owner", "owner", "status", "--days", "0").json["owner"] == str(cli.id("owner"))
    moved = cli.ok("owner", "owner", "move-to", key, "--new-identity", pem, "--remove-old", "--yes").json
    assert (moved["accepted"], moved["controllers"]) == (True, [key])
    again = cli.ok("owner", "owner", "move-to", key, "--new-identity", pem, "--remove-old", "--yes").json
    assert again == moved
    assert "belongs to" in cli.run("owner", "owner", "download", tmp_path / "files").error

    cli.become({**cli.identities, "owner": new})
    taken = cli.ok("owner", "owner", "accept", "--canister", canister, "--yes", backend=False).json
    assert taken["new_owner"] == key
    copy = tmp_path / "copy"
    cli.ok("owner", "owner", "backup", copy, "--canister", canister)
    unsure = cli.run("owner", "owner", "delete", "--canister", canister, "--cycles-to", cli.backend_id)
    assert "give --backup DIR, or --without-backup" in unsure.error
    gone = cli.ok(
        *("owner", "owner", "delete", "--canister", canister, "--cycles-to", cli.backend_id, "--backup", copy, "--yes")
    ).json
    assert (gone["deleted"], gone["cycles_to"]) == (True, str(cli.backend_id))
    assert int(gone["cycles_sent"]) > 10**11


def test_of_a_frozen_canister_it_is_said_that_it_has_stopped_and_what_to_do(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    assert "frozen" not in cli.said("owner", "owner", "status")

    async def freeze(agent: Agent, backend: BackendClient) -> None:
        settings = CanisterSettings(freezing_threshold=10**12)
        await ManagementCanister(agent).update_settings(Principal.from_str(canister), settings)

    cli.directly("owner", freeze)
    frozen = cli.said("owner", "owner", "status", code=4)
    assert "state running, but frozen" in frozen
    assert "stops it has stopped" in frozen
    assert "It has stopped: it takes no updates" in frozen
    assert "'owner top-up' gives it cycles" in frozen
    assert "It stops within" not in frozen
    assert "It has stopped" in cli.said("owner", "owner", "status", "--days", "0"), "whatever the days"
    paid = cli.said("owner", "owner", "top-up", "100B", "--from", "made", "--yes")
    assert paid.endswith("), and is frozen still: it takes no updates until it has more.")


def test_undo_doesnt_promise_a_canister_that_was_deleted(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    kept = cli.run("owner", "owner", "undo")
    assert f"{canister} remains yours" in kept.error
    cli.ok("owner", "owner", "delete", "--burn-cycles", "--without-backup", "--yes")
    assert f"{canister} was deleted." in cli.run("owner", "owner", "undo").error
    undone = cli.said("owner", "owner", "undo", "--yes")
    assert undone.endswith(f"The capsule is on the backend again, and takes writes there. {canister} was deleted.")


def test_after_the_end_every_command_says_so(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    ended = cli.ok("owner", "owner", "delete", "--burn-cycles", "--without-backup", "--yes")
    assert "'owner undo' lets the capsule there take writes again" in ended.err
    assert "was completed, and then deleted by its owner" in json.dumps(cli.run("owner", "status").lines)
    looked = cli.run("owner", "owner", "status")
    assert f"your canister {canister} doesn't exist any more: a controller deleted it" in looked.error
    named = cli.run("owner", "owner", "status", "--canister", canister)
    assert f"there is no canister {canister} on" in named.error
    again = cli.ok("owner", "owner", "delete", "--burn-cycles", "--without-backup", "--yes").json
    assert again["deleted"] is False
    late = cli.run("owner", "owner", "top-up", "1T", "--yes")
    assert "it was deleted, or is on another network. Nothing was paid" in late.error


def test_a_watch_is_drawn_over_itself_and_ended_by_ctrl_c(owning: tuple[Cli, str]) -> None:
    cli, canister = owning
    common = [
        word for word in cli.arguments("owner", "owner", "status", "--watch", "--every", "1s") if word != "--json"
    ]

    def twice(text: str) -> bool:
        return text.count("freezing threshold") >= 2 and text.endswith("\n")

    seen = on_terminal(common, columns=100, when=twice)
    assert seen.code == 0
    assert seen.cursor_is_shown
    assert seen.text.count("Your personal canister") == 1, seen.text
    assert seen.text.count(canister) == 1
