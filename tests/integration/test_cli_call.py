"""`canister-factory call` as a person types it, against a real backend."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canister_factory.cli import main
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network


@dataclass(frozen=True)
class Person:
    """Somebody with a PEM file, and a backend to call."""

    network: list[str]
    pem: Path
    backend: str
    principal: str

    def call(self, *args: str, stdin: str | None = None) -> Result:
        command = ["call", self.backend, *args, *self.network, "--identity", str(self.pem)]
        return CliRunner().invoke(main, command, input=stdin)


@pytest.fixture(scope="module")
def person(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Person:
    pem = tmp_path_factory.mktemp("call") / "person.pem"
    identity = Identity.generate()
    identity.write_pem(pem)
    options = ["--network", network.url, "--root-key", network.root_key.hex()]
    deployed = CliRunner().invoke(main, ["deploy", *options, "--identity", str(pem), "--json"])
    assert deployed.exit_code == 0, deployed.output
    return Person(options, pem, json.loads(deployed.stdout)["backend_id"], str(identity.sender()))


def test_a_call_without_arguments_prints_the_reply_in_textual_candid(person: Person) -> None:
    assert person.call("whoami").stdout == f'(principal "{person.principal}")\n'


def test_arguments_are_read_with_the_types_of_the_canisters_own_interface(person: Person) -> None:
    assert person.call("register_capsule", "()").exit_code == 0
    said = person.call("list_capsule_memories", "(null, record { limit = opt 5 })")
    assert said.exit_code == 0, said.output
    assert "total = 0" in said.stdout


def test_a_call_loads_none_of_the_contracts_models(person: Person) -> None:
    run_and_tell = (
        "import sys, canister_factory.cli as cli; cli.main(sys.argv[1:], standalone_mode=False);"
        "print(*[name for name in sys.modules if name == 'pydantic' or name.startswith('canister_factory.contract')])"
    )
    command = [sys.executable, "-c", run_and_tell, "call", person.backend, "whoami", *person.network]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines() == ['(principal "2vxsx-fae")', ""]


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_long_arguments_come_from_a_file_or_from_stdin(person: Person, tmp_path: Path, source: str) -> None:
    blob = "\\ab" * 200_000  # more than a command line may hold
    text = (
        '(record { blob_ref = record { kind = variant { ICPCapsule }; locator = "" }; '
        f'data = opt blob "{blob}" }}, '
        'record { memory_type = variant { Document }; name = "long"; content_type = "application/octet-stream" })'
    )
    person.call("register_capsule", "()")
    (tmp_path / "args").write_text(text)
    said = person.call(
        "add_memory_to_capsule", "--args-file", "-" if source == "stdin" else str(tmp_path / "args"), stdin=text
    )
    assert said.exit_code == 0, said.output[:500]
    memory_id = said.stdout.split('"')[1]
    chunk = person.call("read_memory_chunk", f'("{memory_id}", 0)', "--output", "hex")
    assert bytes.fromhex(chunk.stdout).endswith(b"\xab" * 200_000)


def test_arguments_given_twice_are_a_usage_error(person: Person) -> None:
    said = person.call("whoami", "()", "--args-file", "-", stdin="()")
    assert said.exit_code == 2
    assert "ARGS are given twice" in said.stderr


def test_a_method_that_is_not_there_is_named_with_those_that_are_like_it(person: Person) -> None:
    said = person.call("whoam1")
    assert said.exit_code == 2
    assert "no method whoam1" in said.stderr
    assert "whoami" in said.stderr


def test_malformed_arguments_are_pointed_at(person: Person) -> None:
    said = person.call("get_capsule", "(record { a = })")
    assert said.exit_code == 1
    assert "1:" in said.stderr


def test_a_refusal_by_the_canister_is_its_reply(person: Person) -> None:
    said = person.call("get_capsule", '("no such capsule")')
    assert said.exit_code == 0
    assert "variant { Err = variant { NotFound" in " ".join(said.stdout.split())
