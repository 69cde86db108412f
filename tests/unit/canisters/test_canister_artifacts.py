"""What is committed under canisters/dist belongs together, and generated sources are what their generator makes."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from canister_factory.candid.did import parse_did
from canister_factory.candid.subtyping import explain_mismatch
from support.backend_world import CANISTERS, OPERATOR
from support.build_record import complaint
from support.personal_world import PersonalWorld, sha256

DIST = CANISTERS / "dist"
NAMES = ["backend", "personal"]


def test_the_checksums_are_those_of_the_files() -> None:
    lines = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIST.iterdir()}
    del actual["SHA256SUMS"]
    assert {name: checksum for checksum, name in lines} == actual


def test_the_record_of_the_sources_names_every_motoko_file_and_what_builds_it() -> None:
    recorded = {line.split("  ")[1] for name in NAMES for line in (DIST / f"{name}.sources").read_text().splitlines()}
    folders = (CANISTERS / folder for folder in ("backend", "capsule", "capsule/sha256", "personal"))
    motoko = {str(path.relative_to(CANISTERS)) for folder in folders for path in folder.glob("*.mo")}
    contracts = {"backend/backend.did", "personal/personal.did"}
    scripts = {
        "build.js",
        "empty-argument.js",
        "limit-arguments.js",
        "sha256-block.js",
        "sources.js",
        "wasm-code.js",
        "wasm.js",
    }
    assert recorded == motoko | scripts | contracts | {"package-lock.json"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder of sources with a build of them."""
    for name, text in (("build.js", "driver"), ("capsule/Ids.mo", "ids"), ("capsule/Dates.mo", "dates")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "dist").mkdir()
    paths = ["build.js", "capsule/Dates.mo", "capsule/Ids.mo"]
    lines = [f"{sha256((tmp_path / path).read_bytes()).hex()}  {path}\n" for path in paths]
    (tmp_path / "dist" / "backend.sources").write_text("".join(lines))
    return tmp_path


def test_a_build_of_the_sources_that_are_there_is_no_reason_to_complain(built: Path) -> None:
    (built / "capsule" / "Ids.mo").touch()
    assert complaint(built) is None


def test_a_source_that_changed_or_came_or_went_since_the_build_is_named_with_the_remedy(built: Path) -> None:
    (built / "capsule" / "Ids.mo").write_text("other ids")
    (built / "capsule" / "Pages.mo").write_text("pages")
    (built / "build.js").unlink()
    assert complaint(built) == (
        "the canisters in canisters/dist are older than their sources (build.js, capsule/Ids.mo, capsule/Pages.mo); "
        "build them: scripts/build-canisters"
    )


def test_a_complaint_is_one_line_whatever_the_number_of_files(built: Path) -> None:
    for number in range(8):
        (built / "capsule" / f"New{number}.mo").write_text("new")
    assert "capsule/New4.mo and 3 more); build" in (complaint(built) or "")


@pytest.mark.parametrize("name", NAMES)
def test_the_module_carries_the_contract_and_answers_at_least_that(name: str) -> None:
    contract = (CANISTERS / name / f"{name}.did").read_bytes()
    assert (DIST / f"{name}.did").read_bytes() == contract
    assert contract in gzip.decompress((DIST / f"{name}.wasm.gz").read_bytes()), "candid:service is the contract"

    compiled = parse_did((DIST / f"{name}.compiled.did").read_text())
    wanted = parse_did(contract.decode())
    assert compiled.service is not None
    assert wanted.service is not None
    assert explain_mismatch(compiled.service, wanted.service) is None
    assert len(compiled.init_args) == len(wanted.init_args)
    for given, taken in zip(wanted.init_args, compiled.init_args, strict=True):
        assert explain_mismatch(given, taken) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_artifacts_depend_on_nothing_but_the_sources(name: str) -> None:
    header = (DIST / f"{name}.wasm.gz").read_bytes()[:10]
    assert header == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x02\xff", "gzip without a name, a time or an operating system"


def test_both_contracts_share_types_and_capsule_api() -> None:
    def shared(name: str) -> list[str]:
        text = (CANISTERS / name / f"{name}.did").read_text()
        types = text[text.index("// ---- Capsule: types") : text.index("// ---- end of the shared types")]
        api = text[text.index("// ---- Capsule API") : text.index("// ---- end of the capsule API")]
        return [types, api]

    assert shared("backend") == shared("personal")


def test_the_sha256_module_is_what_its_generator_makes() -> None:
    generator = CANISTERS / "capsule" / "sha256" / "generate.py"
    result = subprocess.run([sys.executable, str(generator), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_canister_hashes_every_length_as_the_standard_does() -> None:
    world = PersonalWorld()
    session = world.begin()
    material = bytes(range(256)) * 20
    lengths = [*range(1, 200), 4095, 4096, 4097]
    chunks = [
        {"memory_id": "mem-a", "index": n, "bytes": material[:n], "sha256": sha256(material[:n])} for n in lengths
    ]
    world.ok("put_memory_chunks", session, chunks, sender=OPERATOR)
    (pending,) = world.ok("get_import_status", {}, sender=OPERATOR)["pending"]
    stored = {chunk["index"]: chunk["sha256"] for chunk in pending["chunks"]}
    assert stored == {chunk["index"]: chunk["sha256"] for chunk in chunks}


def test_the_artifacts_are_small() -> None:
    assert sum(path.stat().st_size for path in DIST.iterdir()) < 1_500_000
