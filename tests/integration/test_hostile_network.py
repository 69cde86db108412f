"""What canisters and servers say reaches a terminal or a log escaped and cut, whichever command shows it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner, Result

from canister_factory.candid.text import parse_args
from canister_factory.candid.types import TEXT
from canister_factory.cli import main
from canister_factory.contract.artifacts import backend_interface, directory
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network
from support.hostile import (
    ATTACK,
    LONG,
    LONGEST_RUN,
    RAW,
    commands_on_a_backend,
    hostile_module,
    hostile_server,
    hostile_value,
)

# `upgrade` would make a backend of the hostile canister; to `owner backend` it is an argument.
COMMANDS = commands_on_a_backend(without=frozenset({"upgrade", "backend"}))
SILENT = {"alerts", "backend", "doctor"}
"""Groups that ask for more first, call none of its methods, or tell each refusal in a row of a table."""
BACKEND = "rwlgt-iiaaa-aaaaa-aaaaa-cai"
NOISY = ("--debug", "-vvv")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)  # some commands write there
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("hostile") / "key.pem"
    Identity.generate().write_pem(file)
    return file


@pytest.fixture(scope="module")
def canisters(network: Network, identity: Path) -> dict[str, str]:
    """The ids of three canisters with a backend's interface: their replies are Ok, Err, or rejects."""
    key = Identity.from_pem_file(identity)
    did = (directory() / "backend.did").read_bytes()

    async def make() -> dict[str, str]:
        made = {}
        async with Agent(key, network) as agent:
            management = ManagementCanister(agent)
            for mode in ("Ok", "Err", "reject"):
                canister = await management.provisional_create_canister_with_cycles(10**13)
                module = hostile_module(backend_interface(), did, mode, key.sender())
                await management.install(canister, module, b"")
                made[mode] = str(canister)
        return made

    return asyncio.run(make())


def run(command: list[str], *options: object) -> Result:
    return CliRunner().invoke(main, [*command, *map(str, options)])


def assert_harmless(result: Result) -> None:
    assert RAW & set(result.output) == set()
    assert [line for line in result.output.splitlines() if line.startswith("error: forged")] == []


def assert_cut(result: Result) -> None:
    runs = [len(run) for run in re.findall("A+", result.output)]
    assert max(runs, default=0) <= LONGEST_RUN


# --- A canister -----------------------------------------------------------------------------------------------------


@pytest.mark.sample(34)
@pytest.mark.parametrize("mode", ["Ok", "Err", "reject"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_hostile_canister_can_do_nothing_to_a_terminal(
    command: list[str], mode: str, canisters: dict[str, str], network: Network, identity: Path
) -> None:
    options = ["--network", network.url, "--root-key", network.root_key.hex(), "--identity", identity]
    options += ["--backend", canisters[mode]]
    for flags in ((), NOISY, ("--json",)):
        result = run(command, *options, *flags)
        assert_harmless(result)
        if "--json" not in flags:
            assert_cut(result)
        else:
            for line in result.stdout.splitlines():
                shown = json.loads(line)
                assert len(shown.get("error", {}).get("message", "")) < 4_100
        if mode == "reject" and not flags and command[0] not in SILENT:
            assert "gotcha\\x1b[2J" in result.stderr


def test_the_reply_of_a_call_is_escaped_and_still_candid_that_gives_the_same_text(
    canisters: dict[str, str], network: Network, identity: Path
) -> None:
    options = ["--network", network.url, "--root-key", network.root_key.hex(), "--identity", identity]
    result = run(["call", canisters["Ok"], "get_api_version"], *options)
    assert result.exit_code == 0, result.output
    assert_harmless(result)
    assert parse_args(result.stdout).values == (hostile_value(TEXT, "Ok", Identity.anonymous().sender()),)
    as_json = run(["call", canisters["Ok"], "get_api_version"], *options, "--json")
    assert_harmless(as_json)
    assert json.loads(as_json.stdout) == [hostile_value(TEXT, "Ok", Identity.anonymous().sender())]


def test_a_rejection_is_quoted_escaped_and_cut(canisters: dict[str, str], network: Network, identity: Path) -> None:
    options = ["--network", network.url, "--root-key", network.root_key.hex(), "--identity", identity]
    for method in ("get_api_version", "register"):
        result = run(["call", canisters["reject"], method], *options)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert "gotcha\\x1b[2J\\x1b]0;owned\\x07\\r" in result.stderr
        assert re.search(r"A… \([\d,]+ more characters\)", result.stderr)
        assert_harmless(result)
        assert_cut(result)


# --- A server -------------------------------------------------------------------------------------------------------

STATUS = cbor2.dumps(
    {"replica_health_status": LONG, "impl_version": LONG, "root_key": MAINNET_ROOT_KEY, "ic_api_version": LONG}
)
REJECTION = cbor2.dumps(
    {"status": "non_replicated_rejection", "reject_code": 4, "reject_message": LONG, "error_code": LONG}
)
HTML = f"<!DOCTYPE html><html><head><title>{ATTACK}</title></head><body>{LONG}</body></html>".encode()
ANSWERS = {
    "text": (400, LONG.encode(), "text/plain"),
    "html": (400, HTML, "text/html"),
    "rejection": (200, REJECTION, "application/cbor"),
    "a date that is none": (200, cbor2.dumps(cbor2.CBORTag(0, LONG)), "application/cbor"),
}


# A server that never certifies anything is asked again and again about calls that it may have taken, so that what
# isn't a rejection goes to commands that only ask.
QUESTIONS = [["doctor"], ["status"], ["list"], ["admin", "stats"], ["call", BACKEND, "whoami", "--query"]]
ASKED = [("rejection", command) for command in COMMANDS]
ASKED += [(answer, command) for answer in ANSWERS for command in QUESTIONS if (answer, command) not in ASKED]


@pytest.mark.sample(20)
@pytest.mark.parametrize(
    ("answer", "command"), ASKED, ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_a_hostile_server_can_do_nothing_to_a_terminal(command: list[str], answer: str, identity: Path) -> None:
    status, body, content_type = ANSWERS[answer]
    with hostile_server(status, body, STATUS, content_type) as url:
        options = ["--network", url, "--root-key", MAINNET_ROOT_KEY.hex(), "--identity", identity]
        options += [] if command[0] == "call" else ["--backend", BACKEND]
        for flags in ((), NOISY, ("--json",)):
            result = run(command, *options, *flags)
            assert result.exit_code != 0
            assert_harmless(result)
            assert_cut(result)
