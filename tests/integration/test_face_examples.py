"""The examples and the code of docs/python.md run as they are and print what they say, on embedded replicas."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

EXAMPLES = {
    "blocking_script.py": """incremented to 1
incremented to 3
incremented to 6
after the reset: 0
""",
    "call_a_canister.py": """incremented to 3
several results: (3, True)
methods: both, fail, increment, read, reset
read: 3
""",
    "handle_errors.py": """fail was rejected: code 5, IC0503
a retry doesn't help
unknown: incremnt
stopped: a retry helps
""",
    "personal_canister.py": """creation: Completed
the owner alone controls it: True
the letter says: Dear Ada, ...
""",
    "set_up_a_factory.py": """installed: True
installed again: False
approved: True
added: True available: 20 T
operators: True
enabled: True
upgraded: False
""",
    "upload_memory.py": """sent 3,000,000 bytes in 2 chunks
stored as letter.txt
it begins with Dear Ada,
""",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_should(repository: Path, tmp_path: Path, name: str) -> None:
    # From another folder: an example finds its files beside itself. Warnings are errors: nothing is left open.
    run = subprocess.run(
        [sys.executable, "-W", "error", str(repository / "examples" / name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (run.stdout, run.stderr, run.returncode) == (EXAMPLES[name], "", 0)


def test_every_example_is_run_and_named_in_the_documentation(repository: Path) -> None:
    text = (repository / "docs" / "python.md").read_text("utf-8")
    names = {path.name for path in (repository / "examples").glob("*.py")}
    names.remove("test_counter.py")  # a test: docs/testing-your-canister.md
    assert names == {name for name in EXAMPLES if f"examples/{name}" in text}


def blocks(text: str) -> list[tuple[str, str]]:
    """Each block of Python, and the output that is shown below it ("" where none is)."""
    found = re.finditer(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", text, re.DOTALL)
    return [(match[1], match[2] or "") for match in found]


async def run_block(code: str, names: dict[str, Any]) -> str:
    """Runs a block as `python -m asyncio` and notebooks do, with `await` at the top level; returns what it printed."""
    compiled: CodeType = compile(code, "docs/python.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(compiled, names)
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


def test_the_blocks_of_the_documentation_run_in_their_order(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (repository / "examples").glob("counter.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    found = blocks((repository / "docs" / "python.md").read_text("utf-8"))
    assert len(found) >= 8

    async def run() -> list[str]:
        names: dict[str, Any] = {}
        try:
            return [await run_block(code, names) for code, _ in found]
        finally:
            if "replica" in names:
                names["replica"].stop()

    assert asyncio.run(run()) == [output for _, output in found]
