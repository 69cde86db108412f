"""icp-cli against the embedded replica, with this project's icp.yaml: builds, deployments, calls, status, cycles."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract import artifacts
from canister_factory.factory.deployment import FREEZING_THRESHOLD_S, WASM_MEMORY_LIMIT
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.process import ReplicaProcess
from canister_factory.replica.system_canisters.cycles_ledger import BLOCK_FEE, TEST_BALANCE
from support.icp_command import Icp

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_URL = "http://127.0.0.1:4944"
CREATION_FEE = 500_000_000_000
NOBODY = str(Principal(bytes.fromhex("fffffffffffffff00101")))  # no canister, though the subnet could give this id
LEDGER = "um5iw-rqaaa-aaaaq-qaaba-cai"


@pytest.fixture(scope="module")
def icp(icp_binary: Path, replica: ReplicaProcess, tmp_path_factory: pytest.TempPathFactory) -> Icp:
    return Icp.with_identities(icp_binary, tmp_path_factory.mktemp("icp-home"), replica)


def copied_project(folder: Path, replica: ReplicaProcess) -> Path:
    """The project with all that a build needs; its network `embedded` is the tests' replica, with a pinned root key."""
    shutil.copytree(REPOSITORY / "canisters", folder / "canisters", ignore=shutil.ignore_patterns("node_modules"))
    if (REPOSITORY / "canisters" / "node_modules").is_dir():
        (folder / "canisters" / "node_modules").symlink_to(REPOSITORY / "canisters" / "node_modules")
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    text = (REPOSITORY / "icp.yaml").read_text("utf-8")
    assert DEFAULT_URL in text
    assert "root-key: fetch" in text
    text = text.replace(DEFAULT_URL, replica.url).replace("root-key: fetch", f"root-key: {replica.root_key.hex()}")
    (folder / "icp.yaml").write_text(text, "utf-8")
    return folder


def without_builds(project: Path) -> Path:
    """The project with its committed artifacts as they are: what builds make of the sources is tested elsewhere."""
    text = (project / "icp.yaml").read_text("utf-8")
    script = re.compile(r" +- type: script\n +command: scripts/build-canisters --only \w+\n")
    shortened, removed = script.subn("", text)
    assert removed == 2
    (project / "icp.yaml").write_text(shortened, "utf-8")
    return project


def with_note(wasm_gz: bytes) -> bytes:
    """The same module with one more public custom section, and so with another hash."""
    name, content = b"icp:public note", b"second release"
    body = bytes([len(name)]) + name + content
    return gzip.compress(gzip.decompress(wasm_gz) + b"\0" + bytes([len(body)]) + body, mtime=0)


@dataclass
class Deployed:
    """A backend that `icp deploy` brought to the replica, from a project of its own."""

    project: Path
    id: str
    cost: int
    first_status: dict[str, Any]


@pytest.fixture(scope="module")
def deployed(icp: Icp, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    project = without_builds(copied_project(tmp_path_factory.mktemp("project"), icp.replica))
    before = icp.balance("owner")
    # With the 2 T that it creates canisters with otherwise, the backend would be below its operating minimum.
    icp.ok("deploy", "backend", "--cycles", "4t", "--environment", "embedded", "--identity", "owner", cwd=project)
    mapping = json.loads((project / ".icp" / "data" / "mappings" / "embedded.ids.json").read_text())
    cost = before - icp.balance("owner")
    return Deployed(project, mapping["backend"], cost, status(icp, mapping["backend"]))


def status(icp: Icp, canister: str, identity: str = "owner") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        icp.ok("canister", "status", canister, "--json", *icp.by_url, "--identity", identity)
    )
    return found


# --- the project --------------------------------------------------------------------------------------------------


def test_dfx_json_and_icp_yaml_describe_the_same_project() -> None:
    described = {
        name: (f"scripts/build-canisters --only {name}", f"canisters/dist/{name}.wasm.gz")
        for name in ("backend", "personal")
    }
    dfx = json.loads((REPOSITORY / "dfx.json").read_text())["canisters"]
    assert {name: (canister["build"], canister["wasm"]) for name, canister in dfx.items()} == described
    canister = re.compile(
        r"  - name: (\w+)\n    build:\n      steps:\n        - type: script\n          command: (.+)\n"
        r"        - type: pre-built\n          path: (.+)\n"
    )
    icp_yaml = (REPOSITORY / "icp.yaml").read_text("utf-8")
    assert {name: (build, wasm) for name, build, wasm in canister.findall(icp_yaml)} == described
    assert dfx["backend"]["initialization_values"] == {
        "freezing_threshold": FREEZING_THRESHOLD_S,
        "wasm_memory_limit": WASM_MEMORY_LIMIT,
    }
    settings = f"freezing_threshold: {FREEZING_THRESHOLD_S}\n      wasm_memory_limit: {WASM_MEMORY_LIMIT}\n"
    assert f"    settings:\n      {settings}" in icp_yaml
    for name, canister in dfx.items():
        wasm, did = REPOSITORY / canister["wasm"], REPOSITORY / canister["candid"]
        assert wasm.is_file()
        assert did.read_bytes() == (wasm.parent / f"{name}.did").read_bytes()
        assert os.access(REPOSITORY / canister["build"].split()[0], os.X_OK)


def test_icp_understands_the_project(icp: Icp) -> None:
    shown = icp.ok("project", "show", "--project-root-override", str(REPOSITORY))
    for line in ("canisters/dist/backend.wasm.gz", "canisters/dist/personal.wasm.gz", f"api-url: {DEFAULT_URL}/"):
        assert line in shown


def test_icp_build_makes_the_artifact_that_is_installed(icp: Icp, tmp_path: Path) -> None:
    """By our script, from the source; a small one here. What becomes of ours is the business of other tests."""
    project = copied_project(tmp_path, icp.replica)
    shutil.rmtree(project / "canisters" / "releases")  # which the small one can't succeed
    source = """
        // What the build changes in the compiled module has to be there.
        import CandidLimits "../capsule/CandidLimits";
        import Sha256 "../capsule/sha256/Sha256";
        persistent actor class Small(_init : ?Nat) {
          CandidLimits.setTypeTables<system>(1);
          CandidLimits.setValues<system>();
          public query func get_api_version() : async Text {
            if (Sha256.hash("").size() == 32) "built just now" else "";
          };
        };
    """
    (project / "canisters" / "personal" / "Main.mo").write_text(source)
    icp.ok("build", "personal", cwd=project)
    built = (project / ".icp" / "cache" / "artifacts" / "personal").read_bytes()
    assert built == (project / "canisters" / "dist" / "personal.wasm.gz").read_bytes()
    module = gzip.decompress(built)
    assert module.startswith(b"\0asm")
    assert b"built just now" in module
    assert b"icp:public candid:service" in module


# --- deploying ----------------------------------------------------------------------------------------------------


def test_deploy_creates_and_installs_the_backend_for_the_cycles_it_says(icp: Icp, deployed: Deployed) -> None:
    seen = deployed.first_status
    assert seen["module_hash"] == f"0x{artifacts.backend_wasm().module_hash.hex()}"
    assert seen["status"] == "Running"
    assert seen["settings"]["controllers"] == [icp.ok("identity", "principal", "--identity", "owner").strip()]
    assert deployed.cost == 4_000_000_000_000 + BLOCK_FEE
    kept = {name: seen["settings"][name].replace("_", "") for name in ("freezing_threshold", "wasm_memory_limit")}
    assert kept == {"freezing_threshold": str(FREEZING_THRESHOLD_S), "wasm_memory_limit": str(WASM_MEMORY_LIMIT)}


def test_an_upgrade_deploy_keeps_what_the_backend_knows(icp: Icp, deployed: Deployed) -> None:
    icp.call(deployed.id, "register_capsule", "()", identity="stranger")
    before = icp.call(deployed.id, "list_my_capsules", "()", "--query", identity="stranger")
    wasm = deployed.project / "canisters" / "dist" / "backend.wasm.gz"
    wasm.write_bytes(with_note(wasm.read_bytes()))
    icp.ok("deploy", "backend", "--environment", "embedded", "--identity", "owner", cwd=deployed.project)
    assert status(icp, deployed.id)["module_hash"] == f"0x{sha256(wasm.read_bytes()).hexdigest()}"
    assert icp.ok("canister", "metadata", deployed.id, "note", *icp.by_url).strip() == "second release"
    assert icp.call(deployed.id, "list_my_capsules", "()", "--query", identity="stranger") == before


# --- calling ------------------------------------------------------------------------------------------------------


def test_calls_and_queries_with_textual_arguments(icp: Icp, deployed: Deployed) -> None:
    principal = icp.ok("identity", "principal", "--identity", "owner").strip()
    assert icp.call(deployed.id, "whoami", "()", "--query") == f'(principal "{principal}")'
    assert icp.call(deployed.id, "whoami", "()") == f'(principal "{principal}")'
    assert "capsule_id" in icp.call(deployed.id, "register_capsule", "()")
    assert icp.call(deployed.id, "add_connection", '(variant { Opaque = "mum" })') == "(variant { Ok })"
    connections = icp.call(deployed.id, "list_connections", "()", "--query")
    assert 'peer = variant { Opaque = "mum" }' in connections
    assert "status = variant { Pending }" in connections


def test_json_output_has_the_answer_as_candid(icp: Icp, deployed: Deployed) -> None:
    answer = json.loads(icp.call(deployed.id, "get_api_version", "()", "--query", "--json"))
    assert answer["response_candid"] == f'("{artifacts.API_VERSION}")'


def test_a_project_calls_by_name(icp: Icp, deployed: Deployed) -> None:
    arguments = ("canister", "call", "backend", "get_api_version", "()", "--query", "--environment", "embedded")
    assert icp.ok(*arguments, cwd=deployed.project).strip() == f'("{artifacts.API_VERSION}")'


def test_a_reject_is_an_error_with_its_code(icp: Icp, deployed: Deployed) -> None:
    anonymous = [*icp.by_url, "--identity", "anonymous"]
    refused = icp.run("canister", "call", deployed.id, "register", "()", *anonymous)
    assert refused.returncode == 1
    assert 'error code Some("IC0503")' in refused.stderr
    missing = icp.run("canister", "call", deployed.id, "nonesuch", "()", *anonymous)
    assert missing.returncode == 1
    assert 'error code Some("IC0536")' in missing.stderr


def test_another_root_key_is_not_believed(icp: Icp, deployed: Deployed) -> None:
    other = ReplicaKeys.generate().root.public_key.hex()
    options = ("--network", icp.replica.url, "--root-key", other, "--identity", "owner")
    refused = icp.run("canister", "call", deployed.id, "whoami", "()", *options)
    assert refused.returncode == 1
    assert "ertificate" in refused.stderr
    assert "principal" not in refused.stdout


# --- canisters and cycles -----------------------------------------------------------------------------------------


def test_strangers_see_the_public_part_of_a_status(icp: Icp, deployed: Deployed) -> None:
    public = icp.ok("canister", "status", deployed.id, *icp.by_url, "--identity", "stranger")
    assert "Module hash: 0x" in public
    assert "Cycles" not in public
    nobody = icp.run("canister", "status", NOBODY, *icp.by_url, "--identity", "stranger")
    assert nobody.returncode == 1
    assert "not found" in nobody.stderr


def test_a_canisters_life_from_creation_to_deletion(icp: Icp) -> None:
    options = [*icp.by_url, "--identity", "stranger"]
    before = icp.balance("stranger")
    canister = icp.ok("canister", "create", "--detached", "--quiet", "--cycles", "1t", *options).strip()
    cycles = int(status(icp, canister, "stranger")["cycles"].replace("_", ""))
    assert 0.99 * CREATION_FEE < 10**12 - cycles < 1.01 * CREATION_FEE
    icp.ok("canister", "top-up", canister, "--amount", "1t", *options)
    assert before - icp.balance("stranger") == 2 * (10**12 + BLOCK_FEE)
    icp.ok("canister", "settings", "update", canister, "--freezing-threshold", "7d", *options)
    assert status(icp, canister, "stranger")["settings"]["freezing_threshold"] == "604_800"
    icp.ok("canister", "stop", canister, *options)
    assert status(icp, canister, "stranger")["status"] == "Stopped"
    icp.ok("canister", "start", canister, *options)
    icp.ok("canister", "stop", canister, *options)
    icp.ok("canister", "delete", canister, *options)
    assert "not found" in icp.run("canister", "status", canister, *options).stderr
    # Deleting brings most of the canister's cycles back to the ledger.
    assert before - icp.balance("stranger") < 10**12


def test_everybody_has_the_test_balance(icp: Icp) -> None:
    arguments = '(record { owner = principal "aaaaa-aa"; subaccount = null })'
    answer = icp.call(LEDGER, "icrc1_balance_of", arguments, "--query", identity="anonymous")
    assert answer.replace("_", "") == f"({TEST_BALANCE} : nat)"
