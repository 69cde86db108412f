"""A package of others of which we need one module: the rest of it is imported when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

OURS = "import sys, canister_factory.candid.principal\n"
PARSER = "print('antlr4' in sys.modules, 'httpx' in sys.modules)\n"


def printed(program: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return run.stdout.split()


def test_our_principals_bring_nothing_of_ic_py_but_its_principals() -> None:
    assert printed(f"{OURS}{PARSER}print(len([name for name in sys.modules if name.split('.')[0] == 'ic']))") == [
        "False",
        "False",
        "2",
    ]


@pytest.mark.parametrize("module", ["ic.network", "ic.identity", "ic.agent", "replica.node.server"])
def test_no_module_of_ours_brings_ic_pys_parser(module: str) -> None:
    assert printed(f"import sys, canister_factory.{module}\nprint('antlr4' in sys.modules)") == ["False"]


@pytest.mark.parametrize(
    "use",
    [
        "import ic; canister = ic.Canister",
        "from ic import Canister as canister",
        "from ic import *; canister = Canister",
        "import ic.canister; canister = ic.canister.Canister",
        "import ic.agent; import ic; canister = ic.Canister",
    ],
)
def test_whoever_uses_ic_py_beside_us_has_all_of_it(use: str) -> None:
    check = "print(canister is ic.Canister, issubclass(canister_factory.candid.Principal, ic.Principal))"
    assert printed(f"{OURS}{use}\nimport ic\n{check}") == ["True", "True"]


def test_ic_py_that_was_imported_before_stays_as_it_is() -> None:
    assert printed(f"import ic; before = ic, ic.Agent\n{OURS}print(before == (sys.modules['ic'], ic.Agent))") == [
        "True"
    ]


def test_a_name_that_ic_py_lacks_is_missed_as_usual() -> None:
    program = f"{OURS}import ic\ntry:\n    ic.nothing\nexcept AttributeError as error:\n    print(*str(error).split())"
    assert printed(program) == ["module", "'ic'", "has", "no", "attribute", "'nothing'"]
