"""What is committed under canisters/dist belongs together, and generated sources are what their generator makes."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys

import pytest

from canister_factory.candid.did import parse_did
from canister_factory.candid.subtyping import explain_mismatch
from support.backend_world import CANISTERS, OPERATOR
from support.personal_world import PersonalWorld, sha256

DIST = CANISTERS / "dist"
NAMES = ["backend", "personal"]


def test_the_checksums_are_those_of_the_files() -> None:
    lines = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIST.iterdir()}
    del actual["SHA256SUMS"]
    assert {name: checksum for checksum, name in lines} == actual


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
