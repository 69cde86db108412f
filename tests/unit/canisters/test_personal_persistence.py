"""How the personal canister's heap survives an upgrade, and with which `wasm_memory_persistence`.

Its builds have classical persistence. One with enhanced persistence can't follow: the compiler's npm package has no way
to set the flag that allows this irreversible step.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from canister_factory.candid.values import Case
from support.backend_world import CANISTERS, OWNER, RejectedError, wasm
from support.contents_sides import Side, content, personal_side
from support.kept_builds import Files, kept
from support.motoko_compiler import require_compiler
from support.personal_world import PersonalWorld


def enhanced() -> bytes:
    """The personal canister, built with the compiler's own persistence."""

    def build() -> Files:
        with tempfile.TemporaryDirectory() as folder:
            sources = Path(folder) / "canisters"
            shutil.copytree(CANISTERS, sources, ignore=shutil.ignore_patterns("node_modules", "dist"))
            (sources / "node_modules").symlink_to(CANISTERS / "node_modules")
            script = sources / "build.js"
            text = script.read_text()
            assert text.count("personal: ['classicOP']") == 1
            script.write_text(text.replace("personal: ['classicOP']", "personal: []"))
            command = ["node", "build.js", "personal", folder]
            built = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stderr[-2_000:]
            return {"module": (Path(folder) / "personal.wasm.gz").read_bytes()}

    return kept("a personal canister with enhanced persistence", build)["module"]


def upgrade(side: Side, module: bytes, persistence: str | None) -> None:
    """With that `wasm_memory_persistence`; None leaves it out."""
    world = side.world
    assert isinstance(world, PersonalWorld)
    kept_how = Case(persistence) if persistence else None
    options = {"skip_pre_upgrade": None, "wasm_memory_persistence": kept_how} if persistence else None
    world.install(world.personal, module, world.init_arg, OWNER, Case("upgrade", options))


def filled() -> tuple[Side, dict[str, bytes]]:
    """A side with two contents, one of which is in several extents."""
    side = personal_side()
    pieces = [side.put(content(number)[:100_000]) for number in range(4)]
    side.delete(pieces[0])
    side.delete(pieces[2])
    contents = {side.put(content(9)[:200_000]): content(9)[:200_000], pieces[1]: content(1)[:100_000]}
    return side, contents


def check(side: Side, contents: dict[str, bytes]) -> None:
    for memory_id, expected in contents.items():
        assert side.read(memory_id) == Case("Ok", expected)
    again = side.put(content(20))
    assert side.read(again) == Case("Ok", content(20))
    side.delete(again)
    assert side.books()["consistent"]


@pytest.mark.parametrize("persistence", [None, "replace"])
def test_a_classical_build_follows_a_classical_one_and_its_memory_is_replaced(persistence: str | None) -> None:
    side, contents = filled()
    upgrade(side, wasm("personal"), persistence)
    check(side, contents)


def test_a_classical_build_can_not_keep_the_memory_of_a_classical_one() -> None:
    side, contents = filled()
    with pytest.raises(RejectedError, match="enhanced orthogonal persistence"):
        upgrade(side, wasm("personal"), "keep")
    check(side, contents)


@pytest.mark.timeout(600)
def test_a_build_with_enhanced_persistence_is_refused_and_nothing_is_lost(sweep: bool) -> None:
    if not sweep:
        pytest.skip("the sweep builds such a module")
    require_compiler()
    side, contents = filled()
    for persistence in (None, "replace", "keep"):
        with pytest.raises(RejectedError, match="Detected implicit upgrade from classical orthogonal persistence"):
            upgrade(side, enhanced(), persistence)
    check(side, contents)
