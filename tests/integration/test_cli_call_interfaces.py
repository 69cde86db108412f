"""`canister-factory call` of canisters whose interface is missing, broken, private or wrong: nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canister_factory.candid import leb128
from canister_factory.cli import main
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network

wasmtime = pytest.importorskip("wasmtime", reason="the canister is written in WebAssembly's text form")

# Replies with its argument; `count` says in one byte how often an update ran; `noise` replies with what is no Candid.
ECHO = """
(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (data (i32.const 0) "DIDL\\00\\01\\7b\\00")
  (func $again (call $copy (i32.const 16) (i32.const 0) (call $size)) (call $append (i32.const 16) (call $size)))
  (func $update
    (i32.store8 (i32.const 7) (i32.add (i32.load8_u (i32.const 7)) (i32.const 1)))
    (call $again) (call $reply))
  (func $query (call $again) (call $reply))
  (func $count (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func $noise (call $append (i32.const 4) (i32.const 3)) (call $reply))
  (export "canister_update echo" (func $update))
  (export "canister_query peek" (func $query))
  (export "canister_query count" (func $count))
  (export "canister_update noise" (func $noise)))
"""
DID = "service : { echo : (text) -> (text); peek : (text) -> (text) query; count : () -> (nat8) query }"
Make = Callable[[dict[str, bytes]], str]


def module(sections: dict[str, bytes]) -> bytes:
    """The Wasm module with these custom sections."""
    wasm = bytes(wasmtime.wat2wasm(ECHO))
    for name, content in sections.items():
        body = bytes([len(name)]) + name.encode() + content
        wasm += b"\x00" + leb128.unsigned(len(body)) + body
    return wasm


@pytest.fixture
def make(network: Network) -> Make:
    def make(sections: dict[str, bytes]) -> str:
        async def work() -> str:
            async with Agent(Identity.generate(), network) as agent:
                management = ManagementCanister(agent)
                canister = await management.provisional_create_canister_with_cycles(10**13)
                await management.install_code(canister, module(sections), b"")
                return str(canister)

        return asyncio.run(work())

    return make


@pytest.fixture
def call(network: Network) -> Callable[..., Result]:
    def call(canister: str, *args: str) -> Result:
        options = ["--network", network.url, "--root-key", network.root_key.hex()]
        return CliRunner().invoke(main, ["call", canister, *args, *options])

    return call


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({}, "is missing"),
        ({"icp:public candid:service": b"service : { echo : (Text) -> () }"}, "type Text is not defined"),
        ({"icp:public candid:service": b"\xff\xfe"}, "is not UTF-8 at byte 0"),
        ({"icp:public candid:service": b'import "other.did"; service : {}'}, "import of 'other.did' refused"),
        ({"icp:public candid:service": b"type A = nat;"}, "describes no service"),
        ({"icp:public candid:service": b"service : { echo : async (text) -> () }"}, "1:26: unexpected '('"),
        ({"icp:private candid:service": DID.encode()}, "may not be read"),
    ],
)
def test_a_call_goes_on_without_an_interface_and_says_why(
    make: Make, call: Callable[..., Result], sections: dict[str, bytes], why: str
) -> None:
    canister = make(sections)
    said = call(canister, "echo", '("hello", 5 : nat)')
    assert said.exit_code == 0, said.output
    assert said.stdout == '("hello", 5 : nat)\n'
    assert why in said.stderr
    assert "types are taken from the values" in said.stderr


def test_a_network_that_is_away_is_an_error_not_a_missing_interface() -> None:
    said = CliRunner().invoke(main, ["call", "rwlgt-iiaaa-aaaaa-aaaaa-cai", "echo", "--network", "http://127.0.0.1:9"])
    assert said.exit_code != 0
    assert "types are taken from the values" not in said.stderr


def test_a_reply_that_the_interface_cannot_show_is_shown_by_its_own_types_with_the_interfaces_names(
    make: Make, call: Callable[..., Result], tmp_path: Path
) -> None:
    canister = make({})
    wrong = tmp_path / "wrong.did"
    wrong.write_text("service : { echo : (record { name : text; age : nat }) -> (record { name : nat; age : text }) }")
    said = call(canister, "echo", '(record { name = "Ada"; age = 36 })', "--did", str(wrong))
    assert said.exit_code == 0, said.output
    assert said.stdout == '(record { age = 36 : nat; name = "Ada" })\n'
    assert "the reply does not match the interface" in said.stderr
    as_json = call(canister, "echo", '(record { name = "Ada"; age = 36 })', "--did", str(wrong), "--output", "json")
    assert json.loads(as_json.stdout) == [{"age": "36", "name": "Ada"}]
    assert "the reply does not match the interface" in as_json.stderr


@pytest.mark.parametrize("known", [True, False])
def test_a_reply_that_is_no_candid_is_shown_in_hexadecimal(
    make: Make, call: Callable[..., Result], tmp_path: Path, known: bool
) -> None:
    canister = make({})
    (tmp_path / "noise.did").write_text("service : { noise : () -> (nat) }")
    did = ["--did", str(tmp_path / "noise.did")] if known else []
    said = call(canister, "noise", *did)
    assert said.exit_code == 0, said.output
    assert said.stdout == "00017b\n"
    assert "can't be shown as text" in said.stderr
    as_json = call(canister, "noise", *did, "--json")
    assert as_json.exit_code == 0
    assert json.loads(as_json.stdout)["reply_hex"] == "00017b"
    assert "DIDL" in json.loads(as_json.stdout)["problem"]


def test_an_update_whose_reply_cannot_be_shown_ran_once(
    make: Make, call: Callable[..., Result], tmp_path: Path
) -> None:
    canister = make({"icp:public candid:service": DID.replace("-> (text);", "-> (nat);", 1).encode()})
    assert call(canister, "echo", '("x")').stdout == '("x")\n'
    assert call(canister, "count").stdout == "(1 : nat8)\n"


def test_json_keeps_labels_that_collide_and_large_numbers(make: Make, call: Callable[..., Result]) -> None:
    said = call(
        make({}), "echo", '(record { 1 = "number"; "1" = 18_446_744_073_709_551_616 : nat })', "--output", "json"
    )
    assert json.loads(said.stdout) == [{"_1_": "number", "_49_": "18446744073709551616"}]


def test_an_interface_file_may_import_others(make: Make, call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "word.did").write_text(
        'import "../main.did"; type Word = text;'.replace("../main", "../more")
    )
    (tmp_path / "more.did").write_text('import "types/word.did"; service : { peek : (Word) -> (Word) query }')
    (tmp_path / "main.did").write_text('import service "more.did"; service : { echo : (Word) -> (Word) }')
    canister = make({})
    for method in ("peek", "echo"):
        said = call(canister, method, '"imported"', "--did", str(tmp_path / "main.did"))
        assert (said.exit_code, said.stdout) == (0, '("imported")\n'), said.output


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"service : {", "broken.did:1:12: the text ends too early"),
        (b'import "none.did"; service : {}', "broken.did:1:8: 'none.did' can't be imported: No such file or directory"),
        (b"service\xff", "broken.did is not UTF-8: byte 7 is 0xff"),
    ],
)
def test_a_broken_file_that_was_named_is_an_error_of_one_line(
    call: Callable[..., Result], tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "broken.did").write_bytes(content)
    said = call("rwlgt-iiaaa-aaaaa-aaaaa-cai", "echo", "--did", str(tmp_path / "broken.did"))
    assert said.exit_code in (1, 2)
    assert complaint in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_an_argument_file_that_is_not_utf8_is_an_error_of_one_line(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "args").write_bytes('("é")'.encode("latin-1"))
    said = call("rwlgt-iiaaa-aaaaa-aaaaa-cai", "echo", "--args-file", str(tmp_path / "args"))
    assert said.exit_code == 2
    assert said.stderr == f"error: {tmp_path / 'args'} is not UTF-8: byte 2 is 0xe9\n"


@pytest.mark.parametrize(
    ("types", "typed", "complaint"),
    [
        ("text", "hello", "1:1: unexpected 'hello'; a text is quoted: \"hello\"; did you mean '(\"hello\")'?"),
        ("text", " 5", "1:2: expected text, got an integer; did you mean '(\"5\")'?"),
        ("opt text", "it's", "did you mean '(\"it'\"'\"'s\")'?"),
        ("principal", "2VXSX-fae", "did you mean '(principal \"2vxsx-fae\")'?"),
        (
            'record { "opt" : nat }',
            "(\n record { opt = 1 })",
            "2:11: opt is a word of the language; as a name it is quoted",
        ),
    ],
)
def test_a_bare_word_is_refused_with_a_hint(
    make: Make, call: Callable[..., Result], types: str, typed: str, complaint: str
) -> None:
    did = f"service : {{ echo : ({types}) -> () }}"
    said = call(make({"icp:public candid:service": did.encode()}), "echo", typed)
    assert said.exit_code == 1
    assert complaint in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_the_management_canister_has_the_specifications_interface(make: Make, call: Callable[..., Result]) -> None:
    canister = make({})
    assert "no method take_canister_snapshots. It has: take_canister_snapshot" in (
        call("aaaaa-aa", "take_canister_snapshots").stderr
    )
    key = 'record { curve = variant { secp256k1 }; name = "k" }'
    argument = f'(record {{ canister_id = opt principal "{canister}"; derivation_path = vec {{}}; key_id = {key} }})'
    said = call("aaaaa-aa", "ecdsa_public_key", argument)
    assert said.exit_code == 1  # the embedded replica hasn't this method, and says so itself
    assert "doesn't offer the management method ecdsa_public_key: it has no threshold keys" in said.stderr


@pytest.mark.parametrize("how", [[], ["--update"]])
def test_a_canisters_status_is_shown_by_query_and_by_update(
    network: Network, how: list[str], tmp_path: Path, call: Callable[..., Result]
) -> None:
    settings = "settings = opt record { status_visibility = opt variant { public } }"
    created = call(
        "aaaaa-aa",
        "provisional_create_canister_with_cycles",
        f"(record {{ amount = opt 1_000_000_000_000; {settings} }})",
    )
    canister = created.stdout.split('"')[1]
    said = call("aaaaa-aa", "canister_status", f'record {{ canister_id = principal "{canister}" }}', *how, "--json")
    assert said.exit_code == 0, said.output
    (status,) = json.loads(said.stdout)
    assert status["status"] == {"running": None}
    assert status["settings"]["status_visibility"] == {"public": None}
    assert status["memory_metrics"]["log_memory_store_size"] == "0"


def test_principals_on_the_command_line_may_be_in_upper_case(make: Make, call: Callable[..., Result]) -> None:
    canister = make({})
    assert call(canister.upper(), "echo", f'(principal "{canister.upper()}")').stdout == f'(principal "{canister}")\n'


def test_the_interface_that_a_canister_publishes_is_used(make: Make, call: Callable[..., Result]) -> None:
    said = call(make({"icp:public candid:service": DID.encode()}), "peek", '"quietly"')
    assert (said.stdout, said.stderr) == ('("quietly")\n', "")
