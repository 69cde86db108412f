"""An Internet Computer replica for development and tests: one subnet, one node, in Python on wasmtime.

Owns what a subnet and its node do. Does not own the protocol's formats (`ic`) or Candid (`candid`), and knows nothing
of the factory. Rooms, each knowing only those before it: `runtime` (Wasm), `subnet` (canisters and messages),
`system_canisters` (canisters of other subnets that tools call), `store` (the state on disk), `node` (rounds,
certificates and HTTP).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

LIBRARIES: Final = ("wasmtime", "httptools", "nacl")
"""What the extra `replica` installs and every replica needs, by the names of the packages to import."""


def missing_libraries() -> list[str]:
    """Those of them that aren't installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]
