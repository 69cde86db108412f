"""Help, completion and hints of the root load no command; the help of a command loads neither agent nor replica."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from canister_factory.cli import COMMANDS, main
from canister_factory.cli.status import STATUSES
from canister_factory.contract.creation_models import CreationStatus

LIBRARIES = {"rich", "pydantic", "pydantic_core", "ic", "httpx", "asyncio", "cryptography", "lark", "wasmtime"}
OF_COMMANDS = {f"canister_factory.cli.{entry.place.partition(':')[0]}" for entry in COMMANDS.values()}


def loaded(code: str, **variables: str) -> set[str]:
    """The modules in a fresh interpreter after `code`."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.split())


def after_main(*args: str, **variables: str) -> set[str]:
    """The modules that the program has loaded when it ends."""
    return loaded(
        f"""
from canister_factory import __main__
sys.argv = ["canister-factory", *{args!r}]
try:
    __main__.main()
except SystemExit:
    pass
""",
        **variables,
    )


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_roots_own_options_load_no_command_and_no_library_but_click(option: str) -> None:
    modules = after_main(option)
    assert "canister_factory.cli.lazy_group" in modules
    assert modules & (LIBRARIES | OF_COMMANDS) == set()


@pytest.mark.parametrize("typed", ["", "ad", "--ne"])
def test_completion_of_the_root_loads_no_command_and_no_library_but_click(typed: str) -> None:
    words = {"COMP_WORDS": f"canister-factory {typed}", "COMP_CWORD": "1"}
    modules = after_main(**words, _CANISTER_FACTORY_COMPLETE="bash_complete")
    assert "click.shell_completion" in modules
    assert modules & (LIBRARIES | OF_COMMANDS) == set()


@pytest.mark.parametrize("misspelt", ["stauts", "operators"])
def test_a_hint_loads_no_command(misspelt: str) -> None:
    modules = after_main(misspelt)
    assert "canister_factory.cli.failures" in modules
    assert modules & OF_COMMANDS == set()


def test_the_help_of_no_command_loads_the_agent_a_contract_or_the_replica() -> None:
    modules = loaded(
        """
import click
from canister_factory.cli import main

def show(group, path):
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        command.get_help(click.Context(command, parent=context, info_name=name))
        if isinstance(command, click.Group):
            show(command, name)

show(main, "canister-factory")
"""
    )
    assert modules >= OF_COMMANDS
    rooms = {name.split(".")[1] for name in modules if name.startswith("canister_factory.")}
    assert rooms & {"contract", "factory", "replica"} == set()
    assert "canister_factory.ic.agent" not in modules
    assert modules & (LIBRARIES - {"rich", "asyncio"}) == set()


def test_the_names_of_the_states_in_the_help_are_those_of_the_contract() -> None:
    assert list(STATUSES) == [str(status) for status in CreationStatus]


def test_the_table_says_of_each_command_what_the_command_says() -> None:
    context = click.Context(main)
    for name, entry in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(10_000) == entry.summary
        within = command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []
        assert list(entry.commands) == within


def test_the_list_of_commands_fits_on_a_screen_of_80_columns() -> None:
    shown = main.get_help(click.Context(main, terminal_width=80))
    assert [name for name, entry in COMMANDS.items() if f"  {name}" not in shown or entry.summary not in shown] == []
