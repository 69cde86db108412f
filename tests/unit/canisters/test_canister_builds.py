"""What the build promises: a backend without its optional feature, and no upgrade that the compiler knows to lose data.

These need Node.js, and the first time npm and a registry. Without them they skip, unless
`CANISTER_FACTORY_REQUIRE_SHARED` asks for everything.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from backend_world import ADMIN, CANISTERS, OPERATOR, OWNER, RejectedError, World, encode_args, interface

from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.subtyping import explain_mismatch
from canister_factory.candid.types import Type

SCRIPTS = CANISTERS.parent / "scripts"
RELEASES = CANISTERS / "releases"
FEATURE = "personal_canister_creation"
NAMES = ["backend", "personal"]


@pytest.fixture(scope="session")
def compiler() -> None:
    """Node.js and the pinned Motoko compiler."""
    script = f"set -e; source '{SCRIPTS}/lib/motoko.sh'; ensure_compiler"
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return
    reason = f"the Motoko compiler can't be run: {found.stderr.strip().splitlines()[-1]}"
    if os.environ.get("CANISTER_FACTORY_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, and CANISTER_FACTORY_REQUIRE_SHARED asks for it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def without_creation(compiler: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a backend without the creation of personal canisters, built once for all tests."""
    out = tmp_path_factory.mktemp("without-creation")
    command = [SCRIPTS / "build-canisters", "--without", FEATURE, "--out", out]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert built.stderr == "", "the compiler has nothing to remark"
    return out


# --- a build without the feature -------------------------------------------------------------------------------------


def methods(contract: Interface) -> dict[str, Type]:
    assert contract.service is not None
    return dict(contract.service.methods)


def capsule_and_roles() -> set[str]:
    """Names of the methods that every build has."""
    roles = {"add_admin", "remove_admin", "list_admins", "add_operator", "remove_operator", "list_operators"}
    return set(methods(interface("personal"))) & set(methods(interface("backend"))) | roles


@pytest.mark.parametrize("file", ["backend.did", "backend.compiled.did"])
def test_a_backend_without_creation_has_the_capsule_api_and_the_roles_alone(without_creation: Path, file: str) -> None:
    built = methods(parse_did((without_creation / file).read_text()))
    assert set(built) == capsule_and_roles()
    whole = methods(interface("backend"))
    for name, func in built.items():
        assert explain_mismatch(func, whole[name]) is None, name


def test_a_backend_without_creation_serves_capsules_and_knows_no_creation_method(without_creation: Path) -> None:
    world = World()
    world.capsule()
    memory_id = world.add_memory(100).value
    world.upgrade_backend((without_creation / "backend.wasm.gz").read_bytes())

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


def test_a_backend_that_was_without_creation_for_a_while_has_lost_nothing(without_creation: Path) -> None:
    world = World()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    status, registry, reserve = world.status(), world.ok("list_registry", {}, sender=ADMIN), world.reserve()

    world.upgrade_backend((without_creation / "backend.wasm.gz").read_bytes())
    assert world.add_memory(5).value.tag == "Locked", "a creation in progress goes on protecting its capsule"
    world.upgrade_backend()

    assert (world.status(), world.ok("list_registry", {}, sender=ADMIN)) == (status, registry)
    assert world.reserve()["total_consumed"] == reserve["total_consumed"]
    world.approve()
    world.finalize(canister)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True


def test_a_feature_that_nobody_knows_is_refused(compiler: None, tmp_path: Path) -> None:
    command = [SCRIPTS / "build-canisters", "--without", "memories", "--out", tmp_path]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert 'backend has no feature "memories"' in refused.stderr
    assert list(tmp_path.iterdir()) == []


# --- upgrades that would lose data -----------------------------------------------------------------------------------


def check_upgrade(previous: Path, present: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", CANISTERS / "check-upgrade.js", previous, present]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def latest_release() -> Path:
    return max(RELEASES.iterdir(), key=lambda path: [int(part) for part in path.name.split(".")])


@pytest.mark.parametrize("name", NAMES)
def test_canisters_of_the_latest_release_can_be_upgraded_to_this_build(compiler: None, name: str) -> None:
    found = check_upgrade(latest_release() / f"{name}.most", CANISTERS / "dist" / f"{name}.most")
    assert (found.returncode, found.stderr) == (0, "")


def test_the_build_without_creation_keeps_the_same_state(without_creation: Path) -> None:
    assert (without_creation / "backend.most").read_text() == (CANISTERS / "dist" / "backend.most").read_text()


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
