"""The main job as a person starts it: the demo without arguments, its environment ready, from start to exit."""

from __future__ import annotations

import json
import subprocess
import sys
import time


def measure() -> dict[str, object]:
    """Seconds, of the whole process and of the creation in it."""
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, "-m", "canister_factory", "demo", "--json"], capture_output=True, check=True)
    seconds = time.perf_counter() - started
    result = json.loads(ran.stdout)
    return {"seconds": round(seconds, 2), "creation_seconds": result["creation_seconds"], "status": result["status"]}
