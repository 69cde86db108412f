"""icp-cli's commands about one canister against the embedded replica: snapshots, logs, settings, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canister_factory.replica.node.process import ReplicaProcess
from support.icp_command import Icp
from support.replica_puppet import puppet

# A counter in memory, and one in a global.
COUNTERS = """
  (global $turns (mut i64) (i64.const 100))
  (data (i32.const 8192) "DIDL\\00\\01\\78")
  (func $answer (param $number i64) (i64.store (i32.const 8199) (local.get $number))
    (call $append (i32.const 8192) (i32.const 15)) (call $reply))
  (func (export "canister_update turn")
    (global.set $turns (i64.add (global.get $turns) (i64.const 1))) (call $answer (global.get $turns)))
  (func (export "canister_update tally") (call $count) (call $answer (i64.extend_i32_u (i32.load (i32.const 0)))))
  (func (export "canister_update talk") (call $print (i32.const 64) (i32.const 6)) (call $answer (i64.const 0)))
"""


@pytest.fixture(scope="module")
def icp(icp_binary: Path, replica: ReplicaProcess, tmp_path_factory: pytest.TempPathFactory) -> Icp:
    return Icp.with_identities(icp_binary, tmp_path_factory.mktemp("icp-home"), replica)


class Canister:
    """A canister that `icp` made and installed."""

    def __init__(self, icp: Icp, folder: Path) -> None:
        self.icp = icp
        self.id = icp.ok("canister", "create", "--detached", "--quiet", "--cycles", "3t", *self.options).strip()
        wasm = folder / "counters.wasm"
        wasm.write_bytes(puppet(COUNTERS))
        self.run("install", "--wasm", str(wasm))

    @property
    def options(self) -> list[str]:
        return [*self.icp.by_url, "--identity", "owner"]

    def run(self, *command: str, identity: str = "owner") -> str:
        """Standard output of `icp canister ... <this canister>`, or of `icp canister snapshot ...`."""
        words = 2 if command[0] in ("snapshot", "settings") else 1
        named = (*command[:words], self.id, *command[words:])
        return self.icp.ok("canister", *named, *self.icp.by_url, "--identity", identity)

    def json(self, *command: str) -> Any:
        return json.loads(self.run(*command, "--json"))

    def called(self, method: str) -> int:
        answer = self.icp.call(self.id, method, "()")
        found = re.search(r"([\d_]+) : nat64", answer)
        assert found, answer
        return int(found[1].replace("_", ""))


@pytest.fixture
def canister(icp: Icp, tmp_path: Path) -> Iterator[Canister]:
    made = Canister(icp, tmp_path)
    yield made
    icp.run("canister", "stop", made.id, *made.options)
    icp.run("canister", "delete", made.id, *made.options)


# --- snapshots ----------------------------------------------------------------------------------------------------


def test_a_snapshot_is_created_listed_restored_and_deleted(canister: Canister) -> None:
    assert (canister.called("tally"), canister.called("turn")) == (1, 101)
    canister.run("stop")
    taken = canister.run("snapshot", "create", "--quiet").strip()
    assert re.fullmatch(r"[0-9a-f]{36}", taken)
    canister.run("start")
    assert (canister.called("tally"), canister.called("turn")) == (2, 102)
    assert taken in canister.run("snapshot", "list")
    canister.run("stop")
    canister.run("snapshot", "restore", taken)
    canister.run("start")
    assert (canister.called("tally"), canister.called("turn")) == (2, 102)
    canister.run("stop")
    newer = canister.run("snapshot", "create", "--quiet", "--replace", taken).strip()
    listed = canister.run("snapshot", "list")
    assert newer in listed
    assert taken not in listed
    canister.run("snapshot", "delete", newer)
    assert newer not in canister.run("snapshot", "list")


def test_a_snapshot_is_downloaded_and_uploaded_to_another_canister(
    icp: Icp, canister: Canister, tmp_path: Path
) -> None:
    assert (canister.called("tally"), canister.called("turn")) == (1, 101)
    canister.run("stop")
    taken = canister.run("snapshot", "create", "--quiet").strip()
    copy = tmp_path / "snapshot"
    canister.run("snapshot", "download", taken, "--output", str(copy))
    assert (copy / "wasm_module.bin").read_bytes() == puppet(COUNTERS)
    assert (copy / "wasm_memory.bin").stat().st_size == 2 * 65_536
    other = Canister(icp, tmp_path)
    other.run("stop")
    uploaded = other.run("snapshot", "upload", "--input", str(copy), "--quiet").strip()
    other.run("snapshot", "restore", uploaded)
    other.run("start")
    assert (other.called("tally"), other.called("turn")) == (2, 102)


# --- logs ---------------------------------------------------------------------------------------------------------


def test_logs_are_shown_whole_and_by_their_numbers(canister: Canister) -> None:
    for _ in range(3):
        canister.called("talk")
    records = canister.json("logs")["log_records"]
    assert len(records) == 3
    first = records[0]["index"]
    some = canister.json("logs", "--since-index", str(first + 1), "--until-index", str(first + 2))["log_records"]
    assert [record["index"] for record in some] == [first + 1]


# --- settings -----------------------------------------------------------------------------------------------------

CHANGES = {
    "compute_allocation": ("--compute-allocation", "1", 1),
    "freezing_threshold": ("--freezing-threshold", "1d", 86_400),
    "memory_allocation": ("--memory-allocation", "10mib", 10 << 20),
    "reserved_cycles_limit": ("--reserved-cycles-limit", "4t", 4 * 10**12),
    "wasm_memory_limit": ("--wasm-memory-limit", "2gib", 2 << 30),
    "wasm_memory_threshold": ("--wasm-memory-threshold", "1mib", 1 << 20),
    "log_memory_limit": ("--log-memory-limit", "8kib", 8 << 10),
}


def number(limbs: list[int]) -> int:
    """A number as `icp` writes it in JSON: 32 bits each, the lowest first."""
    return sum(limb << (32 * place) for place, limb in enumerate(limbs))


def test_each_setting_is_changed_and_shown(canister: Canister) -> None:
    options = [word for option, text, _ in CHANGES.values() for word in (option, text)]
    visible = [f"--{thing}-visibility" for thing in ("log", "snapshot", "status")]
    options += [word for option in visible for word in (option, "public")]
    canister.run("settings", "update", *options, "--add-environment-variable", "A=1")
    shown = canister.json("settings", "show")
    assert {name: number(shown[name]) for name in CHANGES} == {name: value for name, (_, _, value) in CHANGES.items()}
    assert shown["environment_variables"] == [{"name": "A", "value": "1"}]
    assert [shown[f"{thing}_visibility"] for thing in ("log", "snapshot", "status")] == ["public"] * 3


def test_a_status_that_is_public_is_shown_to_strangers(canister: Canister) -> None:
    assert "Cycles" not in canister.run("status", identity="stranger")
    canister.run("settings", "update", "--status-visibility", "public")
    assert "Cycles" in canister.run("status", identity="stranger")
