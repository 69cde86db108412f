"""What `status` shows of a creation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canister_factory.cli.present_canister import Presence, PresentCanister
from canister_factory.cli.status import _show
from canister_factory.contract.creation_models import CreationStatus
from support.backend_script import OWNER, creation
from support.cli_settings import printing

UNTIL = 1_900_000_000 * 10**9


def shown(**fields: Any) -> PresentCanister:
    completed = creation(CreationStatus.Completed).model_copy(update=fields)
    return PresentCanister(completed, Presence.INSTALLED, (OWNER,))


@pytest.mark.parametrize("days", [90, 30, 7])
def test_a_date_that_is_near_is_a_warning_with_what_to_do(capsys: pytest.CaptureFixture[str], days: int) -> None:
    with printing():
        _show(shown(paid_until=UNTIL, expires_within_days=days))
    words = " ".join(capsys.readouterr().out.split())
    assert f"2030-03-17 17:46:40 UTC, in less than {days} days: top it up with 'canister-factory owner top-up'" in words


def test_a_date_that_is_far_off_is_a_date(capsys: pytest.CaptureFixture[str]) -> None:
    with printing():
        _show(shown(paid_until=UNTIL))
    out = capsys.readouterr().out
    assert "2030-03-17 17:46:40 UTC" in out
    assert "top it up" not in out


def test_programs_get_date_and_mark(capsys: pytest.CaptureFixture[str]) -> None:
    with printing(json=True):
        _show(shown(paid_until=UNTIL, expires_within_days=30))
    fields = json.loads(capsys.readouterr().out)
    assert (fields["paid_until"], fields["expires_within_days"]) == ("2030-03-17T17:46:40.000000000Z", "30")
