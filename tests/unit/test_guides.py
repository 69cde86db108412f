"""`docs/owners.md`, `docs/operators.md` and the README: commands, options and links that exist, screens of 80 columns.

Reads files only; that the screens are those of real runs is for their authors.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from canister_factory.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ["docs/owners.md", "docs/operators.md", "README.md"]
COLUMNS = 80


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text("utf-8")


def typed(page: str) -> list[list[str]]:
    """The words of each `$ canister-factory …`, up to the next command of the shell."""
    joined = text_of(page).replace("\\\n", " ")
    lines = re.findall(r"^\s*\$ canister-factory ([^\n]*)", joined, re.MULTILINE)
    return [shlex.split(re.split(r"\s[;|>]|;", line)[0], comments=True) for line in lines]


def wrong(words: list[str]) -> list[str]:
    """What of a command line isn't there."""
    command: click.Command = main
    context = click.Context(main)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return [rest[0]]
        command, context = found, click.Context(found, parent=context)
        rest.pop(0)
    options = {option for each in command.params for option in each.opts + each.secondary_opts} | {"--help"}
    return [word for word in rest if word.startswith("--") and word not in options]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists_with_its_options(page: str) -> None:
    commands = typed(page)
    assert len(commands) > 5
    assert {" ".join(words): wrong(words) for words in commands if wrong(words)} == {}


def test_what_does_not_exist_is_found() -> None:
    assert wrong(["owner", "statuses"]) == ["statuses"]
    assert wrong(["owner", "status", "--dayz", "3"]) == ["--dayz"]


@pytest.mark.parametrize("page", ["docs/owners.md", "docs/operators.md"])
def test_a_screen_fits_on_a_terminal(page: str) -> None:
    screens = [line[4:] for line in text_of(page).splitlines() if line.startswith("    ")]
    assert len(screens) > 100
    assert [line for line in screens if len(line) > COLUMNS + len("$ ")] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)", text_of(page))
    assert links != []
    assert [link for link in links if not (REPOSITORY / page).parent.joinpath(link).exists()] == []
