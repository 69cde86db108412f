"""Whether Node.js and the pinned Motoko compiler are there. Installs the compiler where only that is missing."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

_SETUP = Path(__file__).resolve().parents[2] / "scripts" / "lib" / "motoko.sh"


@cache
def why_there_is_no_compiler() -> str:
    """Sees to it that the pinned Motoko compiler can be run; "" then."""
    script = f"set -e; source '{_SETUP}'; ensure_compiler"
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    return "" if found.returncode == 0 else found.stderr.strip().splitlines()[-1]


def require_compiler() -> None:
    """Skips the test without a compiler; fails it where `CANISTER_FACTORY_REQUIRE_SHARED` asks for everything."""
    if not (problem := why_there_is_no_compiler()):
        return
    if os.environ.get("CANISTER_FACTORY_REQUIRE_SHARED"):
        pytest.fail(f"{problem}; CANISTER_FACTORY_REQUIRE_SHARED asks for it", pytrace=False)
    pytest.skip(problem)
