"""docs/testing-your-canister.md: its code runs as it stands there, and what it names exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path("docs") / "testing-your-canister.md"


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.fixture
def guide(repository: Path) -> str:
    return (repository / GUIDE).read_text("utf-8")


def test_the_code_of_the_guide_passes_in_a_folder_of_its_own(guide: str, repository: Path, tmp_path: Path) -> None:
    blocks = _blocks(guide, "python")
    for number, block in enumerate(blocks):
        (tmp_path / f"test_block_{number}.py").write_text(f"COUNTER = {str(tmp_path / 'counter.wat')!r}\n{block}")
    for module in (repository / "examples").glob("*.wat"):
        shutil.copy(module, tmp_path)
    settings = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *settings, "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    tests = sum(len(re.findall(r"^(?:async )?def test_", block, re.M)) for block in blocks)
    assert f"{tests} passed" in ran.stdout
    assert tests >= 7


def test_the_first_test_of_the_guide_is_the_example(guide: str, repository: Path) -> None:
    assert _blocks(guide, "python")[0] == (repository / "examples" / "test_counter.py").read_text()


def test_the_guide_names_every_fixture_and_no_other(guide: str) -> None:
    from canister_factory.testing import plugin

    fixtures = {name for name, thing in vars(plugin).items() if type(thing).__name__ == "FixtureFunctionDefinition"}
    table = guide.partition("| fixture | gives |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)", table, re.M)) == fixtures


def test_the_workflow_installs_what_the_guide_says(guide: str, repository: Path) -> None:
    workflow = (repository / "examples" / "github-workflow.yml").read_text()
    (console,) = _blocks(guide, "console")
    (extra,) = re.findall(r"'canister-factory\[\w+\]'", console)
    assert extra in workflow
    assert "github-workflow.yml" in guide
