"""The unit tests of the Motoko modules, each by its name; they are written in Motoko (`canisters/test`).

These need Node.js, and the first time npm and a registry. Without them they skip, unless
`CANISTER_FACTORY_REQUIRE_SHARED` asks for everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import pytest

from canister_factory.candid.values import Case
from support import motoko_tests, personal_world
from support.backend_world import OWNER
from support.motoko_compiler import require_compiler
from support.motoko_tests import MotokoTests

pytestmark = [
    pytest.mark.begins_first,
    pytest.mark.motoko_sources,
    pytest.mark.timeout(600),  # the first one fetches the compiler, and compiles
]


@cache
def canister() -> MotokoTests:
    """The canister that has all of the tests, each of which is a query."""
    require_compiler()
    return MotokoTests()


@pytest.fixture
def motoko() -> MotokoTests:
    return canister()


@pytest.mark.parametrize(("suite", "name"), motoko_tests.names(), ids=lambda part: part.replace("::", ":"))
def test_in_motoko(motoko: MotokoTests, suite: str, name: str) -> None:
    problem = motoko.run_test(suite, name)
    assert problem is None, problem


def test_a_motoko_test_that_fails_or_is_missing_says_so(motoko: MotokoTests) -> None:
    assert "Main.mo has no suite capsule/Nothing" in (motoko.run_test("capsule/Nothing", "a test") or "")
    assert "capsule/Pages has no test of nothing" in (motoko.run_test("capsule/Pages", "of nothing") or "")


def test_every_call_that_makes_a_motoko_test_is_found_by_its_name() -> None:
    calls = [path.read_text() for path in motoko_tests.FOLDER.glob("*/*.test.mo")]
    assert sum(len(re.findall(r"\btest\(", text)) for text in calls) == len(set(motoko_tests.names()))


# --- what the Motoko tests compare with -------------------------------------------------------------------------------


def sample_entries() -> Sequence[dict[str, object]]:
    """The items of `canisters/test/Samples.mo`."""
    bob, chunks = Case("Opaque", "Bob"), [b"ab", b"c"]
    assert OWNER.bytes == b"owner".ljust(28, b"\x00") + b"\x02"
    return [
        personal_world.entry("Capsule", personal_world.capsule_record(id="cap-1")),
        personal_world.entry("Memory", personal_world.memory_record("mem-1", chunks), chunks),
        personal_world.entry("Gallery", personal_world.gallery("gal-1", "mem-1")),
        personal_world.entry("Connection", personal_world.connection(bob)),
        personal_world.entry("ConnectionGroup", personal_world.group("group-1", bob)),
    ]


@pytest.mark.parametrize(("name", "entries"), [("emptyHash", []), ("sampleHash", sample_entries())])
def test_the_hashes_in_the_motoko_tests_are_what_the_definition_gives(
    name: str, entries: Sequence[dict[str, object]]
) -> None:
    source = (motoko_tests.FOLDER / "capsule" / "Manifest.test.mo").read_text()
    assert f'let {name} = "{personal_world.manifest_hash(entries).hex()}"' in source


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_the_roots_in_the_motoko_tests_are_what_the_definition_gives(count: int) -> None:
    source = (motoko_tests.FOLDER / "capsule" / "MerkleTree.test.mo").read_text()
    keys = [personal_world.sha256(str(number).encode()) for number in range(count)]
    root = personal_world.tree_root([(key, personal_world.sha256(key)) for key in keys])
    assert f'({count}, "{root.hex()}")' in source
