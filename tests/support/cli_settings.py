"""What commands and their functions find around them in tests: settings, environment, log handlers, signals."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import click
import pytest

from canister_factory import interrupts
from canister_factory.cli import logs, main
from canister_factory.cli.settings import Settings


def printing(*, json: bool = False, debug: bool = False, full: bool = False) -> click.Context:
    """A context manager; within it everything is printed as after `--json`, `--debug` and `--full`."""
    return click.Context(main, obj=Settings(json, debug, full))


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, identity or backend of whoever runs the tests."""
    for name in ("NETWORK", "IDENTITY", "IDENTITY_NAME", "IDENTITY_PASSWORD_FILE", "BACKEND"):
        monkeypatch.delenv(f"CANISTER_FACTORY_{name}", raising=False)


def run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests, and no log handler that stays."""
    forget_environment(monkeypatch)
    monkeypatch.setattr(logs, "start", lambda verbosity: None)


@pytest.fixture
def signals_in_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals as in a process of a command's own."""
    before = [(number, signal.getsignal(number)) for number in interrupts.NUMBERS]
    monkeypatch.setattr(interrupts, "_state", interrupts._State())
    interrupts.install()
    yield
    for number, handler in before:
        signal.signal(number, handler)
