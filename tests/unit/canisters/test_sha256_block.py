"""SHA-256 in the canisters: handwritten in what is built, Motoko as its source; both give what the standard says.

What compiles needs Node.js, and the first time npm and a registry. It skips without them, unless
`CANISTER_FACTORY_REQUIRE_SHARED` asks for everything.
"""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from itertools import accumulate, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.backend_world import CANISTERS, OWNER, World
from support.motoko_compiler import require_compiler
from support.personal_world import PersonalWorld, new_memory, sha256
from support.sha256_probe import GC_FLAGS, Probe, compiled

pytestmark = [pytest.mark.begins_first, pytest.mark.timeout(600)]

# FIPS 180-4's examples as NIST publishes them ("Cryptographic Standards and Guidelines: Examples with Intermediate
# Values"), and the first and the longest of its test vectors.
VECTORS = [
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
]
MATERIAL = bytes(number * number % 251 for number in range(1024))
BOUNDARIES = [64 * blocks + rest for blocks in (0, 1, 2, 3, 7) for rest in (0, 1, 54, 55, 56, 57, 62, 63)]


every_canister = pytest.mark.parametrize("canister", list(GC_FLAGS))


@cache
def probe(canister: str, form: str) -> Probe:
    require_compiler()
    return Probe(canister, reference=form == "reference")


every_form = pytest.mark.parametrize(("canister", "form"), list(product(GC_FLAGS, ["reference", "replaced"])))


# --- digests ---------------------------------------------------------------------------------------------------------


@every_form
@pytest.mark.parametrize(("message", "digest"), VECTORS, ids=["nothing", "abc", "two-blocks", "a-million"])
def test_the_published_vectors_have_their_digests(canister: str, form: str, message: bytes, digest: str) -> None:
    asked = probe(canister, form)
    assert asked.hash(message).digests[0].hex() == digest
    assert asked.digests([message]).digests[0].hex() == digest


@every_form
@settings(deadline=None)
@given(length=st.sampled_from(BOUNDARIES) | st.integers(0, 900), start=st.integers(0, 100), seed=st.binary(max_size=8))
def test_any_length_at_any_place_has_the_digest_of_the_standard(
    canister: str, form: str, length: int, start: int, seed: bytes
) -> None:
    data = (seed + MATERIAL)[: start + length]
    assert probe(canister, form).hash_from(data, start).digests == [hashlib.sha256(data[start:]).digest()]


@every_form
@settings(deadline=None)
@given(sizes=st.lists(st.sampled_from(BOUNDARIES) | st.integers(0, 200), max_size=8))
def test_parts_of_any_sizes_have_the_digests_of_what_they_make_together(
    canister: str, form: str, sizes: list[int]
) -> None:
    parts = [MATERIAL[number : number + size] for number, size in enumerate(sizes)]
    wanted = [hashlib.sha256(whole).digest() for whole in accumulate(parts)]
    assert probe(canister, form).digests(parts).digests == wanted


@every_canister
def test_a_hash_goes_on_over_messages_while_its_objects_are_moved(canister: str) -> None:
    asked, whole = probe(canister, "replaced"), hashlib.sha256()
    for number in range(40):
        part = MATERIAL[number:] * 1500
        whole.update(part)
        assert asked.append(part).digests == [whole.digest()]
    assert asked.reclaimed() > 30_000_000, "or nothing was collected, and nothing moved"


# --- what is built ---------------------------------------------------------------------------------------------------


def stored_digest(world: World, data: bytes) -> bytes:
    """What the canister says is the hash of a chunk, which it is told is another."""
    request = {"memory": new_memory(), "total_size": len(data), "chunk_size": len(data)}
    upload_id = world.ok("begin_memory_upload", request, sender=OWNER)["upload_id"]
    problem = world.err("put_memory_upload_chunk", upload_id, 0, data, bytes(32), sender=OWNER)
    world.ok("abort_memory_upload", upload_id, sender=OWNER)
    assert problem.tag == "ChecksumMismatch"
    digest: bytes = problem.value["actual"]
    return digest


def built(canister: str) -> World:
    """The canister in canisters/dist, and its owner's capsule there."""
    if canister == "backend":
        world = World()
        world.capsule()
        return world
    personal = PersonalWorld()
    personal.imported()
    return personal


@every_canister
def test_a_built_canister_hashes_any_length_as_the_standard_does(canister: str) -> None:
    world = built(canister)
    for length in [*BOUNDARIES[1:], 900, 4095, 4096, 100_001]:
        data = (MATERIAL * 100)[:length]
        assert stored_digest(world, data) == sha256(data), length


@every_canister
def test_a_built_canister_hashes_with_the_handwritten_block(canister: str) -> None:
    world, taken = built(canister), []
    for size in (100_000, 1_100_000):
        before = world.subnet.state.instructions
        stored_digest(world, bytes(size))
        taken.append(world.subnet.state.instructions - before)
    assert taken[1] - taken[0] < 85 * 1_000_000


@every_canister
def test_the_handwritten_block_takes_half_of_what_motoko_takes(canister: str) -> None:
    def each_byte(form: str) -> float:
        few, many = (probe(canister, form).hash(bytes(size)).instructions for size in (64, 640_064))
        return (many - few) / 640_000

    assert each_byte("replaced") < 80 < 140 < each_byte("reference")


# --- what the build refuses ------------------------------------------------------------------------------------------

REPLACE = """
const fs = require('fs');
const { replaceSha256Block } = require(process.argv[1]);
replaceSha256Block(fs.readFileSync(process.argv[2]));
"""


def replaced(module: bytes, folder: Path) -> str:
    """What the build says to a module; nothing, if it replaces the block."""
    (folder / "module.wasm").write_bytes(module)
    arguments = [str(CANISTERS / "sha256-block.js"), str(folder / "module.wasm")]
    return subprocess.run(["node", "-e", REPLACE, *arguments], capture_output=True, text=True, check=False).stderr


# Instructions of the compiled Motoko of which one number changes: where a Blob's bytes are, and an array's elements.
OTHER_LAYOUTS = {
    "personal": [
        ("load4", "41096a", "410d6a"),  # i32.const 9, i32.add
        ("absorb", "41026a41027420", "41036a41027420"),  # i32.const 2, i32.add, i32.const 2, i32.shl, local.get
    ],
    "backend": [
        ("load4", "42197c", "42217c"),  # i64.const 25, i64.add
        ("absorb", "42037c42038620", "42047c42038620"),  # i64.const 3, i64.add, i64.const 3, i64.shl, local.get
    ],
}


@pytest.mark.parametrize(
    ("canister", "function", "before", "after"),
    [(canister, *change) for canister, changes in OTHER_LAYOUTS.items() for change in changes],
)
def test_a_module_with_another_layout_of_objects_is_refused(
    tmp_path: Path, canister: str, function: str, before: str, after: str
) -> None:
    require_compiler()
    module = compiled(canister)["reference"]
    assert replaced(module, tmp_path) == ""
    other = module.replace(bytes.fromhex(before), bytes.fromhex(after))
    assert f"the compiled {function} has 0 times, instead of" in replaced(other, tmp_path)


@every_canister
def test_a_module_whose_block_is_replaced_or_has_no_name_is_refused(tmp_path: Path, canister: str) -> None:
    require_compiler()
    modules = compiled(canister)
    assert "the compiled absorb has 0 times, instead of 32" in replaced(modules["replaced"], tmp_path)
    renamed = modules["reference"].replace(b"\x06absorb", b"\x06adsorb")
    assert 'the compiled module has 0 functions "absorb" instead of one' in replaced(renamed, tmp_path)
