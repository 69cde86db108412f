"""What the build promises: a backend without its optional feature, and no upgrade that the compiler knows to lose data.

These need Node.js, and the first time npm and a registry. Without them they skip, unless
`CANISTER_FACTORY_REQUIRE_SHARED` asks for everything.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.subtyping import explain_mismatch
from canister_factory.candid.types import Type
from support.backend_world import ADMIN, CANISTERS, OPERATOR, OWNER, RejectedError, World, encode_args, interface
from support.kept_builds import Files, kept
from support.motoko_compiler import require_compiler

pytestmark = [
    pytest.mark.begins_first,
    pytest.mark.timeout(600),  # the first one fetches the compiler, and compiles
]

SCRIPTS = CANISTERS.parent / "scripts"
RELEASES = CANISTERS / "releases"
FEATURE = "personal_canister_creation"
NAMES = ["backend", "personal"]


@pytest.fixture(scope="module")
def compiler() -> None:
    """Node.js and the Motoko compiler."""
    require_compiler()


def build_without_creation() -> Files:
    with tempfile.TemporaryDirectory() as out:
        built = build("--without", FEATURE, "--out", out)
        assert built.returncode == 0, built.stderr
        assert built.stderr == "", "the compiler has nothing to remark"
        return {path.name: path.read_bytes() for path in Path(out).iterdir()}


@pytest.fixture(scope="module")
def without_creation(compiler: None) -> Files:
    """The artifacts of a backend without the creation of personal canisters, by file name."""
    return kept(f"build-canisters --without {FEATURE}", build_without_creation)


# --- a build without the feature -------------------------------------------------------------------------------------


def methods(contract: Interface) -> dict[str, Type]:
    assert contract.service is not None
    return dict(contract.service.methods)


def capsule_and_roles() -> set[str]:
    """Names of the methods that every build has."""
    roles = {f"{verb}_{role}" for verb in ("add", "remove") for role in ("admin", "operator")}
    roles |= {"list_admins", "list_operators", "list_audit_log"}
    limits = {"set_quotas", "get_quotas", "get_user_quota", "set_capsule_switches", "get_capsule_switches"}
    whole = {"get_backend_ids", "get_inventory"}
    return set(methods(interface("personal"))) & set(methods(interface("backend"))) | roles | limits | whole


@pytest.mark.parametrize("file", ["backend.did", "backend.compiled.did"])
def test_a_backend_without_creation_has_the_capsule_api_and_the_roles_alone(without_creation: Files, file: str) -> None:
    built = methods(parse_did(without_creation[file].decode()))
    assert set(built) == capsule_and_roles()
    whole = methods(interface("backend"))
    for name, func in built.items():
        assert explain_mismatch(func, whole[name]) is None, name


def test_a_backend_without_creation_serves_capsules_and_knows_no_creation_method(
    without_creation: Files,
) -> None:
    world = World()
    world.capsule()
    memory_id = world.add_memory(100).value
    world.upgrade_backend(without_creation["backend.wasm.gz"])

    assert world.ok("get_memory_from_capsule", memory_id, sender=OWNER)["data"]["data"] == bytes(100)
    assert world.add_memory(5).tag == "Ok"
    world.ok("add_operator", OWNER, sender=ADMIN)
    assert set(world.ok("list_operators", sender=ADMIN)) >= {OPERATOR, OWNER}
    assert world.call("get_api_version", sender=OWNER) == "1.0.0"

    left_out = set(methods(interface("backend"))) - capsule_and_roles()
    assert {"create_personal_canister", "migrate_capsule", "claim_creation", "get_reserve_status"} <= left_out
    for name in left_out:
        call = world.submit(world.backend, name, encode_args((), ()), ADMIN)
        world.run()
        with pytest.raises(RejectedError, match="IC0536"):
            world.reply(call)


def test_a_backend_that_was_without_creation_for_a_while_has_lost_nothing(without_creation: Files) -> None:
    world = World()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    status, registry, reserve = world.status(), world.ok("list_registry", {}, sender=ADMIN), world.reserve()

    world.upgrade_backend(without_creation["backend.wasm.gz"])
    assert world.add_memory(5).value.tag == "Locked", "a creation in progress goes on protecting its capsule"
    world.upgrade_backend()

    assert (world.status(), world.ok("list_registry", {}, sender=ADMIN)) == (status, registry)
    assert world.reserve()["total_consumed"] == reserve["total_consumed"]
    world.approve()
    world.finalize(canister)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True


def test_a_feature_that_nobody_knows_is_refused(compiler: None, tmp_path: Path) -> None:
    refused = build("--without", "memories", "--out", str(tmp_path))
    assert refused.returncode == 1
    assert 'backend has no feature "memories"' in refused.stderr
    assert list(tmp_path.iterdir()) == []


# --- the script ------------------------------------------------------------------------------------------------------


def build(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [SCRIPTS / "build-canisters", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--only", "other"], "there is no canister other"),
        (["--without", FEATURE], "--without needs --out"),
        (["--check", "--out", "elsewhere"], "--check writes nothing"),
        (["--release", "next"], "a release is three numbers such as 0.2.0, not next"),
        (["--release", "0.2.0", "--only", "backend"], "--release records both canisters"),
        (["--out"], "--out needs a value"),
        (["--fast"], "there is no option --fast"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_make_no_sense_are_refused_before_anything_is_built(options: list[str], problem: str) -> None:
    refused = build(*options)
    assert refused.returncode == 2
    assert f"error: {problem}" in refused.stderr


@pytest.mark.parametrize(
    ("node", "problem"),
    [("exit 127", "Node.js isn't installed; version 18 or newer"), ("echo v16.20.2", "Node.js 16.20.2 is too old")],
)
def test_a_missing_or_old_node_is_named_with_the_version_that_is_needed(
    tmp_path: Path, node: str, problem: str
) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\n{node}\n")
    program.chmod(0o755)
    refused = build(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert refused.returncode == 1
    assert f"error: {problem}" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


# --- upgrades that would lose data -----------------------------------------------------------------------------------


def check_upgrade(previous: Path, present: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = ["node", CANISTERS / "check-upgrade.js", previous, present]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def latest_release() -> Path:
    return max(RELEASES.iterdir(), key=lambda path: [int(part) for part in path.name.split(".")])


@pytest.mark.parametrize("name", NAMES)
def test_canisters_of_the_latest_release_can_be_upgraded_to_this_build(compiler: None, name: str) -> None:
    found = check_upgrade(latest_release() / f"{name}.most", CANISTERS / "dist" / f"{name}.most")
    assert (found.returncode, found.stderr) == (0, "")


def test_the_build_without_creation_keeps_the_same_state(without_creation: Files) -> None:
    assert without_creation["backend.most"] == (CANISTERS / "dist" / "backend.most").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("var attempts : Nat64", "var attempts : Text", "the new type of stable variable `switches` is not compatible"),
        ("  stable leases : {var next : Nat64};\n", "", "the stable variable `leases` of the previous version cannot"),
    ],
    ids=["another type", "a variable dropped"],
)
def test_an_upgrade_that_would_lose_data_is_refused_in_the_compilers_words(
    compiler: None, tmp_path: Path, old: str, new: str, message: str
) -> None:
    previous = CANISTERS / "dist" / "backend.most"
    present = tmp_path / "backend.most"
    assert old in previous.read_text()
    present.write_text(previous.read_text().replace(old, new))
    refused = check_upgrade(previous, present)
    assert refused.returncode == 1
    assert message in refused.stderr


def test_a_variable_more_is_no_obstacle_to_an_upgrade(compiler: None, tmp_path: Path) -> None:
    previous = tmp_path / "backend.most"
    present = CANISTERS / "dist" / "backend.most"
    previous.write_text(present.read_text().replace("  stable leases : {var next : Nat64};\n", ""))
    assert (check_upgrade(previous, present).returncode, previous.read_text() != present.read_text()) == (0, True)
