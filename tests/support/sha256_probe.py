"""A canister that hashes what it is given, with `capsule/sha256/Sha256.mo`, in each of the ways that it is built.

Owns compiling `canisters/test/sha256/Probe.mo` and asking it. `reference` is the Motoko as the compiler makes it;
otherwise its innermost function is the handwritten one, as in the canisters that are built.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT, NAT8, Type, Vec
from canister_factory.replica.runtime.execution import Entry, Env
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import StableMemory
from support.backend_world import CANISTERS, OWNER, START_NS, engine
from support.kept_builds import Files, kept

BLOB = Vec(NAT8)
GC_FLAGS = {"backend": (), "personal": ("classicOP",)}
"""How the heap of each canister is kept, as `canisters/build.js` says."""
_INSTRUCTIONS = 20_000_000_000
_CYCLES = 10**15


@cache
def compiled(canister: str) -> Files:
    """Both modules of a canister's kind; needs the compiler (`support.motoko_compiler`)."""

    def build() -> Files:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "reference"
            command = ["node", str(CANISTERS / "build-sha256-probe.js"), str(out), *GC_FLAGS[canister]]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (built.returncode, built.stderr) == (0, ""), built.stderr
            return {"reference": out.read_bytes(), "replaced": Path(f"{out}.replaced").read_bytes()}

    return kept(f"SHA-256 probe {canister}", build)


@dataclass(frozen=True)
class Answer:
    """Values, and how many instructions they took."""

    digests: list[bytes]
    instructions: int


class Probe:
    """One such canister.

    Args:
        canister: whose kind of build it is, "backend" or "personal".
        reference: whether nothing is replaced in it.
    """

    def __init__(self, canister: str, *, reference: bool) -> None:
        wasm = compiled(canister)["reference" if reference else "replaced"]
        self.instance = Instance(engine(), engine().compile(wasm), StableMemory())
        for entry in (Entry.START, Entry.INIT):
            self._execute(entry, "", encode((), ()), commit=True)

    def hash(self, data: bytes) -> Answer:
        """The digest of the whole."""
        return self._ask("hash", (BLOB,), (data,))

    def hash_from(self, data: bytes, start: int) -> Answer:
        """The digest without the first bytes."""
        return self._ask("hash_from", (BLOB, NAT), (data, start))

    def digests(self, parts: list[bytes]) -> Answer:
        """The digest after each of the parts."""
        answer, instructions = self._execute(Entry.QUERY, "digests", encode((Vec(BLOB),), (parts,)))
        return Answer(decode(answer, (Vec(BLOB),))[0], instructions)

    def append(self, data: bytes) -> Answer:
        """An update: the digest of all that was appended since the canister was made."""
        return self._ask("append", (BLOB,), (data,), Entry.UPDATE)

    def reclaimed(self) -> int:
        """Bytes that the canister has collected as garbage."""
        answer, _ = self._execute(Entry.QUERY, "reclaimed", encode((), ()))
        reclaimed: int = decode(answer, (NAT,))[0]
        return reclaimed

    def _ask(
        self, method: str, types: tuple[Type, ...], values: tuple[object, ...], entry: Entry = Entry.QUERY
    ) -> Answer:
        answer, instructions = self._execute(entry, method, encode(types, values), commit=entry is Entry.UPDATE)
        return Answer([decode(answer, (BLOB,))[0]], instructions)

    def _execute(self, entry: Entry, method: str, arg: bytes, *, commit: bool = False) -> tuple[bytes, int]:
        env = Env(OWNER.bytes, START_NS, method, arg, OWNER.bytes, frozenset([OWNER.bytes]), _CYCLES)
        outcome = self.instance.execute(entry, env, instruction_limit=_INSTRUCTIONS, commit=commit)
        assert outcome.error is None, f"{method}: {outcome.error}"
        return outcome.response.data if outcome.response else b"", outcome.instructions
