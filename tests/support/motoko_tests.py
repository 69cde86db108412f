"""The unit tests of the Motoko modules (`canisters/test`): their names, and the canister that runs them.

Owns how they are found and run; the tests are Motoko. Each is a query of its own: none sees what another left.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from canister_factory.candid.encoding import encode
from canister_factory.candid.types import TEXT
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.subnet import Subnet
from support.backend_world import ADMIN, CANISTERS, CONTROLLER, START_NS, World, engine
from support.kept_builds import Files, kept

FOLDER = CANISTERS / "test"
_TEST = re.compile(r'^ +test\("((?:[^"\\]|\\.)*)"', re.MULTILINE)


def names() -> list[tuple[str, str]]:
    """Suite and name of every test: a suite is the path of its file in `canisters/test`, without `.test.mo`."""
    found = []
    for path in sorted(FOLDER.glob("*/*.test.mo")):
        suite = str(path.relative_to(FOLDER)).removesuffix(".test.mo")
        found += [(suite, name) for name in _TEST.findall(path.read_text())]
    return found


@cache
def compiled() -> bytes:
    """The module that runs the tests. Needs the compiler (`support.motoko_compiler`)."""

    def build() -> Files:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "tests.wasm"
            command = ["node", str(CANISTERS / "build-tests.js"), str(out)]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (built.returncode, built.stderr) == (0, ""), built.stderr
            return {out.name: out.read_bytes()}

    return kept("tests of the Motoko modules", build)["tests.wasm"]


class MotokoTests(World):
    """A subnet with the canister of the tests on it."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.subnet = Subnet(engine(), clock_ns=lambda: self.now_ns)
        self._requests = 0
        self.canister = self.new_canister(ADMIN, CONTROLLER)
        self.install(self.canister, compiled(), encode((), ()), sender=ADMIN)

    def run_test(self, suite: str, name: str) -> str | None:
        """What went wrong in the test of that name, or None."""
        arg = encode((TEXT, TEXT), (suite, name))
        try:
            self.subnet.query(QueryRequest(ADMIN.bytes, self.now_ns, self.canister.bytes, "run", arg))
        except CanisterError as error:
            return str(error)
        return None
