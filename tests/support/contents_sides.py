"""The two canisters as places for contents: how bytes get in, come out and go, and how a module is exchanged.

Owns also the variant of each module that takes up space (`variant`). Asserts nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.canister import CanisterState
from support import contents_books
from support.backend_world import CANISTERS, OPERATOR, OWNER, TRILLION, World
from support.kept_builds import Files, kept
from support.personal_world import PersonalWorld, capsule_record, memory_manifest, memory_record, sha256

GIB = 1 << 30
MARKS = (4 * GIB, 32 * GIB, 60 * GIB)
CHUNK = 1_900_000
REGION_BYTES = 66_000_000_000
"""How long the region may become (`Limits.regionBytes`)."""
_TAKE = """
  system func postupgrade() {
    let marks : [Nat64] = [4 * 1_073_741_824, 32 * 1_073_741_824, 60 * 1_073_741_824, 66_000_000_000];
    for (mark in marks.values()) {
      let below = mark - 2_500_000;
      if (store.contents.space.end < below) {
        ignore Extents.allocate(store.contents.space, below - store.contents.space.end, 0xFFFF_FFFF_FFFF);
        return;
      };
    };
  };
"""


def variant(name: str) -> bytes:
    """A module whose upgrade takes the space up to just below the next mark, for nobody; without a limit of 60 GB."""
    return kept(f"a build of the {name} that takes up space", lambda: _build(name))["module"]


def _build(name: str) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "canisters"
        shutil.copytree(CANISTERS, sources, ignore=shutil.ignore_patterns("node_modules", "dist"))
        (sources / "node_modules").symlink_to(CANISTERS / "node_modules")
        limits = sources / "capsule" / "Limits.mo"
        limits.write_text(limits.read_text().replace("contentBytes = 60_", "contentBytes = 99_"))
        main = sources / name / "Main.mo"
        text = main.read_text().replace("import Store ", 'import Extents "../capsule/Extents";\nimport Store ', 1)
        text = re.sub(r"  system func postupgrade\(\) \{(.*|\n(    .*\n)*  )\};\n", "", text)
        before = text.index("  system func inspect")
        main.write_text(text[:before] + _TAKE.lstrip("\n") + "\n" + text[before:])
        command = ["node", "build.js", name, folder]
        built = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr[-2_000:]
        return {"module": (Path(folder) / f"{name}.wasm.gz").read_bytes()}


def content(seed: int) -> bytes:
    """A chunk of CHUNK bytes; each seed has others."""
    return (sha256(bytes([seed])) * (CHUNK // 32 + 1))[:CHUNK]


@dataclass
class Side:
    """One of the two canisters. `store` gives the answer to storing bytes as a new memory, whose id is in its Ok."""

    world: World
    canister: Principal
    store: Callable[[bytes], Case]
    read: Callable[[str], Any]
    delete: Callable[[str], None]
    upgrade: Callable[[bytes | None], None]
    owner: Principal = field(default=OWNER)

    def put(self, content: bytes) -> str:
        """The id of the new memory."""
        answer = self.store(content)
        assert answer.tag == "Ok", answer
        memory_id: str = answer.value
        return memory_id

    def refused(self, content: bytes) -> Case:
        """Why the bytes weren't stored."""
        answer = self.store(content)
        assert answer.tag == "Err", answer
        refusal: Case = answer.value
        return refusal

    @property
    def stable_bytes(self) -> int:
        return self.world.state(self.canister).stable.size_bytes

    def books(self) -> dict[str, Any]:
        """What `audit_contents` answers."""
        found = contents_books.audit(self.world.subnet, self.world.state(self.canister), self.world.now_ns)
        assert found is not None
        return found

    def leave_books_out(self) -> None:
        """For a test that takes space which nobody holds."""
        contents_books.left_out.add(self.world.subnet)

    def damage(self, content: bytes) -> None:
        """Flips a bit of these bytes in stable memory."""
        damage(self.world.state(self.canister), content)


def damage(canister: CanisterState, content: bytes) -> None:
    """Flips a bit in the middle of these bytes, wherever they are in a canister's stable memory."""
    middle = content[len(content) // 2 :][:64]
    offset = canister.stable.read_committed(0, canister.stable.size_bytes).index(middle)
    canister.stable.begin()
    canister.stable.write(offset, bytes([middle[0] ^ 1]))
    canister.stable.commit()


def backend_side() -> Side:
    """The owner's capsule on a backend."""
    world = World(cycles=1_000 * TRILLION)  # 60 GiB keep 138 T from being spent
    world.capsule()

    def store(content: bytes) -> Case:
        data = {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": None}, "data": content}
        new = {"memory_type": Case("Document"), "name": "a", "content_type": "text/plain"}
        answer: Case = world.call("add_memory_to_capsule", data, new, sender=OWNER)
        return answer

    def read(memory_id: str) -> Any:
        return world.call("read_memory_chunk", memory_id, 0, sender=OWNER)

    def delete(memory_id: str) -> None:
        assert world.call("delete_memory_from_capsule", memory_id, sender=OWNER) == Case("Ok")

    return Side(world, world.backend, store, read, delete, world.upgrade_backend)


def personal_side() -> Side:
    """A personal canister in the middle of its import."""
    world = PersonalWorld(max_import_bytes=60_000_000_000)
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    numbers = iter(range(1_000))

    def store(content: bytes) -> Case:
        memory_id = f"mem-{next(numbers):04}"
        world.put(session, Case("Memory", memory_record(memory_id, [content])))
        chunk = (session, memory_id, 0, content, sha256(content))
        answer: Case = world.call("put_memory_chunk", *chunk, sender=OPERATOR)
        if answer.tag == "Err":
            return answer
        world.ok("commit_memory", session, memory_manifest(memory_id, [content]), sender=OPERATOR)
        return Case("Ok", memory_id)

    def read(memory_id: str) -> Any:
        return world.call("read_memory_chunk", memory_id, 0, sender=OWNER)

    def delete(memory_id: str) -> None:
        refs = [{"kind": Case("Memory"), "id": memory_id}]
        assert world.call("remove_items", session, refs, sender=OPERATOR) == Case("Ok")

    return Side(world, world.personal, store, read, delete, world.upgrade)


SIDES = {"backend": backend_side, "personal": personal_side}
