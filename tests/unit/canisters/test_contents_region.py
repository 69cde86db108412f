"""Contents in stable memory, on the built modules: far beyond 4 GiB, damaged on purpose, used again after deletes.

A variant of each module, whose upgrade takes what lies between its contents and just below the next mark, stands for
the years of uploads that would fill so much. Needs Node.js and the compiler, and skips without them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import CANISTERS, OWNER, World
from support.kept_builds import Files, kept
from support.motoko_compiler import require_compiler
from support.personal_world import PersonalWorld, capsule_record, sha256

pytestmark = pytest.mark.timeout(600)  # the first one fetches the compiler

GIB = 1 << 30
MARKS = (4 * GIB, 32 * GIB, 60 * GIB)
CHUNK = 1_900_000
RESERVE = """
  system func postupgrade() {
    for (mark in ([4, 32, 60] : [Nat64]).values()) {
      let below = mark * 1_073_741_824 - 2_500_000;
      if (store.contents.space.end < below) {
        ignore Extents.allocate(store.contents.space, below - store.contents.space.end, 0xFFFF_FFFF_FFFF);
        return;
      };
    };
  };
"""


def build(name: str) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "canisters"
        shutil.copytree(CANISTERS, sources, ignore=shutil.ignore_patterns("node_modules", "dist"))
        (sources / "node_modules").symlink_to(CANISTERS / "node_modules")
        limits = sources / "capsule" / "Limits.mo"
        limits.write_text(limits.read_text().replace("contentBytes : Nat64 = 60_", "contentBytes : Nat64 = 66_"))
        main = sources / name / "Main.mo"
        text = main.read_text().replace("import Store ", 'import Extents "../capsule/Extents";\nimport Store ', 1)
        before = text.index("  system func inspect")
        text = text.replace("  system func postupgrade() { imports.certify() };\n", "")
        main.write_text(text[:before] + RESERVE.lstrip("\n") + "\n" + text[before:])
        command = ["node", "build.js", name, folder]
        built = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr[-2_000:]
        return {"module": (Path(folder) / f"{name}.wasm.gz").read_bytes()}


@dataclass
class Side:
    """One of the two canisters: how bytes get in, come out, and how its module is exchanged."""

    world: World
    canister: Principal
    put: Callable[[bytes], str]
    read: Callable[[str], Any]
    upgrade: Callable[[bytes | None], None]

    @property
    def stable_bytes(self) -> int:
        return self.world.state(self.canister).stable.size_bytes


def backend_side() -> Side:
    world = World()
    world.capsule()

    def put(content: bytes) -> str:
        data = {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": None}, "data": content}
        new = {"memory_type": Case("Document"), "name": "a", "content_type": "text/plain"}
        memory_id: str = world.ok("add_memory_to_capsule", data, new, sender=OWNER)
        return memory_id

    def read(memory_id: str) -> Any:
        return world.call("read_memory_chunk", memory_id, 0, sender=OWNER)

    return Side(world, world.backend, put, read, world.upgrade_backend)


def personal_side() -> Side:
    world = PersonalWorld()
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    numbers = iter(range(1_000))

    def put(content: bytes) -> str:
        memory_id = f"mem-{next(numbers):04}"
        world.import_memory(session, memory_id, [content])
        return memory_id

    def read(memory_id: str) -> Any:
        return world.call("read_memory_chunk", memory_id, 0, sender=OWNER)

    return Side(world, world.personal, put, read, world.upgrade)


SIDES = {"backend": backend_side, "personal": personal_side}


def content(seed: int) -> bytes:
    return (sha256(bytes([seed])) * (CHUNK // 32 + 1))[:CHUNK]


@pytest.mark.parametrize("name", SIDES)
def test_contents_lie_below_and_above_4_32_and_60_gib(name: str) -> None:
    require_compiler()
    variant = kept(f"a build of the {name} that takes up space", lambda: build(name))["module"]
    side = SIDES[name]()
    contents = {side.put(content(0)): content(0)}
    for number, mark in enumerate(MARKS):
        side.upgrade(variant)
        assert side.stable_bytes <= mark or number == 0
        below, above = content(2 * number + 1), content(2 * number + 2)
        contents[side.put(below)] = below
        assert side.stable_bytes <= mark + 3 * GIB
        contents[side.put(above)] = above
        assert side.stable_bytes > mark
    side.upgrade(None)
    for memory_id, expected in contents.items():
        assert side.read(memory_id) == Case("Ok", expected)
