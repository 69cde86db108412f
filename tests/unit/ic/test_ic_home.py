"""Where local state is kept, for whoever writes it and whoever looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.ic import home
from canister_factory.ic.errors import NetworkConfigError
from canister_factory.replica.node import state_file
from canister_factory.replica.node.state_lock import StateDirectoryError


def test_the_environment_names_it_and_else_it_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", "/somewhere")
    assert home.home_directory() == state_file.home_directory() == Path("/somewhere")
    monkeypatch.setenv("CANISTER_FACTORY_HOME", "")
    assert home.home_directory() == state_file.home_directory() == Path.home() / ".canister-factory"
    monkeypatch.delenv("CANISTER_FACTORY_HOME")
    assert home.home_directory() == state_file.home_directory() == Path.home() / ".canister-factory"


def test_who_has_no_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("could not determine home directory")

    monkeypatch.delenv("CANISTER_FACTORY_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(NetworkConfigError, match=r"no home directory: set HOME or CANISTER_FACTORY_HOME$"):
        home.home_directory()
    with pytest.raises(StateDirectoryError, match=r"set HOME or CANISTER_FACTORY_HOME, or give --state-dir$"):
        state_file.home_directory()
