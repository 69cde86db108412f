"""Runs the benchmarks and prints what they measured: `scripts/bench [--json] [--baseline DIR] [NAME ...]`.

A benchmark is a module `bench_<name>.py` in this folder with a function `measure() -> dict[str, object]`: plain names,
units in the names. One that compares builds takes `baseline`, the working copy of another build or None. Nothing is
asserted here: machines differ, and a slow one is not a bug.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))  # for tests/support


def measure(name: str, baseline: Path | None) -> dict[str, object]:
    """Imports bench_<name>.py and runs it, with the baseline if it compares."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", FOLDER / f"bench_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    compares = "baseline" in inspect.signature(module.measure).parameters
    figures: dict[str, object] = module.measure(baseline) if compares else module.measure()
    return figures


def main() -> None:
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description="Measure Canister Factory on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benchmarks (default: all): {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--baseline", type=Path, metavar="DIR", help="a working copy of another build, set up, to compare with"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names)}")
    result: dict[str, object] = {
        "conditions": {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    }
    for name in arguments.names or names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = measure(name, arguments.baseline)
        result[name] = figures
        if not arguments.json:
            print(f"\n{name}")
            for key, value in figures.items():
                print(f"  {key:<42} {value}")
    if arguments.json:
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
