"""The plugin as pytest loads it: light, and helpful where the replica isn't installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What takes long to import, or isn't there without an extra.
HEAVY = ("wasmtime", "httptools", "httpx", "pydantic", "ic", "cryptography", "lark", "cbor2")
PLUGIN = ("-p", "canister_factory.testing.plugin", "-p", "no:cacheprovider")


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, with no other plugin."""
    program = "import sys, json, pytest; code = pytest.main(sys.argv[1:]); print(json.dumps(sorted(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", f"{program}; sys.exit(code)", *PLUGIN, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=120,
    )


def test_loading_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    ran = _pytest(tmp_path, "--co", "-q")
    assert ran.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, ran.stdout + ran.stderr
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert "canister_factory.testing.plugin" in loaded
    ours = {name for name in loaded if name.startswith("canister_factory")}
    assert ours <= {
        "canister_factory",
        "canister_factory.lazy",
        "canister_factory.testing",
        "canister_factory.testing.plugin",
        "canister_factory.version",
    }
    assert [name for name in HEAVY if name in loaded] == []


def test_pytest_finds_the_plugin_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("canister_factory")


@pytest.mark.parametrize("missing", ["wasmtime", "httptools"])
def test_without_the_extra_a_test_fails_with_the_line_that_installs_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    (tmp_path / "test_it.py").write_text("def test_it(deploy): pass\ndef test_other(): pass\n")
    ran = _pytest(tmp_path, "-q")
    assert f"the embedded replica needs {missing}: pip install 'canister-factory[replica]'" in ran.stdout
    assert "1 passed, 1 error" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_every_fixture_is_shown_with_what_it_gives(tmp_path: Path) -> None:
    shown = _pytest(tmp_path, "--fixtures", "-q").stdout.partition("fixtures defined from canister_factory")[2]
    for name in ("replica", "ic", "deploy", "identity", "new_identity", "advance", "tick"):
        assert f"\n{name} " in shown
    assert "no docstring" not in shown


def test_the_example_with_a_counter_has_at_most_eight_lines_and_passes(repository: Path, tmp_path: Path) -> None:
    for name in ("test_counter.py", "counter.wat"):
        shutil.copy(repository / "examples" / name, tmp_path)
    assert len((tmp_path / "test_counter.py").read_text().splitlines()) <= 8
    ran = _pytest(tmp_path, "-q", "-W", "error")
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
